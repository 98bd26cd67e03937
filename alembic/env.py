"""How migrations run: on the database of the ini file (or of `mealshare db`), one at a time, children kept."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine, pool, text

from mealshare.core.db.base import Base
from mealshare.core.models import import_models

#: An arbitrary constant: processes that migrate the same PostgreSQL database wait for each other at this lock.
ADVISORY_LOCK = 0x4D65616C

import_models()


def run() -> None:
    """Run the migrations in one transaction."""
    url = context.config.get_main_option("sqlalchemy.url")
    if url is None:
        raise SystemExit("no database: run `mealshare db upgrade` or give sqlalchemy.url")
    engine = create_engine(url, poolclass=pool.NullPool)
    sqlite = engine.dialect.name == "sqlite"
    with engine.connect() as connection:
        if sqlite:
            # Batch mode rebuilds tables: with foreign keys on, dropping the old one would delete its children.
            connection.connection.driver_connection.isolation_level = None
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
            connection.exec_driver_sql("PRAGMA busy_timeout=30000")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_LOCK})
            # Whoever waits for a table's lock makes all who come later wait as well, the readers too.
            lock_timeout = context.config.attributes.get("lock_timeout")
            if lock_timeout is not None:
                connection.execute(text(f"SET lock_timeout = {int(lock_timeout * 1000)}"))
            connection.commit()
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=sqlite,
            compare_type=True,
        )
        with context.begin_transaction():
            context.run_migrations()
        if sqlite:
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
            if broken:
                raise SystemExit(f"the migration left rows without their parent: {broken[:5]}")
        connection.commit()
        if not sqlite:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": ADVISORY_LOCK})
            connection.commit()
    engine.dispose()


run()
