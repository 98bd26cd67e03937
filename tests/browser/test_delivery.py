"""Pictures that S3 sends: another origin, which the site's own policy must let the browser go to."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from mealshare.core.db.migrate import upgrade
from tests.browser.conftest import PHONE, Watch
from tests.browser.people import stock_site
from tests.databases import new_database
from tests.s3_server import OwnS3
from tests.sites import running_site

pytestmark = pytest.mark.browser


def test_pictures_are_shown_that_s3_sends(browser: Browser, s3_server: OwnS3, tmp_path: Path) -> None:
    settings = s3_server.settings() | {"media__delivery": "redirect"}
    watch = Watch([], [], [])
    with new_database("sqlite", tmp_path) as url:
        upgrade(url)
        with running_site(tmp_path, url, **settings) as site:
            stock = stock_site(browser, site.url)
            context = browser.new_context(base_url=site.url, storage_state=stock.state, viewport=PHONE)
            watch.over(context, site.url)
            page = context.new_page()
            page.goto("/")
            deadline = time.monotonic() + 30
            while not page.evaluate(
                "[...document.querySelectorAll('article img')].some(image => image.naturalWidth > 0)"
            ):
                assert time.monotonic() < deadline, watch
                page.wait_for_timeout(100)
            context.close()
    assert watch.complaints == []
    assert watch.broken == []
    # The pictures are all that leaves the site, and all of it goes to S3.
    assert watch.foreign
    assert all(address.startswith(f"{s3_server.url}/") for address in watch.foreign)
