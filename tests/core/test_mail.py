"""What a mail is made of, and how the settings choose a mailer."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from pyramid.config import Configurator

from mealshare.core.mail import FolderMailer, MailRefused, MailSettings, Message, SmtpMailer, make_mailer
from mealshare.core.mail.message import build, parse_sender
from mealshare.core.settings import Secret, SettingsError

SENDER = parse_sender("MealShare <no-reply@meals.example>")


@pytest.mark.parametrize(
    "to",
    [
        "", "a", "a@", "@b.c", "a@b@c", "a@b.c,d@e.f", "a@b.c;d@e.f", "a@b.c d@e.f", "a@b.c\nBcc: d@e.f",
        "a@b.c\r\n", "A <a@b.c>", "<a@b.c>", '"a b"@c.d', "a(x)@b.c", "a@b..c", "a@[127.0.0.1]", "a\x00@b.c",
        "x" * 65 + "@b.c", "a@" + "b" * 250 + ".c",
    ],
)  # fmt: skip
def test_what_is_not_one_address_is_refused(to: str) -> None:
    with pytest.raises(MailRefused, match="not a mail address"):
        Message(to, "Subject", "Text")


@pytest.mark.parametrize(
    "to", ["a@b.c", "first.last+tag@sub.example.org", "o'neil@x-y.example", "用户@例子.中国", "me@localhost"]
)
def test_an_address_is_taken(to: str) -> None:
    assert Message(to, "Subject", "Text").to == to


@pytest.mark.parametrize("subject", ["", "  ", "x" * 201, "a\nBcc: b@c.d", "a\rb", "a\x85b", "a\u2028b", "a\0"])
def test_a_subject_that_could_become_a_header_is_refused(subject: str) -> None:
    with pytest.raises(MailRefused, match="not a subject"):
        Message("a@b.c", subject, "Text")


def test_a_text_with_nul_is_refused() -> None:
    with pytest.raises(MailRefused, match="NUL"):
        Message("a@b.c", "Subject", "Te\0xt")


def test_all_languages_come_through() -> None:
    text = "你好,\n\nhttps://meals.example/reset/" + "x" * 200 + "\n.\nÀ bientôt ☕\n"
    mail = message_from_bytes(bytes(build(Message("a@b.c", "重置密码 — " + "ж" * 100, text), SENDER)), policy=default)
    assert mail["Subject"] == "重置密码 — " + "ж" * 100
    assert mail["To"] == "a@b.c"
    assert mail["From"] == "MealShare <no-reply@meals.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"].endswith("@meals.example>")
    assert mail["Date"].datetime.utcoffset() is not None
    assert mail.get_content().replace("\r\n", "\n") == text


def test_every_line_is_short_and_every_byte_plain() -> None:
    data = bytes(build(Message("a@例子.中国", "主题" * 50, "很长" * 2000), SENDER))
    assert data.isascii()
    assert max(len(line) for line in data.split(b"\r\n")) <= 998
    assert b"a@xn--fsqu00a.xn--fiqs8s" in data


@pytest.mark.parametrize("sender", ["", "MealShare", "a@b.c, d@e.f", "A\nB <a@b.c>", "ü@b.c", "a@" + "é" * 70 + ".c"])
def test_a_wrong_sender_stops_the_boot_with_its_name(sender: str) -> None:
    with pytest.raises(SettingsError, match=r"mail\.sender"):
        make_mailer(MailSettings(sender=sender))


def test_the_host_chooses_the_mailer(tmp_path: Path) -> None:
    assert isinstance(make_mailer(MailSettings(folder=tmp_path)), FolderMailer)
    assert isinstance(make_mailer(MailSettings(host="mail.example")), SmtpMailer)


def test_a_password_never_goes_readable_over_the_network() -> None:
    login = {"user": "u", "password": Secret("p"), "security": "none"}
    with pytest.raises(SettingsError, match=r"mail\.security"):
        make_mailer(MailSettings(host="mail.example", **login))
    with pytest.raises(SettingsError, match=r"mail\.security"):
        make_mailer(MailSettings(host="192.0.2.1", **login))
    assert make_mailer(MailSettings(host="localhost", **login))
    assert make_mailer(MailSettings(host="127.0.0.1", **login))


@pytest.mark.parametrize("login", [{"user": "ü"}, {"user": "u", "password": Secret("pä")}])
def test_a_login_that_cannot_be_sent_stops_the_boot(login: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="ASCII"):
        make_mailer(MailSettings(host="mail.example", **login))


def test_an_authority_that_cannot_be_read_stops_the_boot(tmp_path: Path) -> None:
    wrong = tmp_path / "ca.pem"
    wrong.write_text("no certificate")
    for path in (wrong, tmp_path / "missing.pem"):
        with pytest.raises(SettingsError, match=r"mail\.ca_file"):
            make_mailer(MailSettings(host="mail.example", ca_file=str(path)))


def test_without_a_server_the_boot_says_where_mail_goes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = Configurator(settings={"mail.folder": str(tmp_path)})
    config.include("mealshare.core.settings")
    config.include("mealshare.core.mail")
    assert [(record.getMessage(), record.folder) for record in caplog.records] == [("mail.no_server", str(tmp_path))]
    config.registry["mailer"].send(Message("a@b.c", "Hi", "x"))
    assert len(list(tmp_path.iterdir())) == 1


def test_folder_mail_is_private_whole_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    mailer = FolderMailer(tmp_path / "mail", SENDER)
    for number in range(3):
        mailer.send(Message("a@b.c", f"Number {number}", "Text"))
    files = sorted((tmp_path / "mail").iterdir())
    subjects = [message_from_bytes(path.read_bytes(), policy=default)["Subject"] for path in files]
    assert subjects == ["Number 0", "Number 1", "Number 2"]
    assert {path.suffix for path in files} == {".eml"}
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert [record.file for record in caplog.records] == [str(path) for path in files]
    assert "a@b.c" not in caplog.text
