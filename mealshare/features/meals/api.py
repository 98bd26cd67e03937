"""The JSON face of meals and tags."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from pyramid.request import Request

from mealshare.api import Link, Query, RawJson, Reply, api_view, check_not_modified, page_headers
from mealshare.core.clock import now
from mealshare.core.dates import eaten_on
from mealshare.core.db import Page
from mealshare.core.errors import NotFound, PreconditionFailed
from mealshare.features.accounts.resources import PersonContext
from mealshare.features.meals.cards import Card, CardList
from mealshare.features.meals.factory import meal_service
from mealshare.features.meals.places import place_key
from mealshare.features.meals.present import meal_etag, names_version, tag_summary
from mealshare.features.meals.queries import (
    AT_PLACE,
    OF_ACCOUNT,
    PUBLIC,
    WITH_TAG_NAMED,
    card_by_id,
    filter_conditions,
    meal_entity,
    meals_of_day,
    tag_key,
    top_tags,
)
from mealshare.features.meals.resources import MealContext, viewer_of
from mealshare.features.meals.rules import MealPermission
from mealshare.features.meals.schemas import MealFilter, MealInput, MealPatch, PersonMealFilter, VisibilityInput
from mealshare.features.meals.schemas_out import ChangedOut, MealOut, TagSummary
from mealshare.features.meals.service_visibility import VisibilityService

TAGS = ("meals",)
#: In the examples: one's own meal as it is after posting it.
_OWN = {"viewer": {"liked": False, "own": True, "can_edit": True, "not_declared": []}}
NEW_MEAL = {"likes_count": 0, "comments_count": 0, "ate_too_count": 0, **_OWN}
_EDITED = {"edited_at": "2026-11-20T05:30:00Z", "version": 2, **_OWN}
#: Where an answer that is a meal leads to.
MEAL_LINKS = (
    Link("api.meal", id="$response.body#/id"),
    Link("api.meal.comments", id="$response.body#/id"),
    Link("api.meal.like", id="$response.body#/id"),
    Link("api.user", "GET", username="$response.body#/user/username"),
)


class TagQuery(Query):
    """Which tags are wanted, and how many."""

    q: str | None = Field(default=None, max_length=101, description="How their name begins.", examples=["si"])
    limit: int = Field(default=20, ge=1, le=100, description="How many at most.")


def list_reply(request: Request, page: Page[Card]) -> Reply:
    """A page of meals with its links."""
    body = request.registry["meal_json"].many(page.items, request.identity)
    return Reply(RawJson(body), headers=page_headers(request, page))


def one_reply(request: Request, card: Card, **options: Any) -> Reply:
    """One meal with its entity tag."""
    body = request.registry["meal_json"].one(card, request.identity)
    return Reply(RawJson(body), etag=meal_etag(card, request.identity), **options)


def filtered_page(request: Request, meals: CardList, query: MealFilter, **parameters: Any) -> Page[Card]:
    """The page of ``meals`` that ``query`` asks for."""
    viewer = viewer_of(request)
    name = query.tag
    place = query.place
    if meals is PUBLIC and name is not None:
        # The tag's own list: to look for its meals among all others would take the longer the fewer there are.
        meals, parameters, name = WITH_TAG_NAMED, {"tag_name": tag_key(name)}, None
    elif meals is PUBLIC and place is not None:
        meals, parameters, place = AT_PLACE, {"place_key": place_key(place)}, None
    conditions = (
        []
        if query.is_empty
        else filter_conditions(
            meal_type=query.meal_type,
            diets=query.diet,
            without=query.without,
            tag=name,
            place=place,
            since=query.since,
            until=query.until,
            photo=query.photo,
        )
    )
    if query.q is not None:
        meals, words, asked = request.registry["meal_words"].narrow(request.conn, meals, query.q)
        conditions, parameters = conditions + words, parameters | asked
    return meals.page(request.conn, query.window(), viewer, *conditions, **parameters)


def fresh_card(request: Request, meal_id: int) -> Card:
    """The meal as this request has just written it."""
    request.db.flush()
    card = card_by_id(request.conn, meal_id, viewer_of(request))
    if card is None:
        raise NotFound
    return card


@api_view(
    route_name="api.meals",
    request_method="GET",
    permission=MealPermission.LIST,
    query=MealFilter,
    returns=list[MealOut],
    paged=True,
    tags=TAGS,
    summary="List public meals",
    links=(Link("api.meal", "GET", id="$response.body#/0/id"),),
    description="Public meals of everybody, newest post first; all filters must hold. Meals of people whom you have "
    "blocked or muted are left out, and those that are declared to contain what you avoid, if you have chosen that.",
)
def list_meals(context: Any, request: Request, query: MealFilter) -> Reply:
    """Public meals, filtered."""
    return list_reply(request, filtered_page(request, PUBLIC, query))


@api_view(
    route_name="api.meals",
    request_method="POST",
    permission=MealPermission.POST,
    body=MealInput,
    returns=MealOut,
    status=201,
    etag=True,
    tags=TAGS,
    example=NEW_MEAL,
    summary="Post a meal",
    links=MEAL_LINKS,
    description="Publishes what you ate; only `food` or one picture is needed. Pictures are uploaded before, with "
    "`POST /api/media`, and may still be processing. Your followers find it in their home feed, and people who are "
    "named in the note are told.",
)
def create_meal(context: Any, request: Request, body: MealInput) -> Reply:
    """Post a meal as oneself."""
    return _create(request, body)


@api_view(
    route_name="api.meals.today",
    request_method="GET",
    permission=MealPermission.LIST_OWN,
    returns=list[MealOut],
    tags=TAGS,
    summary="List your meals of today",
    links=(Link("api.meal", id="$response.body#/0/id"),),
    description="What you ate today by the calendar of your own time zone, whatever its visibility. All of them: the "
    "list has no pages.",
)
def list_today(context: Any, request: Request) -> Reply:
    """One's own meals of today."""
    identity = request.identity
    page = meals_of_day(request.conn, identity.account_id, eaten_on(now(), identity.time_zone))
    return list_reply(request, page)


@api_view(
    route_name="api.meals.visibility",
    request_method="POST",
    permission=MealPermission.CHANGE_VISIBILITY,
    body=VisibilityInput,
    returns=ChangedOut,
    tags=TAGS,
    summary="Change who may see your meals",
    description="Changes many meals at once, such as all public ones of the past, in one go: all of them or none. They "
    "do not count as edited. Every place follows at once: pages, photos, feeds, search and counts.",
)
def change_visibility(context: Any, request: Request, body: VisibilityInput) -> ChangedOut:
    """Change who may see one's own meals."""
    service = VisibilityService(request.work)
    return ChangedOut(service.change(request.identity.account_id, body.visibilities, body.to, body.before))


@api_view(
    route_name="api.meal",
    request_method="GET",
    permission=MealPermission.VIEW,
    context=MealContext,
    returns=MealOut,
    tags=TAGS,
    summary="Read a meal",
    links=MEAL_LINKS,
    description="One meal that you may see; any other is not found, whether it exists or not. Answers 304 when "
    "`If-None-Match` has the current entity tag.",
)
def read_meal(context: MealContext, request: Request) -> Any:
    """One meal."""
    return check_not_modified(request, meal_etag(context.card, request.identity)) or one_reply(request, context.card)


@api_view(
    route_name="api.meal",
    request_method="PUT",
    permission=MealPermission.EDIT,
    context=MealContext,
    body=MealInput,
    returns=MealOut,
    tags=TAGS,
    errors=("precondition_failed", "not_yours"),
    etag=True,
    example=_EDITED,
    summary="Replace a meal",
    links=MEAL_LINKS,
    description="Replaces your meal whole: what is left out goes back to its default, and pictures that are no longer "
    "named are deleted. With `If-Match` only if nobody changed it since. What it said before is kept.",
)
def replace_meal(context: MealContext, request: Request, body: MealInput) -> Reply:
    """Replace what one's meal says."""
    _held(context, request)
    return _edit(context, request, body)


@api_view(
    route_name="api.meal",
    request_method="PATCH",
    permission=MealPermission.EDIT,
    context=MealContext,
    body=MealPatch,
    returns=MealOut,
    tags=TAGS,
    errors=("precondition_failed", "not_yours"),
    etag=True,
    example={"meal_type": "dinner", "place": None, **_EDITED},
    summary="Change a meal",
    links=MEAL_LINKS,
    description="Changes single members of your meal by a JSON merge patch (RFC 7396): what is absent stays, `null` "
    "takes a value back to its default, a list is replaced whole. With `If-Match` only if nobody changed it since.",
)
def patch_meal(context: MealContext, request: Request, body: MealPatch) -> Reply:
    """Change some members of one's meal."""
    return _edit(context, request, body.applied_to(_held(context, request)))


@api_view(
    route_name="api.meal",
    request_method="DELETE",
    permission=MealPermission.DELETE,
    context=MealContext,
    status=204,
    tags=TAGS,
    errors=("precondition_failed", "not_yours"),
    summary="Delete a meal",
    description="Deletes your meal, its pictures and the comments on it; from then on it is not found. It cannot be "
    "undone. Moderators may delete the meals of others.",
)
def delete_meal(context: MealContext, request: Request) -> None:
    """Delete a meal."""
    _held(context, request)
    meal_service(request).delete(context.account_id, context.id)


@api_view(
    route_name="api.user.meals",
    request_method="GET",
    permission=MealPermission.LIST,
    context=PersonContext,
    query=PersonMealFilter,
    returns=list[MealOut],
    paged=True,
    tags=TAGS,
    summary="List a person's meals",
    links=(Link("api.meal", "GET", id="$response.body#/0/id"),),
    description="Those that you may see, newest post first, or with `sort` the first post first.",
)
def list_person_meals(context: PersonContext, request: Request, query: PersonMealFilter) -> Reply:
    """What the viewer may see of a person."""
    return list_reply(request, filtered_page(request, OF_ACCOUNT, query, account=context.account_id))


@api_view(
    route_name="api.user.meals",
    request_method="POST",
    permission=MealPermission.POST_AS,
    context=PersonContext,
    body=MealInput,
    returns=MealOut,
    status=201,
    etag=True,
    tags=TAGS,
    errors=("not_yours",),
    example=NEW_MEAL,
    summary="Post a meal under your name",
    links=MEAL_LINKS,
    description="The same as `POST /api/meals`, at your own address; at another's it is 403.",
)
def create_person_meal(context: PersonContext, request: Request, body: MealInput) -> Reply:
    """Post a meal at one's own address."""
    return _create(request, body)


@api_view(
    route_name="api.tags",
    request_method="GET",
    permission=MealPermission.LIST,
    query=TagQuery,
    returns=list[TagSummary],
    tags=("search",),
    summary="List tags",
    description="The tags with the most public meals; with `q` those whose name begins so.",
)
def list_tags(context: Any, request: Request, query: TagQuery) -> list[TagSummary]:
    """Much used tags."""
    return [tag_summary(tag, request.registry["base_url"]) for tag in top_tags(request.conn, query.limit, query.q)]


def _create(request: Request, body: MealInput) -> Reply:
    meal = meal_service(request).post(request.identity.account_id, body)
    base_url: str = request.registry["base_url"]
    headers = [("Location", f"{base_url}/api/meals/{meal.id}")]
    return one_reply(request, fresh_card(request, meal.id), status=201, headers=headers)


def _edit(context: MealContext, request: Request, body: MealInput) -> Reply:
    meal_service(request).edit(context.account_id, context.id, body)
    return one_reply(request, fresh_card(request, context.id))


def _held(context: MealContext, request: Request) -> Card:
    """The meal as it is now, which nobody else changes before this request is done; raises PreconditionFailed.

    The context was read before that: between then and now somebody may have been quicker.
    """
    if meal_entity(request.db, context.id, context.account_id) is None:
        raise NotFound
    card = fresh_card(request, context.id)
    header = request.environ.get("HTTP_IF_MATCH")
    if header is not None and not names_version(header, card.version):
        raise PreconditionFailed
    return card
