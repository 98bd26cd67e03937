"""The rule book: a door without a rule is closed, to everybody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.interfaces import IExceptionResponse
from pyramid.request import Request
from pyramid.response import Response

from mealshare.core.security.identity import AuthMethod, Identity, Role
from mealshare.core.security.permissions import (
    RULES,
    CorePermission,
    Denial,
    Permission,
    RuleBook,
    browser_session,
    owner,
    owner_or_moderator,
    public,
    role_at_least,
    signed_in,
)
from tests.core.wiring import ADMIN, ANN, Setup, call, small_router
from tests.sites import site_settings


class Kitchen(Permission):
    COOK = "kitchen:cook"
    WASH = "kitchen:wash"


class Pot:
    account_id = 1


def person(account_id: int = 1, role: Role = Role.USER, method: AuthMethod = AuthMethod.SESSION) -> Identity:
    return Identity(account_id, "ann", role, method, 11)


@pytest.mark.parametrize(
    ("predicate", "identity", "denial"),
    [
        (public, None, None),
        (public, person(), None),
        (signed_in, None, Denial.LOGIN_REQUIRED),
        (signed_in, person(role=Role.GUEST), None),
        (browser_session, None, Denial.LOGIN_REQUIRED),
        (browser_session, person(), None),
        (browser_session, person(role=Role.ADMIN, method=AuthMethod.BEARER), Denial.SESSION_REQUIRED),
        (role_at_least(Role.MODERATOR), None, Denial.LOGIN_REQUIRED),
        (role_at_least(Role.MODERATOR), person(), Denial.ROLE_TOO_LOW),
        (role_at_least(Role.MODERATOR), person(role=Role.MODERATOR), None),
        (role_at_least(Role.MODERATOR), person(role=Role.ADMIN), None),
        (role_at_least(Role.ADMIN), person(role=Role.MODERATOR), Denial.ROLE_TOO_LOW),
        (owner, None, Denial.LOGIN_REQUIRED),
        (owner, person(1), None),
        (owner, person(2), Denial.NOT_YOURS),
        (owner, person(2, Role.ADMIN), Denial.NOT_YOURS),
        (owner_or_moderator, None, Denial.LOGIN_REQUIRED),
        (owner_or_moderator, person(1), None),
        (owner_or_moderator, person(2), Denial.NOT_YOURS),
        (owner_or_moderator, person(2, Role.MODERATOR), None),
    ],
)
def test_who_may(predicate: Any, identity: Identity | None, denial: Denial | None) -> None:
    assert predicate(identity, Pot()) is denial
    answer = RuleBook({Kitchen.COOK: predicate}).permits(identity, Pot(), Kitchen.COOK)
    assert bool(answer) is (denial is None)
    assert getattr(answer, "reason", None) is denial


def test_roles_are_in_their_order() -> None:
    assert sorted(Role, key=lambda role: role.rank) == [Role.GUEST, Role.USER, Role.MODERATOR, Role.ADMIN]
    assert [role for role in Role if person(role=role).is_moderator] == [Role.MODERATOR, Role.ADMIN]


def test_a_permission_without_a_rule_is_nobodys() -> None:
    answer = RuleBook({}).permits(person(role=Role.ADMIN), Pot(), Kitchen.COOK)
    assert not answer
    assert answer.reason is Denial.NO_RULE


def test_no_rule_is_replaced_and_none_opens_nobodys_door() -> None:
    assert CorePermission.NOBODY not in RULES
    config = Configurator(settings={})
    config.include("mealshare.core.security.permissions")
    config.add_rules({Kitchen.COOK: public})
    for permission in (Kitchen.COOK, CorePermission.SIGNED_IN, CorePermission.PUBLIC):
        with pytest.raises(ValueError, match="has a rule already"):
            config.add_rules({permission: public})
    with pytest.raises(ValueError, match="nobody"):
        config.add_rules({CorePermission.NOBODY: public})
    config.add_rules({Kitchen.WASH: signed_in})
    assert not config.registry["rules"].permits(None, None, Kitchen.WASH)


# Views that forget their permission.


def forgetful(config: Configurator) -> None:
    def view(request: Request) -> Response:
        return Response("open")

    for name, options in [
        ("forgotten", {}), ("unknown", {"permission": "kitchen:burn"}), ("nobody", {"permission": CorePermission.NOBODY}),
        ("said", {"permission": CorePermission.PUBLIC}),
    ]:  # fmt: skip
        config.add_route(name, f"/{name}")
        config.add_route(f"api.{name}", f"/api/{name}")
        config.add_view(view, route_name=name, **options)
        config.add_view(view, route_name=f"api.{name}", **options)


@pytest.fixture
def router(tmp_path: Path) -> Iterator[Any]:
    made = small_router(f"sqlite:///{tmp_path}/x.sqlite", tmp_path, forgetful)
    yield made
    made.registry["engine"].dispose()


@pytest.mark.parametrize("path", ["/forgotten", "/unknown", "/nobody", "/api/forgotten", "/api/unknown", "/api/nobody"])
@pytest.mark.parametrize("session", [None, ANN, ADMIN])
def test_a_view_that_names_no_permission_is_closed_to_everybody(router: Any, path: str, session: str | None) -> None:
    cookie = f"session={session}" if session else ""
    answer = call(router, "GET", path, HTTP_COOKIE=cookie)
    assert answer.status_int == 403
    assert "open" not in answer.text.split()
    assert call(router, "GET", "/said", HTTP_COOKIE=cookie).text == "open"


def test_with_pyramids_own_default_it_would_be_open(tmp_path: Path) -> None:
    """The deliberate break: the same application without the default permission."""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Configurator, "set_default_permission", lambda self, permission: None)
        router = small_router(f"sqlite:///{tmp_path}/x.sqlite", tmp_path, forgetful)
    assert call(router, "GET", "/forgotten").text == "open"
    router.registry["engine"].dispose()


def test_a_visitor_is_sent_to_sign_in_and_others_are_told_why(tmp_path: Path) -> None:
    def wire(config: Configurator) -> None:
        config.add_route("closed", "/closed")
        config.add_view(lambda request: Response("in"), route_name="closed", permission=CorePermission.ADMINISTER)

    router = small_router(f"sqlite:///{tmp_path}/x.sqlite", tmp_path, wire)
    visitor = call(router, "GET", "/closed?a=1&b=2")
    assert (visitor.status_int, visitor.headers["Location"]) == (
        303,
        "http://localhost/login?next=%2Fclosed%3Fa%3D1%26b%3D2",
    )
    person = call(router, "GET", "/closed", HTTP_COOKIE=f"session={ANN}")
    assert person.status_int == 403
    assert "Your role does not allow this." in person.text
    assert call(router, "GET", "/closed", HTTP_COOKIE=f"session={ADMIN}").text == "in"
    router.registry["engine"].dispose()


# All views of the real application.


def is_error_page(context: Any) -> bool:
    """Views of exceptions are not asked for a permission: what they answer has been refused already."""
    return context is IExceptionResponse or (isinstance(context, type) and issubclass(context, Exception))


def doors_without_rule(config: Configurator) -> list[str]:
    """The views of the configured application whose permission has no rule; static files and error pages need none."""
    introspector, rules = config.registry.introspector, config.registry["rules"].rules
    static = {f"__{item['introspectable']['name']}" for item in introspector.get_category("static views") or []}
    wrong = []
    for item in introspector.get_category("views"):
        view, route = item["introspectable"], item["introspectable"]["route_name"] or ""
        named = [str(other["value"]) for other in item["related"] if other.category_name == "permissions"]
        if route not in static and not is_error_page(view["context"]) and (not named or named[0] not in rules):
            wrong.append(f"{route}: {named}")
    return wrong


def configured(tmp_path: Path, setup: Setup | None = None) -> Configurator:
    from mealshare import configure

    settings = site_settings(tmp_path, f"sqlite:///{tmp_path}/x.sqlite", "http://localhost")
    config = configure(settings | {"db.check_revision": "false", "jobs.engine": "worker"})
    if setup is not None:
        setup(config)
    config.commit()
    config.registry["engine"].dispose()
    return config


def test_every_view_of_the_application_names_a_permission_that_has_a_rule(tmp_path: Path) -> None:
    config = configured(tmp_path)
    assert len(config.registry.introspector.get_category("views")) > 40
    assert doors_without_rule(config) == []


def test_a_view_without_is_found(tmp_path: Path) -> None:
    wrong = doors_without_rule(configured(tmp_path, forgetful))
    assert sorted(name.partition(":")[0] for name in wrong) == [
        "api.forgotten", "api.nobody", "api.unknown", "forgotten", "nobody", "unknown",
    ]  # fmt: skip
