"""An index of tokens: a table for each kind of thing, FTS5 on SQLite and a tsvector on PostgreSQL.

Neither database cuts, folds or stems anything: what goes in are the tokens, what is asked for are tokens or their
beginnings, all of which must be there.  So both give the same answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, String, bindparam, cast, column, literal_column, select, table, text
from sqlalchemy.dialects.postgresql import TSQUERY, TSVECTOR
from sqlalchemy.orm import Session

from mealshare.core.search.tokens import Term

POSTGRESQL = "postgresql"
#: Both know them, and both keep the name of the table out of the statement's parameters.
_FORGET = "DELETE FROM {table} WHERE {key} = :id"
_PUT = {
    "sqlite": "INSERT INTO {table} (rowid, words) VALUES (:id, :words)",
    POSTGRESQL: (
        "INSERT INTO {table} ({key}, words) VALUES (:id, array_to_tsvector(CAST(:words AS text[])))"
        " ON CONFLICT ({key}) DO UPDATE SET words = excluded.words"
    ),
}


@dataclass(frozen=True)
class Match:
    """An index as it stands in a statement of one kind of database."""

    table: Any
    #: What is indexed, as a column of ``table``; the newest first is what it can be read by.
    id: ColumnElement[int]
    #: Whether the bind parameter ``words`` (`WordIndex.question`) is found.
    found: ColumnElement[bool]


@dataclass(frozen=True)
class WordIndex:
    """The index in the table ``name``; ``key`` is its first column on PostgreSQL (on SQLite it is the row id)."""

    name: str
    key: str

    def put(self, session: Session, id: int, tokens: Sequence[str]) -> None:
        """The thing ``id`` is found by ``tokens`` from now on, and by nothing else."""
        dialect = session.connection().dialect.name
        if dialect == POSTGRESQL:
            session.execute(self._text(_PUT[dialect]), {"id": id, "words": list(tokens)})
            return
        self.remove(session, [id])
        session.execute(self._text(_PUT[dialect]), {"id": id, "words": " ".join(tokens)})

    def remove(self, session: Session, ids: Iterable[int]) -> None:
        """The things ``ids`` are not found any more."""
        key = self.key if session.connection().dialect.name == POSTGRESQL else "rowid"
        forget = text(_FORGET.format(table=self.name, key=key))
        for id in ids:
            session.execute(forget, {"id": id})

    def match(self, dialect: str) -> Match:
        """The index for a statement of that dialect."""
        if dialect == POSTGRESQL:
            words = table(self.name, column(self.key, BigInteger), column("words", TSVECTOR))
            # Written into the statement: the plan for a rare word is not that for a common one.  There is nothing
            # but letters, marks and digits in it, and it is quoted.
            query = cast(bindparam("words", type_=String, literal_execute=True), TSQUERY)
            return Match(words, words.c[self.key], words.c.words.op("@@", is_comparison=True)(query))
        virtual = table(self.name, column("rowid", BigInteger))
        asked = bindparam("words", type_=String)
        return Match(virtual, virtual.c.rowid, literal_column(self.name).op("MATCH", is_comparison=True)(asked))

    def condition(self, dialect: str, id: Any, terms: Sequence[Term]) -> ColumnElement[bool]:
        """The condition that the thing with ``id``, a column of another table, is found by all of ``terms``.

        For a list that is read by an index of its own: what is found is gathered first, then asked for each row.
        """
        index = self.match(dialect)
        found = select(index.id).select_from(index.table).where(index.found)
        among = found.params(words=self.question(dialect, terms))
        # The sign keeps SQLite from going through all that is found in the order of the words.
        condition: ColumnElement[bool] = (id if dialect == POSTGRESQL else literal_column("0") + id).in_(among)
        return condition

    def holds(self, session: Session, id: int) -> bool:
        """Whether the thing is in the index."""
        index = self.match(session.connection().dialect.name)
        return session.execute(select(index.id).select_from(index.table).where(index.id == id)).first() is not None

    @staticmethod
    def question(dialect: str, terms: Sequence[Term]) -> str:
        """The value of ``words`` for ``terms``, which must not be empty."""
        if dialect == POSTGRESQL:
            return " & ".join(f"'{term.text}'{':*' if term.prefix else ''}" for term in terms)
        return " AND ".join(f'"{term.text}"{"*" if term.prefix else ""}' for term in terms)

    def _text(self, statement: str) -> Any:
        return text(statement.format(table=self.name, key=self.key))
