"""What several files of tests here stand on; a file that needs somebody else called mei makes its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection

from tests.features.accounts.site import browser, site
from tests.small_site import fill

# Of the tests of accounts; this is how a conftest has fixtures of another place.
__all__ = ["browser", "site"]


@pytest.fixture
def small_site(registry: Any) -> Iterator[Connection]:
    """A reading connection to the site of `tests.small_site`, written into the application's own database."""
    fill(registry["engine"])
    with registry["read_engine"].connect() as reading:
        yield reading


@pytest.fixture
def mei(app, make_user, token):
    """Somebody who posts over the API: ``mei.post(food="soup", ...)`` gives the meal."""
    person = make_user("mei", display_name="Mei Lin")
    person.headers = token(app, person)

    def post(**meal: Any) -> Any:
        return app.post_json("/api/meals", {"food": "soup", "tags": ["soup"]} | meal, headers=person.headers).json

    def change(meal: Any, **members: Any) -> None:
        path = f"/api/meals/{meal['id']}"
        app.patch_json(path, members, headers=person.headers | {"Content-Type": "application/merge-patch+json"})

    person.post, person.change = post, change
    return person


@pytest.fixture
def photo(app, mei, picture, run_jobs, registry) -> Callable[..., dict[str, str]]:
    """``photo("words")``: a picture of mei's that is ready, as a meal refers to it."""

    def upload(description: str = "A bowl", size: tuple[int, int] = (1800, 900)) -> dict[str, str]:
        file = ("file", "a.jpg", picture(size=size))
        answer = app.post("/api/media", {"description": description}, upload_files=[file], headers=mei.headers)
        run_jobs(registry)
        return {"id": answer.json["id"]}

    return upload
