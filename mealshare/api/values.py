"""What single values of answers look like, for the OpenAPI document; at run time they are plain text and nothing checks them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mealshare.core.ids import ID_PATTERN

#: An id of something that goes out.
Id = Annotated[str, Field(pattern=ID_PATTERN, examples=["117653444094112991"])]
#: A moment (RFC 3339), in UTC unless its field says otherwise.
Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-11-20T04:30:05Z"])]
#: A date without a time.
Day = Annotated[str, Field(json_schema_extra={"format": "date"}, examples=["2026-11-20"])]
#: An absolute address on this site.
Address = Annotated[str, Field(json_schema_extra={"format": "uri"}, examples=["https://meals.example/"])]
