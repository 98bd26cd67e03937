"""How long what signs somebody in is good."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from mealshare.core.settings import setting

#: A session's "last seen" is written this often at most, so that reading pages does not mean writing rows.
SEEN_EVERY = timedelta(hours=1)
#: The same for a personal token's "last used", by which its owner decides whether anything still needs it.
USED_EVERY = timedelta(minutes=5)


@dataclass(frozen=True)
class AuthSettings:
    """Sessions of browsers, grants of programs, and the links that are mailed."""

    session_idle_days: int = setting(7, "Days without a visit after which a browser is signed out.", minimum=1)
    session_days: int = setting(30, "Days after which a browser is signed out in any case.", minimum=1)
    refresh_idle_days: int = setting(14, "Days after which a refresh token that was not used expires.", minimum=1)
    refresh_days: int = setting(90, "Days after which a program has to sign in anew in any case.", minimum=1)
    session_cache_seconds: float = setting(
        0.0,
        "Seconds, at most 1, for which a read believes what was just read of its sender, out of the cache; 0: it always "
        "asks the database.",
        minimum=0,
        maximum=1,
    )
    reset_minutes: int = setting(30, "Minutes for which a link to set a new password is good.", minimum=5, maximum=1440)

    @property
    def session_idle(self) -> timedelta:
        """How long a session lives without being used."""
        return timedelta(days=self.session_idle_days)

    @property
    def session_life(self) -> timedelta:
        """How long a session lives at most."""
        return timedelta(days=self.session_days)

    @property
    def refresh_idle(self) -> timedelta:
        """How long a refresh token waits to be used."""
        return timedelta(days=self.refresh_idle_days)

    @property
    def refresh_life(self) -> timedelta:
        """How long a grant lives at most."""
        return timedelta(days=self.refresh_days)

    @property
    def reset_life(self) -> timedelta:
        """How long a mailed link is good."""
        return timedelta(minutes=self.reset_minutes)
