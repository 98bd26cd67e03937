"""What every mailer must do, run on each one: the folder, and SMTP to a real server in this process."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from mealshare.core.mail import FolderMailer, Mailer, MailFailed, MailRefused, Message, SmtpMailer
from mealshare.core.mail.message import parse_sender
from tests.certificates import make_certificate

SENDER = parse_sender("MealShare <no-reply@meals.example>")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:aiosmtpd")


@dataclass
class Mailbox:
    """The handler of the SMTP server: keeps what arrives, refuses what it is told to."""

    arrived: list[tuple[list[str], bytes]] = field(default_factory=list)
    senders: list[str | None] = field(default_factory=list)
    logins: list[bytes] = field(default_factory=list)
    greeting: list[str] = field(default_factory=list)
    answer_to_recipient: str = "250 OK"
    answer_to_data: str = "250 OK"
    encrypted: list[bool] = field(default_factory=list)

    async def handle_RCPT(  # The library names its hooks after the commands.
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.answer_to_recipient.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.answer_to_recipient

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.answer_to_data.startswith("250"):
            assert isinstance(envelope.content, bytes)
            self.arrived.append((envelope.rcpt_tos, envelope.content))
            self.senders.append(envelope.mail_from)
            self.greeting.append(str(session.host_name))
            self.encrypted.append(session.ssl is not None)
        return self.answer_to_data

    def login(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(data.password)
        return AuthResult(success=(data.login, data.password) == (b"user", b"pass"), handled=False)


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def start(mailbox: Mailbox) -> Iterator[Callable[..., int]]:
    running: list[Controller] = []

    def begin(**options: Any) -> int:
        port = free_port()
        controller = Controller(mailbox, hostname="127.0.0.1", port=port, server_hostname="mail.test", **options)
        controller.start()
        running.append(controller)
        return port

    yield begin
    for controller in running:
        controller.stop()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that signed itself, with its key, in one PEM file."""
    made, key = make_certificate("127.0.0.1")
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(key + made)
    return path


@pytest.fixture
def server_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def smtp(port: int, **options: Any) -> SmtpMailer:
    return SmtpMailer(
        **({"host": "127.0.0.1", "port": port, "sender": SENDER, "security": "none", "timeout": 5} | options)
    )


Sent = Callable[[], list[EmailMessage]]


@pytest.fixture(params=["folder", "smtp"])
def mailer(
    request: pytest.FixtureRequest, tmp_path: Path, mailbox: Mailbox, start: Callable[..., int]
) -> tuple[Mailer, Sent]:
    """A mailer, and what it has sent so far."""
    if request.param == "folder":
        return FolderMailer(tmp_path, SENDER), lambda: [parse(path.read_bytes()) for path in sorted(tmp_path.iterdir())]
    return smtp(start()), lambda: [parse(data) for _, data in mailbox.arrived]


def parse(data: bytes) -> EmailMessage:
    return message_from_bytes(data, _class=EmailMessage, policy=default)


def text_of(mail: EmailMessage) -> str:
    """The text as it was written; on the way its lines end as RFC 2045 wants them."""
    return str(mail.get_content()).replace("\r\n", "\n")


def test_a_message_arrives_whole(mailer: tuple[Mailer, Sent]) -> None:
    sender, sent = mailer
    text = "你好\n.\n.. dots\nFrom the start\n" + "x" * 2000 + "\n"
    sender.send(Message("jo@eater.example", "重置密码", text))
    sender.send(Message("mo@eater.example", "Two", "From here\n.\n"))
    first, second = sent()
    assert (first["To"], first["Subject"], text_of(first)) == ("jo@eater.example", "重置密码", text)
    assert (second["To"], text_of(second)) == ("mo@eater.example", "From here\n.\n")
    assert first["From"] == "MealShare <no-reply@meals.example>"
    assert first["Message-ID"] != second["Message-ID"]


def test_it_is_healthy_and_asking_sends_nothing(mailer: tuple[Mailer, Sent]) -> None:
    sender, sent = mailer
    assert sender.healthy()
    assert sent() == []


def test_a_folder_that_cannot_be_written_is_a_failure_for_now(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    mailer = FolderMailer(tmp_path / "file", SENDER)
    with pytest.raises(MailFailed, match="cannot write"):
        mailer.send(Message("a@b.c", "Hi", "x"))
    assert not mailer.healthy()


def test_the_envelope_is_right_and_the_dns_is_not_asked(mailbox: Mailbox, start: Callable[..., int]) -> None:
    smtp(start()).send(Message("jo@eater.example", "Hi", "x"))
    assert [to for to, _ in mailbox.arrived] == [["jo@eater.example"]]
    assert mailbox.senders == ["no-reply@meals.example"]
    assert mailbox.greeting == ["meals.example"]


def test_an_address_beyond_ascii_goes_by_smtputf8_or_is_refused(mailbox: Mailbox, start: Callable[..., int]) -> None:
    smtp(start(enable_SMTPUTF8=True)).send(Message("用户@例子.中国", "Hi", "x"))
    assert [to for to, _ in mailbox.arrived] == [["用户@xn--fsqu00a.xn--fiqs8s"]]
    with pytest.raises(MailRefused, match="cannot do it"):
        smtp(start(enable_SMTPUTF8=False)).send(Message("用户@例子.中国", "Hi", "x"))


@pytest.mark.parametrize("place", ["answer_to_recipient", "answer_to_data"])
@pytest.mark.parametrize(("answer", "error"), [("550 No such user", MailRefused), ("451 Try later", MailFailed)])
def test_a_refusal_is_for_good_or_for_now(
    mailbox: Mailbox, start: Callable[..., int], place: str, answer: str, error: type[Exception]
) -> None:
    setattr(mailbox, place, answer)
    with pytest.raises(error, match=answer[:3]):
        smtp(start()).send(Message("a@b.c", "Hi", "x"))
    assert mailbox.arrived == []


def test_a_server_that_is_not_there_is_a_failure_for_now() -> None:
    mailer = smtp(free_port())
    with pytest.raises(MailFailed, match="cannot send"):
        mailer.send(Message("a@b.c", "Hi", "x"))
    assert not mailer.healthy()


def test_starttls_encrypts_and_logs_in(
    mailbox: Mailbox, start: Callable[..., int], server_tls: ssl.SSLContext, certificate: Path
) -> None:
    port = start(tls_context=server_tls, require_starttls=True, authenticator=mailbox.login, auth_required=True)
    options = {"security": "starttls", "ca_file": str(certificate), "user": "user"}
    smtp(port, **options, password="pass").send(Message("a@b.c", "Hi", "x"))
    assert mailbox.encrypted == [True]
    assert mailbox.logins == [b"pass"]
    with pytest.raises(MailFailed, match="refused the user or the password"):
        smtp(port, **options, password="wrong").send(Message("a@b.c", "Hi", "x"))
    assert len(mailbox.arrived) == 1


def test_tls_from_the_start(
    mailbox: Mailbox, start: Callable[..., int], server_tls: ssl.SSLContext, certificate: Path
) -> None:
    port = start(ssl_context=server_tls)
    mailer = smtp(port, security="tls", ca_file=str(certificate))
    mailer.send(Message("a@b.c", "Hi", "x"))
    assert len(mailbox.arrived) == 1
    assert mailer.healthy()


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_that_nobody_vouches_for_gets_nothing(
    mailbox: Mailbox, start: Callable[..., int], server_tls: ssl.SSLContext, security: str
) -> None:
    port = start(**{"tls_context" if security == "starttls" else "ssl_context": server_tls})
    with pytest.raises(MailFailed, match="CERTIFICATE_VERIFY_FAILED"):
        smtp(port, security=security).send(Message("a@b.c", "Hi", "x"))
    assert mailbox.arrived == []


def test_a_server_that_does_not_encrypt_gets_nothing(mailbox: Mailbox, start: Callable[..., int]) -> None:
    mailer = smtp(start(), security="starttls")
    with pytest.raises(MailFailed, match="does not offer STARTTLS"):
        mailer.send(Message("a@b.c", "Hi", "x"))
    assert not mailer.healthy()
    assert mailbox.arrived == []
