"""What a mail is, and how it becomes bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, getaddresses, make_msgid
from typing import Protocol

from mealshare.core import clock

_LONGEST_SUBJECT = 200
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
#: One address and no more: no comma, no quotes, no comment, no angle brackets, so it cannot name a second recipient.
_ADDRESS = re.compile(r"[^\s@<>()\[\]\\,;:\"\x00-\x1f\x7f]{1,64}@(?:[\w-]{1,63}\.)*[\w-]{1,63}")
_LONGEST_ADDRESS = 254


class MailRefused(ValueError):
    """The message can never be sent as it is; trying again is no use."""


class MailFailed(Exception):
    """The message could not be sent now; trying again later may help."""


@dataclass(frozen=True)
class Message:
    """A mail to one person: plain text, which every reader shows and no filter distrusts.

    ``to`` is a bare address.  MailRefused for anything in ``to`` or ``subject`` that could become a second recipient or
    a header of its own (a line break, a comma ...), and for an empty or overlong one.
    """

    to: str
    subject: str
    text: str

    def __post_init__(self) -> None:
        check_address(self.to)
        if not self.subject.strip() or len(self.subject) > _LONGEST_SUBJECT or _CONTROL.search(self.subject):
            raise MailRefused(f"not a subject: {self.subject!r:.100}")
        if "\0" in self.text:
            raise MailRefused("the text holds a NUL character")


class Mailer(Protocol):
    """Sends mail.  Called from a job, never inside a request."""

    def send(self, message: Message) -> None:
        """Hand ``message`` over.  Raises MailFailed (try again) or MailRefused (do not)."""

    def healthy(self) -> bool:
        """Whether mail could be handed over now."""


def check_address(address: str) -> str:
    """``address``, if it is a single bare mail address; else MailRefused.  RFC 5321, without its quoted forms."""
    if len(address) > _LONGEST_ADDRESS or not _ADDRESS.fullmatch(address):
        raise MailRefused(f"not a mail address: {address!r:.100}")
    return address


def parse_sender(sender: str) -> Address:
    """The sender in ``Name <address>`` or a bare address; MailRefused if it is neither."""
    named = getaddresses([sender])
    if len(named) != 1 or _CONTROL.search(sender):
        raise MailRefused(f"not a sender: {sender!r:.100}")
    name, address = named[0]
    user, _, domain = check_address(address).rpartition("@")
    if not user.isascii():
        raise MailRefused(f"not a sender that every server takes: {sender!r:.100}")
    return Address(name, user, ascii_domain(domain))


def ascii_domain(domain: str) -> str:
    """``domain`` as the mail system writes it (IDNA); MailRefused if that cannot be done."""
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        raise MailRefused(f"not a domain: {domain!r:.100}") from None


def recipient(message: Message) -> str:
    """The address for the envelope and the To header."""
    user, _, domain = message.to.rpartition("@")
    return f"{user}@{ascii_domain(domain)}"


def build(message: Message, sender: Address) -> EmailMessage:
    """``message`` with its headers (RFC 5322), marked as sent by a machine (RFC 3834) so that nothing answers it."""
    user, _, domain = recipient(message).rpartition("@")
    # 7bit makes the body base64 or quoted-printable, which every server passes on as it is.
    mail = EmailMessage(policy=SMTP.clone(cte_type="7bit", utf8=not user.isascii()))
    mail["From"] = sender
    mail["To"] = Address("", user, domain)
    mail["Subject"] = message.subject
    mail["Date"] = format_datetime(clock.now())
    mail["Message-ID"] = make_msgid(domain=sender.domain)
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text, charset="utf-8")
    return mail
