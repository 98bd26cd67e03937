"""Statements that everybody's requests run: compiled once for each database, and run at the driver's cursor.

What SQLAlchemy does for each execution (finding the compiled form, describing the columns, making a `Row` of each row)
takes 1.3 times as long on SQLite as the query of a page and fetching its rows (measured with the public feed of 20).
It is the same each time, so it is done once here.  All else stays as it is: the connection is the request's own
(routing, limits of time), whoever listens to ``before_cursor_execute`` and ``after_cursor_execute`` hears of the
statement, and an error goes through SQLAlchemy's hands, which know a lost connection and what is worth another attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Connection, Select, literal_column
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import visitors

Row = Sequence[Any]
#: The index of a column, what makes its value, and whether that makes None of None.
_Processors = tuple[tuple[int, Callable[[Any], Any], bool], ...]
#: More forms of one statement than this (pages of different sizes) are not kept.
_MOST = 128


class Prepared:
    """A statement built at import; `mealshare.core.db.fetch` runs it and gives tuples.

    Its parameters are the bind parameters of ``statement``; those with ``literal_execute`` become part of the text, which
    is kept for each of their values.
    """

    __slots__ = ("_forms", "_literals", "statement")

    def __init__(self, statement: Select[*tuple[Any, ...]]) -> None:
        self.statement = statement
        binds = [element for element in visitors.iterate(statement) if isinstance(element, BindParameter)]
        self._literals = tuple(sorted({bind.key for bind in binds if bind.literal_execute}))
        self._forms: dict[tuple[Any, ...], _Form | None] = {}

    def rows(self, connection: Connection, parameters: Mapping[str, Any]) -> Sequence[Row]:
        """All rows; raises what SQLAlchemy would raise."""
        key = (connection.dialect.name, *[parameters[name] for name in self._literals])
        try:
            form = self._forms[key]
        except KeyError:
            form = self._make(connection.dialect, key)
        if form is None or connection._echo:
            return connection.execute(self.statement, dict(parameters)).fetchall()
        return form.run(connection, parameters)

    def _make(self, dialect: Dialect, key: tuple[Any, ...]) -> _Form | None:
        literals = dict(zip(self._literals, key[1:], strict=True))
        if len(self._forms) >= _MOST or not all(isinstance(value, int) for value in literals.values()):
            # Words that somebody typed are never the same; SQLAlchemy puts them into a text that it keeps.
            return None
        form = self._forms[key] = _compile(self.statement, dialect, literals)
        return form


@dataclass(frozen=True)
class _Form:
    """The text of a statement for one database, and what its values need on the way in and out."""

    sql: str
    names: tuple[str, ...]
    defaults: Mapping[str, Any]
    binders: Mapping[str, Callable[[Any], Any]]
    processors: _Processors

    def run(self, connection: Connection, given: Mapping[str, Any]) -> Sequence[Row]:
        """See `Prepared.rows`."""
        values = {name: given[name] if name in given else self.defaults[name] for name in self.names}
        for name, bind in self.binders.items():
            values[name] = bind(values[name])
        rows = execute(connection, self.sql, values)
        if not self.processors:
            return rows
        return [_processed(row, self.processors) for row in rows]


def execute(connection: Connection, sql: str, values: Any) -> list[Row]:
    """The rows of a reading statement as the driver gives them; for SQLite ``sql`` has its parameters as ``:name``."""
    if not connection.in_transaction():
        connection.begin()
    cursor = connection.connection.cursor()
    heard = connection._has_events or connection.engine._has_events
    try:
        if heard:
            for listener in connection.dispatch.before_cursor_execute:
                sql, values = listener(connection, cursor, sql, values, None, False)
        cursor.execute(sql, values)
        rows: list[Row] = cursor.fetchall()  # type: ignore[assignment]
        if heard:
            connection.dispatch.after_cursor_execute(connection, cursor, sql, values, None, False)
    except BaseException as error:
        # Not public, but the one place that wraps the driver's errors, tells listeners and gives up a lost connection.
        connection._handle_dbapi_exception(error, sql, values, cursor, None)
    cursor.close()
    return rows


def _processed(row: Row, processors: _Processors) -> Row:
    values: list[Any] | None = None
    for index, process, keeps_null in processors:
        if row[index] is not None or not keeps_null:
            values = list(row) if values is None else values
            values[index] = process(row[index])
    return row if values is None else values


def _compile(statement: Select[Any], dialect: Dialect, literals: Mapping[str, int]) -> _Form | None:
    """None for a statement whose text depends on its other values as well, such as one with a list after IN."""

    def write(element: Any, **_about: Any) -> Any:
        if isinstance(element, BindParameter) and element.literal_execute:
            return literal_column(str(literals[element.key]))
        return None

    # Named, so that one value may stand in several places; the driver takes either.
    spoken = sqlite_dialect(paramstyle="named") if dialect.name == "sqlite" else dialect
    written: Any = visitors.replacement_traverse(statement, {}, write)
    compiled: Any = written.compile(dialect=spoken)
    binds: Mapping[str, BindParameter[Any]] = compiled.binds
    if any(bind.expanding for bind in binds.values()):
        return None
    binders, processors = {}, []
    for name, bind in binds.items():
        binder = bind.type.dialect_impl(dialect).bind_processor(dialect)
        if binder is not None:
            binders[name] = binder
    for index, column in enumerate(statement.selected_columns):
        processor = column.type.dialect_impl(dialect).result_processor(dialect, None)
        if processor is not None:
            processors.append((index, processor, processor(None) is None))
    defaults = {name: bind.effective_value for name, bind in binds.items() if not bind.required}
    return _Form(str(compiled), tuple(binds), defaults, binders, tuple(processors))
