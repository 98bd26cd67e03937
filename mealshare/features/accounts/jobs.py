"""What happens after the answer: sending mail, and sweeping up what has expired."""

from __future__ import annotations

import logging
from typing import Any

from pyramid.registry import Registry

from mealshare.core.mail import MailRefused, Message
from mealshare.core.settings import settings_of
from mealshare.features.accounts import queries_access
from mealshare.features.accounts.factory import letters
from mealshare.features.accounts.service_passwords import make_reset
from mealshare.features.accounts.service_sessions import sweep
from mealshare.features.accounts.settings import AuthSettings

MAIL_REFUSED = "mail.refused"
SWEPT = "accounts.swept"

log = logging.getLogger(__name__)


def send_mail(registry: Registry, payload: dict[str, Any]) -> None:
    """Job ``mail.send``: hand ``{to, subject, text}`` to the mailer; a failure is tried again, a refusal is not."""
    _send(registry, Message(payload["to"], payload["subject"], payload["text"]))


def mail_reset_link(registry: Registry, payload: dict[str, Any]) -> None:
    """Job ``accounts.mail_reset_link``: if the address ``{email}`` has an account, mail it a link.

    The request queues this for every address alike, so that its answer takes the same time for each.  Run twice, it
    mails two links, each good once.
    """
    settings = settings_of(registry, AuthSettings)
    with registry["open_work"]() as work:
        person = queries_access.credentials(work.connection, payload["email"])
        if person is None or person.suspended:
            return
        token = make_reset(work, settings, person.account_id)
    _send(registry, letters(registry).reset(person, token, settings.reset_minutes))


def sweep_expired(registry: Registry, payload: dict[str, Any]) -> None:
    """Job ``accounts.sweep``, every hour: delete expired sessions, grants, tokens and links."""
    with registry["open_work"]() as work:
        count = sweep(work, settings_of(registry, AuthSettings))
    if count:
        log.info(SWEPT, extra={"rows": count})


def _send(registry: Registry, message: Message) -> None:
    try:
        registry["mailer"].send(message)
    except MailRefused as refused:
        log.warning(MAIL_REFUSED, extra={"reason": str(refused)})
