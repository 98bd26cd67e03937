"""Mail by SMTP."""

from __future__ import annotations

import logging
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.headerregistry import Address

from mealshare.core.mail.message import MailFailed, MailRefused, Message, build, recipient

MAIL_SENT = "mail.sent"
#: RFC 5321 (relay), RFC 6409 (submission, STARTTLS), RFC 8314 (submission over TLS).
STANDARD_PORTS = {"none": 25, "starttls": 587, "tls": 465}

log = logging.getLogger(__name__)


class SmtpMailer:
    """A Mailer that hands each message to an SMTP server, over a connection of its own.

    ``security`` is none, starttls or tls; with the last two the server's certificate must be valid for ``host``, and a
    server that does not offer STARTTLS gets nothing.  ``port`` 0 is the standard port.  ``ca_file`` names a PEM file
    with a private certificate authority.
    """

    def __init__(
        self,
        *,
        host: str,
        sender: Address,
        port: int = 0,
        user: str = "",
        password: str = "",
        security: str = "starttls",
        timeout: float = 15,
        ca_file: str = "",
    ) -> None:
        self._host = host
        self._port = port or STANDARD_PORTS[security]
        self._sender = sender
        self._user = user
        self._password = password
        self._security = security
        self._timeout = timeout
        self._tls = ssl.create_default_context(cafile=ca_file or None) if security != "none" else None

    def send(self, message: Message) -> None:
        """See Mailer."""
        mail, to = build(message, self._sender), recipient(message)
        try:
            with self._connection() as server:
                # Not send_message(): it writes ">From" where a line begins with "From".
                server.sendmail(self._sender.addr_spec, [to], bytes(mail), _options(server, to))
        except smtplib.SMTPRecipientsRefused as error:
            code, reason = error.recipients[to]
            raise _failure(code, reason) from error
        except smtplib.SMTPNotSupportedError as error:
            raise MailRefused(f"the mail server cannot do it: {error}") from error
        except smtplib.SMTPAuthenticationError as error:
            # A wrong password is the operator's to mend; the message itself is good.
            raise MailFailed(f"the mail server refused the user or the password ({error.smtp_code})") from error
        except smtplib.SMTPResponseException as error:
            raise _failure(error.smtp_code, error.smtp_error) from error
        except (OSError, smtplib.SMTPException) as error:
            raise MailFailed(f"cannot send by {self._host}:{self._port}: {error}") from error
        log.info(MAIL_SENT, extra={"message_id": mail["Message-ID"]})

    def healthy(self) -> bool:
        """See Mailer."""
        try:
            with self._connection() as server:
                return server.noop()[0] == 250
        except (OSError, smtplib.SMTPException, MailFailed):
            return False

    @contextmanager
    def _connection(self) -> Iterator[smtplib.SMTP]:
        """A connection that is encrypted and logged in as the settings say."""
        # The name given in EHLO; smtplib would ask the DNS for it, which can take longer than the mail.
        name = self._sender.domain
        if self._security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                self._host, self._port, local_hostname=name, timeout=self._timeout, context=self._tls
            )
        else:
            server = smtplib.SMTP(self._host, self._port, local_hostname=name, timeout=self._timeout)
        with server:
            if self._security == "starttls":
                try:
                    server.starttls(context=self._tls)
                except smtplib.SMTPNotSupportedError as error:
                    raise MailFailed(f"{self._host}:{self._port} does not offer STARTTLS") from error
            if self._user:
                server.login(self._user, self._password)
            yield server


def _options(server: smtplib.SMTP, to: str) -> list[str]:
    """What an address beyond ASCII needs (RFC 6531); SMTPNotSupportedError if the server does not have it."""
    if to.isascii():
        return []
    server.ehlo_or_helo_if_needed()
    if not server.has_extn("smtputf8"):
        raise smtplib.SMTPNotSupportedError("it does not take addresses beyond ASCII")
    return ["SMTPUTF8", "BODY=8BITMIME"]


def _failure(code: int, reason: bytes | str) -> MailFailed | MailRefused:
    """RFC 5321, 4.2.1: a reply of 5yz is for good, any other for now."""
    words = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else reason
    return (MailRefused if 500 <= code < 600 else MailFailed)(f"the mail server answered {code}: {words[:200]}")
