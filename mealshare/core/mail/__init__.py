"""Mail: ``registry["mailer"]``.  Sending may take seconds and may fail, so it happens in a job."""

from __future__ import annotations

import ipaddress
import logging
import ssl
from dataclasses import dataclass
from pathlib import Path

from pyramid.config import Configurator

from mealshare.core.mail.folder import FolderMailer
from mealshare.core.mail.message import Mailer, MailFailed, MailRefused, Message, parse_sender
from mealshare.core.mail.smtp import SmtpMailer
from mealshare.core.settings import Secret, SettingsError, setting

__all__ = [
    "FolderMailer",
    "MailFailed",
    "MailRefused",
    "MailSettings",
    "Mailer",
    "Message",
    "SmtpMailer",
    "make_mailer",
]

MAIL_TO_FOLDER = "mail.no_server"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MailSettings:
    """How mail leaves."""

    host: str = setting("", "The SMTP server; if it is empty, mail is written into mail.folder instead.")
    port: int = setting(
        0, "Its port; 0 is the standard one: 25, 587 or 465 by mail.security.", minimum=0, maximum=65535
    )
    user: str = setting("", "User name at the SMTP server; empty: no login.")
    password: Secret = setting(Secret(""), "Password at the SMTP server.")
    security: str = setting(
        "starttls", "Encryption: none, starttls (port 587) or tls (port 465).", choices=("none", "starttls", "tls")
    )
    ca_file: str = setting(
        "", "PEM file of a private certificate authority that the SMTP server's certificate comes from."
    )
    timeout: int = setting(15, "Seconds to wait for the SMTP server.", minimum=1, maximum=300)
    sender: str = setting("MealShare <mealshare@localhost>", "The From address of all mail.")
    folder: Path = setting(Path("var/mail"), "Where mail goes as .eml files while mail.host is empty.")


def make_mailer(settings: MailSettings) -> Mailer:
    """The mailer that ``settings`` describe; SettingsError if they contradict each other."""
    try:
        sender = parse_sender(settings.sender)
    except MailRefused as error:
        raise SettingsError(f"the setting mail.sender is wrong: {error}") from error
    if not settings.host:
        return FolderMailer(settings.folder, sender)
    if settings.user and settings.security == "none" and not _is_this_machine(settings.host):
        raise SettingsError(
            "the setting mail.security is wrong: none would send mail.password readable over the network"
        )
    if not (settings.user + settings.password).isascii():
        # smtplib encodes both as ASCII, and would fail at the first mail.
        raise SettingsError("the setting mail.user or mail.password is wrong: only ASCII characters can be sent")
    try:
        return SmtpMailer(
            host=settings.host,
            port=settings.port,
            user=settings.user,
            password=settings.password,
            security=settings.security,
            timeout=settings.timeout,
            ca_file=settings.ca_file,
            sender=sender,
        )
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"the setting mail.ca_file is wrong: {error}") from error


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def includeme(config: Configurator) -> None:
    """Register the settings and the mailer, and say so if mail will not leave."""
    settings = config.declare_settings(MailSettings, prefix="mail")
    config.registry["mailer"] = make_mailer(settings)
    if not settings.host:
        log.warning(MAIL_TO_FOLDER, extra={"folder": str(settings.folder)})
