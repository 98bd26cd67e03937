"""What a client may ask of a stream."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mealshare.api import Query
from mealshare.features.streams.cursor import LONGEST
from mealshare.features.streams.vocabulary import Feed


class StreamQuery(Query):
    """Which meals, and where to go on."""

    feed: Annotated[
        Feed, Field(description="`public`: everybody's public meals. `home`: yours and those of whom you follow.")
    ] = Feed.PUBLIC
    last_event_id: Annotated[
        str | None,
        Field(
            max_length=LONGEST,
            description="The same as the header `Last-Event-ID`, which counts if both are there: the `id` of the last "
            "event that you have, or the id of the newest meal.",
        ),
    ] = None
