"""The database: engine, session per request, read connection, keyset paging, migrations."""

from __future__ import annotations

from pyramid.config import Configurator
from sqlalchemy import Engine
from sqlalchemy.orm import sessionmaker

from mealshare.core.db.base import Base, BitSet, Id, UTCDateTime, Word, mask_of, members_of, one_of
from mealshare.core.db.engine import (
    DatabaseSettings,
    fetch,
    fetch_one,
    make_engine,
    read_engine,
    record_statements,
)
from mealshare.core.db.keyset import MAX_ID, Page, Window, make_page
from mealshare.core.db.prepared import Prepared
from mealshare.core.db.replica import MARGIN, Replica
from mealshare.core.db.revision import check_revision
from mealshare.core.db.session import primary_connection, read_connection, write_session
from mealshare.core.db.windows import both_ways, fetch_window, page_limit
from mealshare.core.settings import SettingsError

__all__ = [
    "MAX_ID", "Base", "BitSet", "DatabaseSettings", "Id", "Page", "Prepared", "UTCDateTime", "Window", "Word", "both_ways",
    "fetch", "fetch_one", "fetch_window", "make_engine", "make_page", "mask_of", "members_of", "one_of", "page_limit",
    "record_statements",
]  # fmt: skip


def includeme(config: Configurator) -> None:
    """Open the database and give every request ``request.db`` (write) and ``request.conn`` (read)."""
    settings = config.declare_settings(DatabaseSettings, prefix="db")
    engine = make_engine(settings)
    registry = config.registry
    registry["engine"] = engine
    registry["read_engine"] = read_engine(engine)
    registry["replica"] = _replica(settings, engine)
    if registry["replica"] is not None:
        registry.setdefault("health_helpers", {})["replica"] = registry["replica"].healthy
    registry["dbsession_factory"] = sessionmaker(engine, expire_on_commit=False)
    if settings.check_revision:
        config.action("mealshare.db.revision", check_revision, args=(engine,), order=9_000)
    config.add_request_method(write_session, "db", reify=True)
    config.add_request_method(read_connection, "conn", property=True)
    config.add_request_method(primary_connection, "primary_conn", property=True)


def _replica(settings: DatabaseSettings, engine: Engine) -> Replica | None:
    """Raises SettingsError for a replica that cannot be one."""
    if not settings.replica_url:
        return None
    replica = make_engine(settings, "replica_url")
    if engine.dialect.name == "sqlite" or replica.dialect.name == "sqlite":
        raise SettingsError("the setting db.replica_url is wrong: only PostgreSQL has replicas")
    if settings.replica_pin_seconds < settings.replica_max_lag_seconds + MARGIN:
        # Somebody would be sent to a replica that does not have yet what they have written.
        raise SettingsError(
            f"the setting db.replica_pin_seconds is wrong: it must be at least {MARGIN:g} more than "
            "db.replica_max_lag_seconds"
        )
    return Replica(replica, engine, settings.replica_max_lag_seconds)
