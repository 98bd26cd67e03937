"""What comes in about people, and what goes out as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from mealshare.api.values import Moment
from mealshare.core.clock import now
from mealshare.core.validation import Input, IsoMoment, coded
from mealshare.features.accounts.schemas_out import UserOut

#: A mute that is to last longer needs no end.
LONGEST_MUTE = timedelta(days=366)


class MuteInput(Input):
    """When a mute ends; without either it lasts until it is taken back."""

    until: IsoMoment | None = Field(None, description="When it ends: a moment within the next 366 days.")
    duration: Annotated[int, Field(ge=1, le=int(LONGEST_MUTE.total_seconds()))] | None = Field(
        None, description="Seconds from now, in place of `until`.", examples=[86400]
    )

    @field_validator("until")
    @classmethod
    def _ahead(cls, value: datetime | None) -> datetime | None:
        if value is not None and not timedelta() < value - now() <= LONGEST_MUTE:
            raise coded("mute_end_range")
        return value

    @model_validator(mode="after")
    def _one_end(self) -> MuteInput:
        if self.until is not None and self.duration is not None:
            raise coded("one_mute_end")
        return self

    def end(self) -> datetime | None:
        """The moment at which the mute ends; None: never by itself."""
        return self.until if self.duration is None else now() + timedelta(seconds=self.duration)


@dataclass
class BlockOut:
    """A person whom you have blocked."""

    user: Annotated[UserOut, Field(description="Whom.")]
    created_at: Annotated[Moment, Field(description="Since when.", examples=["2026-11-20T05:10:00Z"])]


@dataclass
class MuteOut:
    """A person whom you have muted."""

    user: Annotated[UserOut, Field(description="Whom.")]
    created_at: Annotated[Moment, Field(description="Since when.", examples=["2026-11-20T05:10:00Z"])]
    until: Annotated[
        Moment | None,
        Field(description="When it ends by itself; null: when you take it back.", examples=["2026-11-21T05:10:00Z"]),
    ]
