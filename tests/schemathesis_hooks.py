"""What schemathesis must know of a site that its OpenAPI document cannot say: how to sign in, and which rules compare a
value with something outside of the request.

Loaded by the command line of schemathesis (`tests/test_schemathesis.py` starts it); ``SITE_URL`` is the site, which has
the accounts `PEOPLE`.
"""

from __future__ import annotations

import os
import uuid
from typing import Any

import httpx
import schemathesis
from hypothesis import strategies
from schemathesis import AuthContext, Case, CheckContext, HookContext, Response
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.openapi.checks import IgnoredAuth, RejectedPositiveData
from schemathesis.specs.openapi.checks import ignored_auth, negative_data_rejection, positive_data_acceptance

#: Who calls: the one who stays signed in, and the one whose sign-in each call may end.
STAYING, LEAVING = "walker", "leaver"
PEOPLE = {name: f"{name}, noodles at midnight" for name in (STAYING, LEAVING)}

#: Codes of what is well-formed and refused nevertheless: it is compared with what the site has, with the clock, or with
#: another value of the request.  The document says so in words only.
OUTSIDE_THE_SCHEMA = frozenset(
    {
        "allergen_in_both", "bad_url", "batch_path", "duplicate", "eaten_at_range", "email_unusable", "empty_file",
        "expiry_range", "food_or_photo", "half_a_coordinate", "media_not_found", "mute_end_range", "no_such_comment",
        "one_login", "one_mute_end", "password_common", "password_wrong",
        "picture_unsupported_type", "scope_not_held", "tag_characters", "tag_empty", "tag_letter", "tag_too_long",
        "username_taken",
        # How many pictures a meal may have is a setting of the site.
        "#/media:too_many",
        # A patch of the place is a whole place where the meal had none.
        "#/place/name:missing",
        # Classes of Unicode, which differ between regular expressions.
        "#/password:control_characters", "#/new_password:control_characters",
        # Of dates: JSON Schema bounds numbers only.
        "from:too_small", "from:too_big", "to:too_small", "to:too_big", "#/before:bad_datetime",
        # Counted without what cannot be seen.
        "#/name:too_short", "#/place/name:too_short", "#/username:too_short",
    }
)  # fmt: skip

#: The one operation that is left out, because its answer does not end; `tests.functional.streams` reads it.
ENDLESS = "streamMeals"

schemathesis.openapi.format("time-zone", strategies.sampled_from(["UTC", "Asia/Shanghai", "America/New_York"]))


def sign_in(name: str) -> str:
    """A new access token of ``name``."""
    answer = httpx.post(
        f"{os.environ['SITE_URL']}/api/login", json={"username": name, "password": PEOPLE[name]}, timeout=60
    )
    return str(answer.raise_for_status().json()["access_token"])


class SignedIn:
    """Calls with an access token."""

    name = STAYING

    def get(self, case: Case, context: AuthContext) -> str:
        """The token."""
        return sign_in(self.name)

    def set(self, case: Case, data: str, context: AuthContext) -> None:
        """Send it."""
        case.headers["Authorization"] = f"Bearer {data}"


#: Operations that end sign-ins, that of the call among them.
ENDING = ["logout", "endDevice", "endOtherDevices"]


@schemathesis.auth(refresh_interval=None).apply_to(operation_id=ENDING)
class SignedInForOnce(SignedIn):
    """Calls with a token that nothing else needs."""

    name = LEAVING


schemathesis.auth(refresh_interval=3600).skip_for(operation_id=ENDING)(SignedIn)


@schemathesis.hook
def before_call(context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    """An ``Idempotency-Key`` is of one request: another one with the same key is refused, as it should be."""
    if "Idempotency-Key" in case.headers and case.meta is not None and case.meta.generation.mode.is_positive:
        case.headers["Idempotency-Key"] = str(uuid.uuid4())


def code_of(error: dict[str, str]) -> str:
    """The code of one wrong input, with its place where `OUTSIDE_THE_SCHEMA` has it so."""
    named = f"{error.get('parameter') or error.get('pointer')}:{error['code']}"
    return named if named in OUTSIDE_THE_SCHEMA else error["code"]


@schemathesis.check
def valid_is_accepted(context: CheckContext, response: Response, case: Case) -> bool | None:
    """`positive_data_acceptance`, but for what no schema can say."""
    try:
        return positive_data_acceptance(context, response, case)
    except RejectedPositiveData:
        if response.status_code == httpx.codes.PRECONDITION_FAILED and "If-Match" in case.headers:
            return None
        problem = response.json()
        codes = {code_of(error) for error in problem.get("errors", ())} or {problem["type"].rpartition("/")[2]}
        if codes - OUTSIDE_THE_SCHEMA:
            raise
        return None


@schemathesis.check
def invalid_is_refused(context: CheckContext, response: Response, case: Case) -> bool | None:
    """`negative_data_rejection`, but what is refused because of its ``If-Match`` or its length was refused too, and each
    field of a form is text, whatever it was before it was sent."""
    try:
        return negative_data_rejection(context, response, case)
    except AcceptedNegativeData as accepted:
        if case.media_type == "multipart/form-data" and "violates `type` at /properties/" in accepted.message:
            return None
        if response.status_code in (httpx.codes.PRECONDITION_FAILED, httpx.codes.REQUEST_ENTITY_TOO_LARGE):
            return None
        raise


@schemathesis.check
def needs_sign_in(context: CheckContext, response: Response, case: Case) -> bool | None:
    """`ignored_auth`, but a visitor may be told as well that there is no such thing: of what is hidden, all are told so."""
    try:
        return ignored_auth(context, response, case)
    except IgnoredAuth as refused:
        if "got `404 Not Found`" not in refused.message:
            raise
        return None
