"""The JSON face of following, blocking and muting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyramid.request import Request

from mealshare.api import Link, Reply, SortedQuery, api_view, page_headers
from mealshare.core.db import Page
from mealshare.features.accounts.schemas_out import PersonOut, RelationOut
from mealshare.features.social.present import block_out, listed_out, mute_out, relation_out
from mealshare.features.social.queries import BLOCKS, FOLLOWERS, FOLLOWING, MUTES, REQUESTS, ListedPerson, PeopleList
from mealshare.features.social.resources import FollowerContext, PersonContext, viewer_of
from mealshare.features.social.rules import SocialPermission
from mealshare.features.social.schemas import BlockOut, MuteInput, MuteOut
from mealshare.features.social.service import BlockService, FollowService, MuteService

TAGS = ("people",)
OWN = SocialPermission.LIST_OWN
#: What is common to all that changes how one stands to a person and has nothing to tell, and to all lists of people.
CHANGE: dict[str, Any] = {"status": 204, "tags": TAGS}
LIST: dict[str, Any] = {"request_method": "GET", "query": SortedQuery, "paged": True, "tags": TAGS}


@api_view(
    route_name="api.user.follow",
    request_method="PUT",
    permission=SocialPermission.FOLLOW,
    context=PersonContext,
    returns=RelationOut,
    tags=TAGS,
    errors=("oneself",),
    example={"own": False, "following": True},
    summary="Follow a person",
    links=(Link("api.user", "GET", username="$request.path.username"),),
    description="Their meals come into your home feed, and they are told. Where the account is locked this asks for "
    "it: `requested` is true until the person agrees. "
    "Doing it twice changes nothing.",
)
def follow_person(context: PersonContext, request: Request) -> RelationOut:
    """Follow, or ask to."""
    me = request.identity.account_id
    state = FollowService(request.work).follow(me, context.account_id)
    return relation_out(context, state, request.registry["base_url"], me)


@api_view(
    route_name="api.user.follow",
    request_method="DELETE",
    permission=SocialPermission.FOLLOW,
    context=PersonContext,
    summary="Stop following a person",
    description="Their meals leave your home feed. A request that waits is taken back as well. Doing it twice changes "
    "nothing.",
    **CHANGE,
)
def unfollow_person(context: PersonContext, request: Request) -> None:
    """Do not follow any more."""
    FollowService(request.work).unfollow(request.identity.account_id, context.account_id)


@api_view(
    route_name="api.user.block",
    request_method="PUT",
    permission=SocialPermission.BLOCK,
    context=PersonContext,
    errors=("oneself",),
    summary="Block a person",
    description="From now on neither of you sees anything of the other, anywhere; follows and requests between you "
    "end. They are not told. Doing it twice changes nothing.",
    **CHANGE,
)
def block_person(context: PersonContext, request: Request) -> None:
    """Block."""
    BlockService(request.work).block(request.identity.account_id, context.account_id)


@api_view(
    route_name="api.user.block",
    request_method="DELETE",
    permission=SocialPermission.BLOCK,
    context=PersonContext,
    summary="Unblock a person",
    description="You see each other again. Follows that the block has ended do not come back. Doing it twice changes "
    "nothing.",
    **CHANGE,
)
def unblock_person(context: PersonContext, request: Request) -> None:
    """Take the block back."""
    BlockService(request.work).unblock(request.identity.account_id, context.account_id)


@api_view(
    route_name="api.user.mute",
    request_method="PUT",
    permission=SocialPermission.MUTE,
    context=PersonContext,
    body=MuteInput,
    body_optional=True,
    errors=("oneself",),
    summary="Mute a person",
    description="You do not come across the person in feeds, lists, searches and notifications; they do not learn of "
    "it. Without a body until you take it back; a second mute replaces the end of the first.",
    **CHANGE,
)
def mute_person(context: PersonContext, request: Request, body: MuteInput) -> None:
    """Mute."""
    MuteService(request.work).mute(request.identity.account_id, context.account_id, body.end())


@api_view(
    route_name="api.user.mute",
    request_method="DELETE",
    permission=SocialPermission.MUTE,
    context=PersonContext,
    summary="Unmute a person",
    description="You come across the person again. Doing it twice changes nothing.",
    **CHANGE,
)
def unmute_person(context: PersonContext, request: Request) -> None:
    """Take the mute back."""
    MuteService(request.work).unmute(request.identity.account_id, context.account_id)


@api_view(
    route_name="api.user.followers",
    permission=SocialPermission.LIST,
    context=PersonContext,
    returns=list[PersonOut],
    summary="List a person's followers",
    description="Those whom you may see, newest follow first. The ids in the links are of follows.",
    **LIST,
)
def list_followers(context: PersonContext, request: Request, query: SortedQuery) -> Reply:
    """Who follows a person."""
    return _people(request, _page(request, FOLLOWERS, query, account=context.account_id))


@api_view(
    route_name="api.user.following",
    permission=SocialPermission.LIST,
    context=PersonContext,
    returns=list[PersonOut],
    summary="List whom a person follows",
    description="Those whom you may see, newest follow first. The ids in the links are of follows.",
    **LIST,
)
def list_following(context: PersonContext, request: Request, query: SortedQuery) -> Reply:
    """Whom a person follows."""
    return _people(request, _page(request, FOLLOWING, query, account=context.account_id))


@api_view(
    route_name="api.user.follower",
    request_method="DELETE",
    permission=SocialPermission.REMOVE_FOLLOWER,
    context=FollowerContext,
    errors=("not_yours",),
    summary="Remove a follower",
    description="Ends somebody's following of you, without telling them; at your own address only. They may follow, or "
    "ask to, again; block them if they should not.",
    **CHANGE,
)
def remove_follower(context: FollowerContext, request: Request) -> None:
    """End somebody's following of oneself."""
    FollowService(request.work).remove_follower(context.account_id, context.person.account_id)


@api_view(
    route_name="api.follow_requests",
    permission=OWN,
    returns=list[PersonOut],
    summary="List who asks to follow you",
    links=(Link("api.follow_request", username="$response.body#/0/username"),),
    description="Who waits for your agreement, newest request first.",
    **LIST,
)
def list_follow_requests(context: Any, request: Request, query: SortedQuery) -> Reply:
    """Who asks to follow one."""
    return _people(request, _page(request, REQUESTS, query))


@api_view(
    route_name="api.follow_request",
    request_method="POST",
    permission=SocialPermission.ANSWER,
    context=PersonContext,
    summary="Accept a follow request",
    description="The person follows you from now on, and is told. 404 if they do not ask for it (any more).",
    **CHANGE,
)
def accept_follow_request(context: PersonContext, request: Request) -> None:
    """Let somebody follow one."""
    FollowService(request.work).accept(request.identity.account_id, context.account_id)


@api_view(
    route_name="api.follow_request",
    request_method="DELETE",
    permission=SocialPermission.ANSWER,
    context=PersonContext,
    summary="Reject a follow request",
    description="The person is not told. Doing it twice changes nothing.",
    **CHANGE,
)
def reject_follow_request(context: PersonContext, request: Request) -> None:
    """Do not let somebody follow one."""
    FollowService(request.work).reject(request.identity.account_id, context.account_id)


@api_view(
    route_name="api.blocks",
    permission=OWN,
    returns=list[BlockOut],
    summary="List whom you have blocked",
    description="Newest block first.",
    **LIST,
)
def list_blocks(context: Any, request: Request, query: SortedQuery) -> Reply:
    """Whom one has blocked."""
    return _reply(request, _page(request, BLOCKS, query), block_out)


@api_view(
    route_name="api.mutes",
    permission=OWN,
    returns=list[MuteOut],
    summary="List whom you have muted",
    description="Newest mute first; those that have ended are not in it.",
    **LIST,
)
def list_mutes(context: Any, request: Request, query: SortedQuery) -> Reply:
    """Whom one has muted."""
    return _reply(request, _page(request, MUTES, query), mute_out)


def _page(request: Request, people: PeopleList, query: SortedQuery, **parameters: Any) -> Page[ListedPerson]:
    return people.page(request.conn, query.window(), viewer_of(request), **parameters)


def _people(request: Request, page: Page[ListedPerson]) -> Reply:
    viewer = viewer_of(request)
    return _reply(request, page, lambda listed, base_url: listed_out(listed, base_url, viewer))


def _reply(request: Request, page: Page[ListedPerson], present: Callable[[ListedPerson, str], Any]) -> Reply:
    base_url: str = request.registry["base_url"]
    return Reply([present(listed, base_url) for listed in page.items], headers=page_headers(request, page))
