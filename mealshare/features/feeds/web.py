"""Feeds, embeds, the site map and the share target: thin."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import orjson
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.response import Response
from pyramid.view import view_config

from mealshare.api.etag import etag_of_body, if_none_match
from mealshare.api.problems import problem_of, problem_response
from mealshare.api.query import read_query
from mealshare.core.clock import now
from mealshare.core.errors import DomainError, NotFound
from mealshare.core.security.csrf import posted_form
from mealshare.core.security.permissions import CorePermission
from mealshare.features.accounts.resources import PersonContext
from mealshare.features.feeds.drafts import check_sender, form_with, keep
from mealshare.features.feeds.factory import Teller
from mealshare.features.feeds.present import atom, embed, json_feed, site_map, site_map_index
from mealshare.features.feeds.queries import (
    Address,
    newest_meals,
    newest_of_account,
    newest_with_tag,
    site_map_part,
    site_map_parts,
)
from mealshare.features.feeds.resources import Embeds, meal_at, readable_everywhere
from mealshare.features.feeds.schemas import EmbedQuery, Feed, OnlyJson, Shared
from mealshare.features.feeds.vocabulary import ATOM, JSON_FEED, MAX_AGE
from mealshare.features.meals.form import compose_values
from mealshare.features.meals.rules import MealPermission
from mealshare.features.meals.web import NEW
from mealshare.features.timelines.resources import TagContext

LIST, PUBLIC = MealPermission.LIST, CorePermission.PUBLIC
XML = "application/xml"
EDIT = "mealshare.features.meals:templates/edit.pt"
#: The pages that are about no person, tag or meal.
PAGES = ("/", "/explore", "/about")
#: How each format of a feed is written, by the end of the route's name.
WRITERS: dict[str, tuple[str, Callable[[Feed], bytes]]] = {"atom": (ATOM, atom), "json": (JSON_FEED, json_feed)}


@view_config(route_name="feed.atom", request_method="GET", permission=LIST)
@view_config(route_name="feed.json", request_method="GET", permission=LIST)
def site_feed(context: Any, request: Request) -> Response:
    """The newest public meals."""
    return _feed(request, Teller(request.registry).site_feed(newest_meals(request.conn)))


@view_config(route_name="person.feed.atom", request_method="GET", context=PersonContext, permission=LIST)
@view_config(route_name="person.feed.json", request_method="GET", context=PersonContext, permission=LIST)
def person_feed(context: PersonContext, request: Request) -> Response:
    """A person's newest public meals."""
    cards = newest_of_account(request.conn, context.account_id)
    return _feed(request, Teller(request.registry).person_feed(context, cards))


@view_config(route_name="tag.feed.atom", request_method="GET", context=TagContext, permission=LIST)
@view_config(route_name="tag.feed.json", request_method="GET", context=TagContext, permission=LIST)
def tag_feed(context: TagContext, request: Request) -> Response:
    """The newest public meals with a tag."""
    cards = newest_with_tag(request.conn, context.tag.id)
    return _feed(request, Teller(request.registry).tag_feed(context.tag, cards))


@view_config(route_name="oembed", request_method="GET", context=Embeds, permission=PUBLIC)
def oembed(context: Embeds, request: Request) -> Response:
    """A meal that everybody may see, for other sites; a program gets a problem, never a page."""
    try:
        query = read_query(request, EmbedQuery)
        if query.format != "json":
            raise OnlyJson
        card = meal_at(request, query.url)
    except DomainError as error:
        return problem_response(request, problem_of(error))
    teller = Teller(request.registry)
    found = embed(teller.preview(card), teller.author(card), teller.site, teller.base_url, query)
    return _shared(request, orjson.dumps(found), "application/json")


@view_config(route_name="sitemap", request_method="GET", permission=LIST)
def sitemap(context: Any, request: Request) -> Response:
    """The index of the site map."""
    base, parts = request.registry["base_url"], site_map_parts(request.conn)
    names = ["pages-0", *(f"{kind}-{number}" for kind, number in parts)]
    return _shared(request, site_map_index([f"{base}/sitemap-{name}.xml" for name in names]), XML)


@view_config(route_name="sitemap.part", request_method="GET", permission=LIST)
def sitemap_part(context: Any, request: Request) -> Response:
    """One part of the site map."""
    base, kind, number = request.registry["base_url"], request.matchdict["kind"], int(request.matchdict["number"])
    if kind == "pages":
        if number:
            raise NotFound
        found = [Address(f"{base}{path}", None) for path in PAGES]
    else:
        found = site_map_part(request.conn, base, kind, number)
    return _shared(request, site_map(found), XML)


@view_config(route_name="share", request_method="GET", permission=PUBLIC, renderer=EDIT)
def share(context: Any, request: Request) -> dict[str, Any]:
    """The compose box with what a link says; nothing is kept."""
    form = form_with(request, Shared.of(request.GET))
    return compose_values(request, form, "/new") | {"title": request.translate(NEW)}


@view_config(route_name="share", request_method="POST", permission=PUBLIC, require_csrf=False)
def share_target(context: Any, request: Request) -> HTTPSeeOther:
    """What the device shares goes into the compose box, where its owner looks at it.  Checks who sends, not a token."""
    check_sender(request)
    for words in keep(request, Shared.of(posted_form(request))):
        request.flash(words, "error")
    return HTTPSeeOther("/new")


@view_config(route_name="diary.own", request_method="GET", permission=MealPermission.LIST_OWN)
def own_diary(context: Any, request: Request) -> HTTPSeeOther:
    """Where a shortcut on a home screen leads: it is the same for everybody, so it cannot hold a name."""
    return HTTPSeeOther(f"/@{request.identity.username}/diary")


def _feed(request: Request, feed: Feed) -> Response:
    type, write = WRITERS[request.matched_route.name.rpartition(".")[2]]
    response = _shared(request, write(feed), type, feed.updated)
    readable_everywhere(request, response)
    return response


def _shared(request: Request, body: bytes, type: str, updated: datetime | None = None) -> Response:
    """An answer that is the same for everybody, or 304 for who has it."""
    etag = etag_of_body(body)
    headers = [("Cache-Control", f"public, max-age={MAX_AGE}"), ("ETag", etag)]
    # What is quite new has no date: something else of the same second may be on its way into the database.
    if updated is not None and now() - updated > timedelta(seconds=MAX_AGE):
        headers.append(("Last-Modified", format_datetime(updated.astimezone(UTC), usegmt=True)))
    if if_none_match(request, etag) or _not_modified(request, dict(headers).get("Last-Modified")):
        return Response(status="304 Not Modified", headerlist=headers)
    return Response(body, headerlist=[*headers, ("Content-Type", f"{type}; charset=utf-8")])


def _not_modified(request: Request, modified: str | None) -> bool:
    """Whether the client has the state of that date, and says nothing better (RFC 9110 section 13.1.3).

    Only the very date counts: when the newest meal goes, the date is an earlier one, and the feed has changed.
    """
    environ = request.environ
    return (
        "HTTP_IF_NONE_MATCH" not in environ
        and modified is not None
        and environ.get("HTTP_IF_MODIFIED_SINCE") == modified
    )
