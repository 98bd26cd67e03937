"""Pages of a list: the keyset parameters, and the addresses of the neighbouring pages (RFC 8288)."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, quote, urlencode

from pydantic import Field
from pyramid.request import Request

from mealshare.api.query import Query
from mealshare.core.db.keyset import DEFAULT_LIMIT, MAX_ID, MAX_LIMIT, MAX_SKIP, Page, Window
from mealshare.core.validation import SnowflakeId

_KEYS = frozenset({"max_id", "min_id", "skip"})


class PagedQuery(Query):
    """Which part of a list; a feature's own query derives from it and adds the filters."""

    max_id: Annotated[SnowflakeId | None, Field(description="Only what is older than this id.")] = None
    min_id: Annotated[SnowflakeId | None, Field(description="The page just above this id: what is newer.")] = None
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT, description="How many at most.")] = DEFAULT_LIMIT
    skip: Annotated[
        int, Field(ge=0, le=MAX_SKIP, description="How many to leave out; paging by id is quicker and exact.")
    ] = 0

    def window(self) -> Window:
        """The same for the queries."""
        return Window(
            max_id=MAX_ID if self.max_id is None else self.max_id,
            min_id=self.min_id or 0,
            limit=self.limit,
            skip=self.skip,
        )


class SortedQuery(PagedQuery):
    """The same for a list that may also be read from its other end.

    There is no other order: the id is what every list has an index for, and what an element keeps for ever, so that no
    page shows one twice or misses one.  The day on which a meal was eaten can be edited; the diary goes by it.
    """

    sort: Annotated[
        Literal["-created_at", "created_at"],
        Field(description="Newest first (`-created_at`), or oldest first (`created_at`); follow `Link` in either."),
    ] = "-created_at"

    def window(self) -> Window:
        """The same for the queries."""
        return replace(super().window(), oldest_first=self.sort == "created_at")


def page_headers(request: Request, page: Page[Any]) -> list[tuple[str, str]]:
    """The ``Link`` header of a page (none without neighbours): absolute, the rest of this request's query kept."""
    neighbours = [
        (key, value, relation)
        for key, value, relation in (
            ("max_id", page.next_max_id, "next"), ("min_id", page.next_min_id, "next"),
            ("min_id", page.prev_min_id, "prev"), ("max_id", page.prev_max_id, "prev"),
        )
        if value is not None
    ]  # fmt: skip
    if not neighbours:
        return []
    environ = request.environ
    path = (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1")
    address = request.registry["base_url"] + quote(path, safe="/@:~")
    text = environ.get("QUERY_STRING")
    pairs = [pair for pair in parse_qsl(text, keep_blank_values=True) if pair[0] not in _KEYS] if text else []
    kept = f"{urlencode(pairs)}&" if pairs else ""
    links = [f'<{address}?{kept}{key}={value}>; rel="{relation}"' for key, value, relation in neighbours]
    return [("Link", ", ".join(links))]
