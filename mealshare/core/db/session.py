"""What a request has of the database: ``request.db`` to write, ``request.conn`` to read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import zope.sqlalchemy
from pyramid.request import Request
from sqlalchemy import Connection, event
from sqlalchemy.orm import Session

_READER = "_mealshare_reader"
_FIRST = "_mealshare_first_statement"


def write_session(request: Request) -> Session:
    """The session of this request's transaction; pyramid_tm commits or rolls it back.

    The read connection goes back to the pool first: a request never holds two, so a pool as large as the number of
    server threads cannot run dry.
    """
    release_reader(request)
    session: Session = request.registry["dbsession_factory"]()
    # "changed": with the default state, what Core insert() and update() wrote would be rolled back without a word.
    zope.sqlalchemy.register(session, transaction_manager=request.tm, initial_state="changed")
    first = request.__dict__.get(_FIRST)
    if first is not None:
        event.listen(session, "after_begin", lambda _session, _transaction, connection: first(connection), once=True)
    return session


def when_writing(request: Request, first: Callable[[Connection], None]) -> None:
    """Call ``first(connection)`` as soon as this request's write transaction begins, before anything is written in it.

    What it raises comes out of whatever wanted to write.  At once, if the transaction has begun already.
    """
    known: Session | None = request.__dict__.get("db")
    if known is not None:
        first(known.connection())
    else:
        request.__dict__[_FIRST] = first


def read_connection(request: Request) -> Connection:
    """A connection to read with: in read mode, or the transaction's own once this request has begun to write.

    While an error is answered it is in read mode again: the transaction may be beyond use, or over.
    """
    known = request.__dict__
    if "db" in known and known.get("exception") is None:
        connection: Connection = known["db"].connection()
        return connection
    reader: Connection | None = known.get(_READER)
    if reader is None:
        reader = request.registry["read_engine"].connect()
        known[_READER] = reader
        request.add_finished_callback(release_reader)
    return reader


def release_reader(request: Any) -> None:
    """Give the read connection back, if the request has one."""
    reader = request.__dict__.pop(_READER, None)
    if reader is not None:
        reader.close()
