"""What pages show of how two people stand to each other: the button to follow, the slots of the person's page."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup
from pyramid.request import Request

from mealshare.core.db import Page
from mealshare.core.i18n import _
from mealshare.features.social.queries import MOST_COUNTED, ListedPerson
from mealshare.features.social.resources import PersonContext, viewer_of
from mealshare.web.paging import older_address
from mealshare.web.ui import Ui

FOLLOW = _("Follow")
ASK = _("Ask to follow")
REQUESTED = _("Requested")
UNFOLLOW = _("Unfollow")
TAKE_BACK = _("Take the request back")
#: The icon and the words for each state of the reader's follow; a locked account is asked.
FACES = {
    (None, False): ("user-plus", FOLLOW),
    (None, True): ("user-plus", ASK),
    ("requested", False): ("clock", REQUESTED),
    ("requested", True): ("clock", REQUESTED),
    ("accepted", False): ("user-minus", UNFOLLOW),
    ("accepted", True): ("user-minus", UNFOLLOW),
}
FORM = Markup(
    '<form class="follow" id="follow-{id}" method="post" action="/@{user}/follow"{htmx}>'
    '<input type="hidden" name="csrf_token" value="{csrf}"><input type="hidden" name="next" value="{next}">{undo}'
    '<button class="button {kind}" id="follows-{id}" type="submit"{title}>{icon}{label}'
    '<span class="visually-hidden"> @{user}</span></button></form>'
)
# Only for those who are signed in: a visitor is sent to the login page, which cannot take the place of a button.  The
# new button comes from the person's own page, where it always stands.
HTMX = Markup(
    ' hx-post="/@{user}/follow" hx-vals=\'{{"next": "/@{user}"}}\' hx-target="this" hx-select="#follow-{id}"'
    ' hx-select-oob="#followers-{id}" hx-swap="outerHTML ignoreTitle:true"'
)
UNDO = Markup('<input type="hidden" name="undo" value="1">')
TITLE = Markup(' title="{}"')


def follow_button(ui: Ui, person: PersonContext) -> Markup:
    """The form with which the reader follows the person or ends it; nothing on one's own page."""
    identity = ui.identity
    if identity is not None and identity.account_id == person.account_id:
        return Markup()
    names, state = {"user": person.username, "id": person.account_id}, person.relation.following
    icon, label = FACES[state, person.locked]
    return FORM.format(
        **names,
        htmx="" if identity is None else HTMX.format(**names),
        csrf=ui.csrf_token,
        next=ui.escaped_path,
        undo="" if state is None else UNDO,
        kind="button--primary" if state is None else "",
        title=TITLE.format(ui.t(TAKE_BACK)) if state == "requested" else "",
        icon=ui.icon(icon),
        label=ui.t(label),
    )


def person_actions(request: Request) -> dict[str, Any] | None:
    """What the reader can do about the person whose page it is; nothing on one's own."""
    person: PersonContext = request.context
    ui = Ui.of(request)
    if viewer_of(request) == person.account_id:
        return None
    return {"ui": ui, "person": person, "button": follow_button(ui, person), "signed_in": ui.identity is not None}


def person_facts(request: Request) -> dict[str, Any]:
    """How many follow the person whose page it is, and how many they follow."""
    return {"person": request.context}


def waiting_link(request: Request) -> dict[str, Any] | None:
    """The entry of the menu for those who have somebody to answer."""
    identity = Ui.of(request).identity
    number = 0 if identity is None else identity.more.get("follow_requests", 0)
    if not number:
        return None
    return {"number": number, "most": MOST_COUNTED, "here": request.path == "/follow-requests"}


def settings_links(request: Request) -> dict[str, Any]:
    """The entries among the settings."""
    return {"path": request.path}


def listed_people(request: Request, page: Page[ListedPerson]) -> dict[str, Any]:
    """What the template of a list of people needs."""
    older = older_address(request, page.next_max_id)
    return {"people": page.items, "older": older, "first": "max_id" not in request.GET}
