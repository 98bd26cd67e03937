"""JSON made inside SQL, the same on both databases: rows of a one-to-many relation as a column of the parent row."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class JsonObject(FunctionElement[Any]):
    """``JsonObject('key', value, ...)``: a JSON object of a row's values."""

    type = JSON()
    name = "json_object"
    inherit_cache = True


class JsonArray(FunctionElement[Any]):
    """``JsonArray(value, ...)``: a JSON array of values of a row."""

    type = JSON()
    name = "json_array"
    inherit_cache = True


class Nested(FunctionElement[Any]):
    """``Nested(value)``: a value that is JSON already, as a part of what the others make."""

    type = JSON()
    name = "nested"
    inherit_cache = True


class Exact(FunctionElement[Any]):
    """``Exact(value)``: a floating-point number with all of its digits; on SQLite a string, or None.

    SQLite writes fifteen of them, which do not make the same number of every one that is read.
    """

    type = JSON()
    name = "exact"
    inherit_cache = True


class JsonList(FunctionElement[Any]):
    """An aggregate: the values of the group as a JSON array, in no order (NULL or [] for an empty group)."""

    type = JSON()
    name = "json_list"
    inherit_cache = True


@compiles(JsonObject)
def _object(element: Any, compiler: Any, **options: Any) -> str:
    function = "json_build_object" if compiler.dialect.name == "postgresql" else "json_object"
    return f"{function}({compiler.process(element.clauses, **options)})"


@compiles(JsonArray)
def _array(element: Any, compiler: Any, **options: Any) -> str:
    function = "json_build_array" if compiler.dialect.name == "postgresql" else "json_array"
    return f"{function}({compiler.process(element.clauses, **options)})"


@compiles(Nested)
def _nested(element: Any, compiler: Any, **options: Any) -> str:
    inner = compiler.process(element.clauses, **options)
    return inner if compiler.dialect.name == "postgresql" else f"json({inner})"


@compiles(Exact)
def _exact(element: Any, compiler: Any, **options: Any) -> str:
    inner = compiler.process(element.clauses, **options)
    return (
        inner
        if compiler.dialect.name == "postgresql"
        else f"CASE WHEN {inner} IS NOT NULL THEN printf('%!.17g', {inner}) END"
    )


@compiles(JsonList)
def _list(element: Any, compiler: Any, **options: Any) -> str:
    function = "json_agg" if compiler.dialect.name == "postgresql" else "json_group_array"
    return f"{function}({compiler.process(element.clauses, **options)})"
