"""Pages of a list: the keyset parameters, and the addresses of the neighbouring pages (RFC 8288)."""

from __future__ import annotations

from typing import Annotated, Any
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


def page_headers(request: Request, page: Page[Any]) -> list[tuple[str, str]]:
    """The ``Link`` header of a page (none without neighbours): absolute, the filters of this request kept."""
    if page.next_max_id is None and page.prev_min_id is None:
        return []
    environ = request.environ
    path = (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1")
    address = request.registry["base_url"] + quote(path, safe="/@:~")
    text = environ.get("QUERY_STRING")
    pairs = [pair for pair in parse_qsl(text, keep_blank_values=True) if pair[0] not in _KEYS] if text else []
    kept = f"{urlencode(pairs)}&" if pairs else ""
    links = [
        f'<{address}?{kept}{key}={value}>; rel="{relation}"'
        for key, value, relation in (("max_id", page.next_max_id, "next"), ("min_id", page.prev_min_id, "prev"))
        if value is not None
    ]
    return [("Link", ", ".join(links))]
