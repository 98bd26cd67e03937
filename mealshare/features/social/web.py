"""The HTML face of following, blocking and muting."""

from __future__ import annotations

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.view import view_config

from mealshare.core.i18n import _
from mealshare.core.security.redirects import safe_next
from mealshare.features.social.html import follow_button, listed_people
from mealshare.features.social.queries import FOLLOWERS, FOLLOWING, REQUESTS, PeopleList
from mealshare.features.social.resources import PersonContext, viewer_of
from mealshare.features.social.rules import SocialPermission
from mealshare.features.social.schemas import MuteInput
from mealshare.features.social.service import BlockService, FollowService, MuteService
from mealshare.web.forms import Form
from mealshare.web.paging import window_of
from mealshare.web.ui import Ui

#: For how long one can mute with the form; seconds, and "" for as long as one does not take it back.
DURATIONS = (
    ("", _("Until I take it back")),
    ("86400", _("For a day")),
    ("604800", _("For a week")),
    ("2592000", _("For 30 days")),
)


@view_config(
    route_name="person.follow", request_method="POST", context=PersonContext, permission=SocialPermission.FOLLOW
)
def follow(context: PersonContext, request: Request) -> HTTPSeeOther:
    """Follow, or end it, and return to where the button was."""
    service = FollowService(request.work)
    change = service.unfollow if "undo" in request.POST else service.follow
    change(request.identity.account_id, context.account_id)
    return _back(request, f"/@{context.username}")


@view_config(
    route_name="person.remove_follower",
    request_method="POST",
    context=PersonContext,
    permission=SocialPermission.FOLLOW,
)
def remove_follower(context: PersonContext, request: Request) -> HTTPSeeOther:
    """The person does not follow one any more."""
    FollowService(request.work).remove_follower(request.identity.account_id, context.account_id)
    request.flash(request.translate(_("@${name} does not follow you any more."), name=context.username))
    return _back(request, f"/@{context.username}")


@view_config(
    route_name="person.block",
    request_method="GET",
    context=PersonContext,
    permission=SocialPermission.BLOCK,
    renderer="templates/block.pt",
)
def ask_block(context: PersonContext, request: Request) -> dict[str, Any]:
    """Is that really meant?"""
    return {"person": context}


@view_config(route_name="person.block", request_method="POST", context=PersonContext, permission=SocialPermission.BLOCK)
def block(context: PersonContext, request: Request) -> HTTPSeeOther:
    """Block, or take it back."""
    service, me = BlockService(request.work), request.identity.account_id
    if "undo" in request.POST:
        service.unblock(me, context.account_id)
        request.flash(request.translate(_("@${name} is not blocked any more."), name=context.username))
    else:
        service.block(me, context.account_id)
        request.flash(request.translate(_("You and @${name} do not see each other any more."), name=context.username))
    return HTTPSeeOther("/settings/blocks")


@view_config(
    route_name="person.mute",
    request_method="GET",
    context=PersonContext,
    permission=SocialPermission.MUTE,
    renderer="templates/mute.pt",
)
def ask_mute(context: PersonContext, request: Request) -> dict[str, Any]:
    """For how long?"""
    return _mute_page(context, Form(request, MuteInput, {"duration": ""}))


@view_config(
    route_name="person.mute",
    request_method="POST",
    context=PersonContext,
    permission=SocialPermission.MUTE,
    renderer="templates/mute.pt",
)
def mute(context: PersonContext, request: Request) -> Any:
    """Mute, or take it back, and return to where the button was."""
    service, me = MuteService(request.work), request.identity.account_id
    if "undo" in request.POST:
        service.unmute(me, context.account_id)
        request.flash(request.translate(_("@${name} is not muted any more."), name=context.username))
        return _back(request, f"/@{context.username}")
    form = Form(request, MuteInput)
    given = form.validate()
    if given is None:
        return _mute_page(context, form)
    service.mute(me, context.account_id, given.end())
    request.flash(request.translate(_("@${name} is muted."), name=context.username))
    return HTTPSeeOther(f"/@{context.username}")


@view_config(
    route_name="person.followers",
    request_method="GET",
    context=PersonContext,
    permission=SocialPermission.LIST,
    renderer="templates/people.pt",
)
def followers(context: PersonContext, request: Request) -> dict[str, Any]:
    """Who follows the person."""
    return _people(request, FOLLOWERS, context)


@view_config(
    route_name="person.following",
    request_method="GET",
    context=PersonContext,
    permission=SocialPermission.LIST,
    renderer="templates/people.pt",
)
def following(context: PersonContext, request: Request) -> dict[str, Any]:
    """Whom the person follows."""
    return _people(request, FOLLOWING, context)


@view_config(
    route_name="follow_requests",
    request_method="GET",
    permission=SocialPermission.LIST_OWN,
    renderer="templates/requests.pt",
)
def requests(context: Any, request: Request) -> dict[str, Any]:
    """Who asks to follow one."""
    return listed_people(request, REQUESTS.page(request.conn, window_of(request), viewer_of(request)))


@view_config(
    route_name="follow_request", request_method="POST", context=PersonContext, permission=SocialPermission.ANSWER
)
def answer(context: PersonContext, request: Request) -> HTTPSeeOther:
    """Accept, or reject, and return to where the buttons were."""
    service, me = FollowService(request.work), request.identity.account_id
    if "reject" in request.POST:
        service.reject(me, context.account_id)
    else:
        service.accept(me, context.account_id)
        request.flash(request.translate(_("@${name} follows you now."), name=context.username))
    return _back(request, "/follow-requests")


def _people(request: Request, people: PeopleList, person: PersonContext) -> dict[str, Any]:
    ui = Ui.of(request)
    page = people.page(request.conn, window_of(request), viewer_of(request), account=person.account_id)
    return listed_people(request, page) | {
        "person": person,
        "name": person.display_name or person.username,
        "incoming": people is FOLLOWERS,
        "button": lambda listed: follow_button(ui, listed),
    }


def _mute_page(person: PersonContext, form: Form[MuteInput]) -> dict[str, Any]:
    return {"person": person, "form": form, "durations": DURATIONS}


def _back(request: Request, default: str) -> HTTPSeeOther:
    return HTTPSeeOther(safe_next(request.POST.get("next"), default))
