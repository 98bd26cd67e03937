"""The HTML face of meals: look at one, post, edit, delete."""

from __future__ import annotations

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from pyramid.view import view_config

from mealshare.core.errors import InputInvalid, PreconditionFailed
from mealshare.core.i18n import _
from mealshare.core.security.permissions import CorePermission
from mealshare.features.meals import drafts
from mealshare.features.meals.cards import Card
from mealshare.features.meals.factory import meal_service
from mealshare.features.meals.form import (
    SAVE,
    compose_values,
    edit_form,
    fill_time,
    inspired_form,
    meal_data,
    new_form,
    original_of,
)
from mealshare.features.meals.html import card_actions, card_notes, card_values, meal_title
from mealshare.features.meals.models import Meal
from mealshare.features.meals.pictures import add_pictures
from mealshare.features.meals.resources import MealContext, viewer_of
from mealshare.features.meals.rules import MealPermission
from mealshare.features.meals.schemas import MealInput
from mealshare.web.forms import Form
from mealshare.web.ui import Ui

NEW = _("What did you eat?")
ATE_TOO = _("I ate this too")
EDIT = _("Edit your meal")


@view_config(
    route_name="meal",
    request_method="GET",
    context=MealContext,
    permission=MealPermission.VIEW,
    renderer="templates/meal.pt",
)
def show(context: MealContext, request: Request) -> dict[str, Any]:
    """One meal."""
    ui, card, registry = Ui.of(request), context.card, request.registry
    gate = next(filter(None, (gate(request, card) for gate in registry["meal_gates"])), "")
    return card_values(card, ui) | {
        "title": meal_title(card, ui),
        "gate": gate,
        "notes": card_notes(ui, card),
        "actions": card_actions(ui, card),
        "heads": [head(request, card) for head in registry["meal_heads"]],
        "panels": [] if gate else [panel(request, card) for _order, panel in registry["meal_panels"]],
    }


@view_config(route_name="meal.uri", request_method="GET", context=MealContext, permission=MealPermission.VIEW)
def meal_uri(context: MealContext, request: Request) -> HTTPSeeOther:
    """The permanent address of a meal leads to the page about it."""
    return HTTPSeeOther(context.card.url)


@view_config(
    route_name="meal.new", request_method="GET", permission=CorePermission.PUBLIC, renderer="templates/edit.pt"
)
def new(context: Any, request: Request) -> dict[str, Any]:
    """The compose box on a page of its own; with what the food is, if somebody ate it too."""
    original = original_of(request.conn, request.GET.get("inspired_by"), viewer_of(request))
    form = inspired_form(request, original) if original else drafts.form_of(request) or new_form(request)
    fill_time(form, request.GET.get("eaten_at"))
    return _compose_page(request, form)


@view_config(
    route_name="meal.new", request_method="POST", permission=CorePermission.PUBLIC, renderer="templates/edit.pt"
)
def post(context: Any, request: Request) -> Any:
    """Post a meal; a visitor's is kept until there is an account."""
    form = new_form(request)
    data = meal_data(form)
    if request.identity is None:
        return drafts.keep(request, form, data) or _compose_page(request, form)
    add_pictures(request, form, data)
    meal = form.validate(data)
    posted = None if meal is None or form.errors else _post(request, form, meal)
    if posted is None:
        return _compose_page(request, form)
    drafts.forget(request)
    request.flash(_("Published. Enjoy your meal!"))
    return HTTPSeeOther(f"/@{request.identity.username}/{posted.id}")


@view_config(
    route_name="meal.edit",
    request_method="GET",
    context=MealContext,
    permission=MealPermission.EDIT,
    renderer="templates/edit.pt",
)
def edit(context: MealContext, request: Request) -> dict[str, Any]:
    """The form with what the meal says."""
    return _edit_page(request, context, edit_form(request, context.card))


@view_config(
    route_name="meal.edit",
    request_method="POST",
    context=MealContext,
    permission=MealPermission.EDIT,
    renderer="templates/edit.pt",
)
def save(context: MealContext, request: Request) -> Any:
    """Save what was changed; if somebody else (or another window) was quicker, show the form again."""
    form = edit_form(request, context.card)
    data = meal_data(form, card=context.card)
    add_pictures(request, form, data, known=context.card.media)
    meal = form.validate(data)
    if meal is None or form.errors or not _save(request, context, form, meal):
        return _edit_page(request, context, form)
    request.flash(_("Saved."))
    return HTTPSeeOther(_path(context))


@view_config(
    route_name="meal.delete",
    request_method="GET",
    context=MealContext,
    permission=MealPermission.DELETE,
    renderer="templates/delete.pt",
)
def ask_delete(context: MealContext, request: Request) -> dict[str, Any]:
    """Is that really meant?"""
    return {"title": meal_title(context.card, Ui.of(request)), "path": _path(context)}


@view_config(route_name="meal.delete", request_method="POST", context=MealContext, permission=MealPermission.DELETE)
def delete(context: MealContext, request: Request) -> HTTPSeeOther:
    """Delete the meal."""
    meal_service(request).delete(context.account_id, context.id)
    request.flash(_("The meal is deleted."))
    return HTTPSeeOther(f"/@{context.card.username}")


def _post(request: Request, form: Form[MealInput], meal: MealInput) -> Meal | None:
    original = _original(request, form)
    inspired_by = original.id if original else None
    try:
        return meal_service(request).post(request.identity.account_id, meal, inspired_by=inspired_by)
    except InputInvalid as invalid:
        form.fail_with(invalid)
        return None


def _save(request: Request, context: MealContext, form: Form[MealInput], meal: MealInput) -> bool:
    seen = str(form.value("version"))
    version = int(seen) if seen.isascii() and seen.isdigit() and len(seen) < 10 else context.card.version
    try:
        meal_service(request).edit(context.account_id, context.id, meal, version=version)
    except InputInvalid as invalid:
        form.fail_with(invalid)
    except PreconditionFailed:
        # The next attempt says that it has seen the newer version.
        form.values["version"] = context.card.version
        form.fail_with(InputInvalid.of("", "edited_elsewhere"))
    return not form.errors


def _compose_page(request: Request, form: Form[MealInput]) -> dict[str, Any]:
    original = _original(request, form)
    title = request.translate(NEW if original is None else ATE_TOO)
    return compose_values(request, form, "/new", original=original) | {"title": title}


def _original(request: Request, form: Form[MealInput]) -> Card | None:
    return original_of(request.conn, form.value("inspired_by"), viewer_of(request))


def _edit_page(request: Request, context: MealContext, form: Form[MealInput]) -> dict[str, Any]:
    return compose_values(request, form, f"{_path(context)}/edit", SAVE) | {"title": request.translate(EDIT)}


def _path(context: MealContext) -> str:
    return f"/@{context.card.username}/{context.id}"
