"""What a request has of the database: ``request.db`` to write, ``request.conn`` to read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import zope.sqlalchemy
from pyramid.request import Request
from sqlalchemy import Connection, event
from sqlalchemy.orm import Session

from mealshare.core.db.routing import may_read_replica, pin
from mealshare.core.readonly import forbid_writes

#: The connection that a request reads with, and whether it is one to the replica.
_READER = "_mealshare_reader"
_FROM_REPLICA = "_mealshare_from_replica"
_FIRST = "_mealshare_first_statement"


def write_session(request: Request) -> Session:
    """The session of this request's transaction; pyramid_tm commits or rolls it back.  Raises ReadOnlyNow.

    The read connection goes back to the pool first: a request never holds two, so a pool as large as the number of
    server threads cannot run dry.
    """
    forbid_writes(request)
    release_reader(request)
    pin(request)
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

    While an error is answered it is in read mode again: the transaction may be beyond use, or over.  Where there is a
    replica, it may be one to that (see `mealshare.core.db.routing`).
    """
    known = request.__dict__
    if "db" in known and known.get("exception") is None:
        connection: Connection = known["db"].connection()
        return connection
    return _reader(request, replica=request.registry.get("replica") is not None and may_read_replica(request))


def primary_connection(request: Request) -> Connection:
    """The same, but never to the replica: for what must hold at once, such as that somebody has logged out."""
    known = request.__dict__
    if "db" in known and known.get("exception") is None:
        connection: Connection = known["db"].connection()
        return connection
    return _reader(request, replica=False)


def _reader(request: Request, *, replica: bool) -> Connection:
    known = request.__dict__
    reader: Connection | None = known.get(_READER)
    if reader is not None:
        if replica is known.get(_FROM_REPLICA, False):
            return reader
        # A request never holds two.
        reader.close()
        reader = known[_READER] = None
    elif _READER not in known:
        request.add_finished_callback(release_reader)
    registry = request.registry
    if replica:
        reader = registry["replica"].connect()
    known[_FROM_REPLICA] = reader is not None
    if reader is None:
        reader = registry["read_engine"].connect()
    known[_READER] = reader
    return reader


def release_reader(request: Any) -> None:
    """Give the read connection back, if the request has one."""
    reader = request.__dict__.pop(_READER, None)
    if reader is not None:
        reader.close()
