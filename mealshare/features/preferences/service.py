"""Writing what somebody avoids."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.dialects import postgresql, sqlite

from mealshare.core.work import Work
from mealshare.features.accounts.queries import hold_account
from mealshare.features.meals.models import EatingPreference
from mealshare.features.preferences.schemas import PreferencesInput


@dataclass(frozen=True)
class PreferenceService:
    """Keeps one row for each account that has said something."""

    work: Work

    def save(self, account_id: int, given: PreferencesInput) -> None:
        """The account avoids and keeps to exactly what is ``given``, whatever it said before."""
        hold_account(self.work.connection, account_id)
        session = self.work.session
        dialect = postgresql if session.connection().dialect.name == "postgresql" else sqlite
        values = {"mode": given.mode, "avoid": tuple(given.avoid), "diets": tuple(given.diets)}
        # In one statement: of two windows that save at once, the later one wins and neither fails.
        row = dialect.insert(EatingPreference).values(account_id=account_id, **values)
        session.execute(row.on_conflict_do_update(index_elements=["account_id"], set_=values))
