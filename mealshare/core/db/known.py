"""Rows that need not be sent: a statement is told which ones the process has in hand, and leaves out what these say.

The parameter ``known`` holds the keys of the rows in hand, as text (`known_text`): each is made of numbers such as an id
and its version, so a row that has changed is another one.  Which rows there are, and who may see them, is decided by
the statement alone; what it is told decides only how much of a row comes along.  So a page that was read before takes
one statement as well, but a third of the time (SQLite) or a quarter (PostgreSQL), for nothing of it has to be read,
packed, sent and unpacked (measured with the public feed of 20).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import JSON, ColumnElement, String, bindparam, case, cast, literal_column, type_coerce
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from mealshare.core.db.json_rows import JsonArray

#: The name of the parameter.
KNOWN = "known"
Key = tuple[int, ...]


class _Position(FunctionElement[int]):
    """Where the second text stands in the first: 0 if it is not there."""

    name = "position_in"
    inherit_cache = True


@compiles(_Position)
def _position(element: Any, compiler: Any, **options: Any) -> str:
    function = "strpos" if compiler.dialect.name == "postgresql" else "instr"
    return f"{function}({compiler.process(element.clauses, **options)})"


def unless_known(key: Iterable[Any], values: Iterable[Any]) -> ColumnElement[Any]:
    """A column that has ``values`` as a JSON array, or NULL if ``key`` (columns of integers) is among the known ones."""
    text: Any = literal_column("' '")
    for number, part in enumerate(key):
        text = text + (literal_column("'-'") + cast(part, String) if number else cast(part, String))
    text = text + literal_column("' '")
    unknown = _Position(bindparam(KNOWN, type_=String), text) == literal_column("0")
    return case((unknown, type_coerce(JsonArray(*values), JSON())))


def known_text(keys: Iterable[Key]) -> str:
    """The parameter ``known`` for these keys; none at all is ""."""
    texts = ["-".join(map(str, key)) for key in keys]
    return f" {' '.join(texts)} " if texts else ""
