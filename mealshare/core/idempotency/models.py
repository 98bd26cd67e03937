"""The table of idempotency keys: what was answered, written in the transaction that did it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mealshare.core.clock import now
from mealshare.core.db.base import Base, Id, UTCDateTime
from mealshare.core.ids import new_id


class IdempotencyKey(Base):
    """A request that named itself, and the answer to it; kept for a day."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (UniqueConstraint("account_id", "key"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False, default=new_id)
    #: Whose request it was.  No foreign key: the core knows no accounts, and the row ends by itself.
    account_id: Mapped[int] = mapped_column(Id)
    key: Mapped[str] = mapped_column(String(255))
    #: Of method, address and body: another request under the same key is an error.
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary(32))
    #: The answer; without a status there is none yet.
    status: Mapped[int | None]
    headers: Mapped[list[list[str]] | None] = mapped_column(JSON)
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now, index=True)
