"""The JSON face of meals and tags."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from pyramid.request import Request

from mealshare.api import Query, RawJson, Reply, api_view, check_not_modified, page_headers
from mealshare.core.clock import now
from mealshare.core.dates import eaten_on
from mealshare.core.db import Page
from mealshare.core.errors import NotFound, PreconditionFailed
from mealshare.features.accounts.resources import PersonContext
from mealshare.features.meals.factory import meal_service
from mealshare.features.meals.present import meal_etag, names_version, tag_summary
from mealshare.features.meals.queries import (
    OF_ACCOUNT,
    PUBLIC,
    WITH_TAG_NAMED,
    Card,
    CardList,
    card_by_id,
    filter_conditions,
    meal_entity,
    meals_of_day,
    tag_key,
    top_tags,
)
from mealshare.features.meals.resources import MealContext, viewer_of
from mealshare.features.meals.rules import MealPermission
from mealshare.features.meals.schemas import MealFilter, MealInput, MealOut, MealPatch, TagSummary

TAGS = ("meals",)


class TagQuery(Query):
    """How many tags are wanted."""

    limit: int = Field(default=20, ge=1, le=100)


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
    if meals is PUBLIC and name is not None:
        # The tag's own list: to look for its meals among all others would take the longer the fewer there are.
        meals, parameters, name = WITH_TAG_NAMED, {"tag_name": tag_key(name)}, None
    conditions = (
        []
        if query.is_empty
        else filter_conditions(
            meal_type=query.meal_type,
            diets=query.diet,
            without=query.without,
            tag=name,
            place=query.place,
            since=query.since,
            until=query.until,
            photo=query.photo,
        )
    )
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
    description="Public meals of everybody, newest post first.",
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
    tags=TAGS,
    summary="Post a meal",
    description="Publishes what you ate. Needs food, or a picture that was uploaded before.",
    errors=("invalid",),
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
    description="What you ate today by the calendar of your own time zone, whatever its visibility.",
)
def list_today(context: Any, request: Request) -> Reply:
    """One's own meals of today."""
    identity = request.identity
    page = meals_of_day(request.conn, identity.account_id, eaten_on(now(), identity.time_zone))
    return list_reply(request, page)


@api_view(
    route_name="api.meal",
    request_method="GET",
    permission=MealPermission.VIEW,
    context=MealContext,
    returns=MealOut,
    tags=TAGS,
    summary="Read a meal",
    description="Answers 304 when If-None-Match has the current entity tag.",
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
    errors=("precondition_failed", "invalid"),
    summary="Replace a meal",
    description="What is left out goes back to its default. With If-Match: only if nobody changed it since.",
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
    errors=("precondition_failed", "invalid"),
    summary="Change a meal",
    description="A JSON merge patch (RFC 7396): null takes a value back to its default.",
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
    errors=("precondition_failed",),
    summary="Delete a meal",
    description="Its pictures go as well. Cannot be undone.",
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
    query=MealFilter,
    returns=list[MealOut],
    paged=True,
    tags=("users", "meals"),
    summary="List a person's meals",
    description="Those that you may see, newest post first.",
)
def list_person_meals(context: PersonContext, request: Request, query: MealFilter) -> Reply:
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
    tags=("users", "meals"),
    errors=("invalid",),
    summary="Post a meal under your name",
    description="The same as posting to /api/meals; only under your own name.",
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
    tags=("tags",),
    summary="List tags",
    description="The tags with the most public meals.",
)
def list_tags(context: Any, request: Request, query: TagQuery) -> list[TagSummary]:
    """Much used tags."""
    return [tag_summary(tag, request.registry["base_url"]) for tag in top_tags(request.conn, query.limit)]


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
