"""The letters that accounts get, in the language of the one who gets them."""

from __future__ import annotations

from dataclasses import dataclass

from mealshare.core.i18n import _, translate
from mealshare.core.mail import Message
from mealshare.core.work import Work
from mealshare.features.accounts.queries_access import Credentials

SEND = "mail.send"

_PASSWORD_CHANGED = _(
    "Hello ${name},\n\nthe password of your account @${username} on ${site} has just been changed. All other devices "
    "have been signed out, and all personal access tokens have ended.\n\nIf that was not you, set a new password now:\n${url}\n"
)
_SIGNUP_ATTEMPT = _(
    "Hello ${name},\n\nsomebody tried to register a new account on ${site} with your e-mail address.  You have an "
    "account there already: @${username}.  Nothing has changed.\n\nIf it was you and you have forgotten the password, "
    "set a new one:\n${url}\n"
)
_RESET = _(
    "Hello ${name},\n\nsomebody, probably you, asked to set a new password for your account @${username} on ${site}.  "
    "This link does it; it is good for ${minutes} minutes, and once:\n${url}\n\nIf it was not you, there is nothing to "
    "do: the password stays as it is.\n"
)


@dataclass(frozen=True)
class Letters:
    """Writes letters.  Links begin with ``base_url``, never with a host that a request named."""

    site_name: str
    base_url: str
    #: For people who have not chosen a language.
    language: str

    def password_changed(self, work: Work, to: Credentials) -> None:
        """Tell the owner that the password is a new one."""
        self._post(work, to, _("Your password was changed"), _PASSWORD_CHANGED, url=f"{self.base_url}/password/forgot")

    def signup_attempt(self, work: Work, to: Credentials) -> None:
        """Tell the owner of an address that somebody wanted a second account with it."""
        self._post(
            work, to, _("Somebody tried to register with your address"), _SIGNUP_ATTEMPT,
            url=f"{self.base_url}/password/forgot", key=f"signup-attempt:{to.account_id}",
        )  # fmt: skip

    def reset(self, to: Credentials, token: str, minutes: int) -> Message:
        """The letter with the link that sets a new password; sent at once, so that the token is stored nowhere."""
        url = f"{self.base_url}/password/reset?token={token}"
        return self._write(to, _("Set a new password"), _RESET, url=url, minutes=minutes)

    def _post(
        self, work: Work, to: Credentials, subject: str, text: str, *, key: str | None = None, **values: object
    ) -> None:
        letter = self._write(to, subject, text, **values)
        work.enqueue(SEND, {"to": letter.to, "subject": letter.subject, "text": letter.text}, key=key)

    def _write(self, to: Credentials, subject: str, text: str, **values: object) -> Message:
        locale = to.locale or self.language
        known = {"name": to.display_name, "username": to.username, "site": self.site_name, **values}
        return Message(to.email, translate(subject, locale), translate(text, locale, known))
