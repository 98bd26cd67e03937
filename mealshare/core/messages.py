"""The words for every code: fields, problems, denials and failed tokens, in one place for both faces.

A feature adds its own codes with ``config.add_messages({code: _("...")})``.  Parameters appear as ``${name}``.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyramid.config import Configurator

from mealshare.core.i18n import _

#: What may be wrong with a single input.
FIELDS: Mapping[str, str] = {
    "missing": _("This is required."),
    "unknown": _("There is no such field."),
    "wrong_type": _("This is not a value of the right kind."),
    "not_text": _("This must be text."),
    "not_integer": _("This must be a whole number."),
    "not_number": _("This must be a number."),
    "not_boolean": _("This must be true or false."),
    "not_list": _("This must be a list."),
    "not_object": _("This must be an object."),
    "too_short": _("This must have at least ${min} characters."),
    "too_long": _("This may have at most ${max} characters."),
    "too_few": _("At least ${min} are needed."),
    "too_many": _("At most ${max} are allowed."),
    "too_small": _("This must be at least ${min}."),
    "too_big": _("This may be at most ${max}."),
    "not_a_choice": _("Choose one of: ${choices}."),
    "bad_format": _("This does not have the right form."),
    "bad_date": _("This is not a date."),
    "bad_datetime": _("This is not a date and time."),
    "bad_url": _("This is not a web address that begins with http:// or https://."),
    "bad_time_zone": _("This is not a time zone, such as Europe/Paris."),
    "bad_id": _("This is not an id."),
    "control_characters": _("This contains characters that cannot be stored."),
    "duplicate": _("This appears twice."),
}

#: What may be wrong with a request as a whole: the title of the problem document and of the error page.
PROBLEMS: Mapping[str, str] = {
    "bad_request": _("The request cannot be understood."),
    "invalid": _("Some of the values are not right."),
    "bad_json": _("The body is not valid JSON."),
    "bad_encoding": _("The address or the body is not valid UTF-8."),
    "unknown_parameter": _("The request has a parameter that does not exist here."),
    "login_required": _("You need to sign in for this."),
    "forbidden": _("You may not do this."),
    "not_yours": _("This belongs to somebody else."),
    "role_too_low": _("Your role does not allow this."),
    "session_required": _("This can only be done after signing in with a browser."),
    "scope_missing": _("The token does not have the scope for this."),
    "no_personal_token": _("A personal access token cannot do this. Sign in instead."),
    "no_rule": _("You may not do this."),
    "csrf": _("The form was too old, or did not come from this site. Please try again."),
    "not_found": _("There is nothing here."),
    "method_not_allowed": _("This address does not know that method."),
    "not_acceptable": _("This cannot be given in a form that you accept."),
    "conflict": _("This clashes with what is there already."),
    "gone": _("This is gone."),
    "precondition_failed": _("This has changed in the meantime."),
    "too_large": _("This is too large."),
    "uri_too_long": _("The address is too long."),
    "unsupported_media_type": _("Content of this type is not accepted here."),
    "rate_limited": _("That was too often. Try again in ${retry_after} seconds."),
    "internal": _("Something went wrong on our side."),
    "read_only": _("This site can only be read at the moment. Nothing was changed; please try again later."),
    "unavailable": _("The site is busy. Please try again in a moment."),
    "storage_full": _("There is no room left to store this. Nothing was changed."),
    "token_malformed": _("The token is not well-formed."),
    "token_algorithm": _("The token is signed with an algorithm that is not accepted."),
    "token_key_unknown": _("The token is signed with a key that is not known."),
    "token_signature": _("The signature of the token is wrong."),
    "token_expired": _("The token has expired."),
    "token_not_yet_valid": _("The token is not valid yet."),
    "token_issued_in_future": _("The token claims to come from the future."),
    "token_issuer": _("The token was issued by somebody else."),
    "token_audience": _("The token is meant for somebody else."),
    "token_type": _("This is not an access token."),
    "token_claim_missing": _("The token lacks a required claim."),
    "token_claim_invalid": _("A claim of the token has the wrong form."),
    "token_too_large": _("The token is too large."),
    "token_revoked": _("The token has been revoked."),
    "token_unknown": _("The token is not known here. It may have been revoked."),
}


def _add_messages(config: Configurator, messages: Mapping[str, str]) -> None:
    config.registry["messages"].update(messages)


def includeme(config: Configurator) -> None:
    """Collect the messages and add ``config.add_messages``."""
    config.registry["messages"] = {**FIELDS, **PROBLEMS}
    config.add_directive("add_messages", _add_messages, action_wrap=False)
