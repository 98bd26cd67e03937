"""The database for frameworks that are asynchronous: SQLAlchemy's ORM over aiosqlite or psycopg."""

from __future__ import annotations

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from benchmarks.frameworks.orm import prepare_sqlite

Sessions = async_sessionmaker[AsyncSession]


def open_sessions(url: str) -> Sessions:
    """Sessions on the database at ``url``."""
    made = make_url(url)
    if made.get_backend_name() == "sqlite":
        made = made.set(drivername="sqlite+aiosqlite")
    engine = create_async_engine(made, pool_size=10)
    prepare_sqlite(engine.sync_engine)
    return async_sessionmaker(engine, expire_on_commit=False)
