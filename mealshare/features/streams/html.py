"""The HTML face of streams: the place above a feed where new meals are announced."""

from __future__ import annotations

from typing import Any

from pyramid.request import Request

from mealshare.core.i18n import _
from mealshare.features.streams.vocabulary import Feed

NEWS = "mealshare.features.streams:templates/news.pt"


def news_of(feed: Feed) -> Any:
    """What the template takes, for the page of ``feed``."""

    def data(request: Request) -> dict[str, str]:
        # The script puts the number in, so the sentence has to be right with any.
        return {"feed": feed, "words": request.translate(_("New meals: {n}"))}

    return data
