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


class JsonList(FunctionElement[Any]):
    """An aggregate: the values of the group as a JSON array, in no order (NULL or [] for an empty group)."""

    type = JSON()
    name = "json_list"
    inherit_cache = True


@compiles(JsonObject)
def _object(element: Any, compiler: Any, **options: Any) -> str:
    function = "json_build_object" if compiler.dialect.name == "postgresql" else "json_object"
    return f"{function}({compiler.process(element.clauses, **options)})"


@compiles(JsonList)
def _list(element: Any, compiler: Any, **options: Any) -> str:
    function = "json_agg" if compiler.dialect.name == "postgresql" else "json_group_array"
    return f"{function}({compiler.process(element.clauses, **options)})"
