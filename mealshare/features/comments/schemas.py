"""What comes in and goes out over comments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import orjson
from pydantic import AfterValidator, Field

from mealshare.api.patch import MergePatch
from mealshare.api.values import Address, Id, Moment
from mealshare.core.validation import Input, Lines, SnowflakeId, coded, validate_json
from mealshare.features.meals.schemas import merge_patch
from mealshare.features.meals.schemas_out import AuthorOut, MentionOut

MAX_NOTE = 1000


def _something(note: str) -> str:
    """What shows nothing was cleaned to nothing."""
    if not note:
        raise coded("missing")
    return note


Note = Annotated[
    Lines,
    Field(
        max_length=MAX_NOTE,
        description="The words; links, #hashtags and @mentions work.",
        json_schema_extra={"minLength": 1},
        examples=["That looks good!"],
    ),
    AfterValidator(_something),
]


class CommentEdit(Input):
    """What a comment says."""

    note: Note


class CommentInput(CommentEdit):
    """A comment to be posted."""

    in_reply_to_id: SnowflakeId | None = Field(
        default=None,
        description="The comment that it answers. There is one level of replies: to answer a reply is to join its thread.",
        examples=[None],
    )


class CommentPatch(MergePatch, whole=CommentEdit, example={"note": "That looks so good!"}):
    """A JSON merge patch of a comment (RFC 7396): only `note` can change."""

    def applied_to(self, note: str) -> CommentEdit:
        """The comment after the patch; raises InputInvalid when it could not be posted so."""
        return validate_json(CommentEdit, orjson.dumps(merge_patch({"note": note}, self.root)))


@dataclass
class CommentViewerOut:
    """How the one who asks stands to the comment; for a visitor, all is false."""

    liked: Annotated[bool, Field(description="You like it.")]
    own: Annotated[bool, Field(description="It is yours.")]
    can_edit: Annotated[bool, Field(description="You may change it.")]
    can_delete: Annotated[bool, Field(description="You may delete it: it is yours, or on your meal.")]


@dataclass
class CommentOut:
    """A comment on a meal."""

    id: Annotated[Id, Field(description="Its id.", examples=["117653444226111422"])]
    url: Annotated[
        Address,
        Field(
            description="Where it stands on the page of its meal.",
            examples=["https://meals.example/@tom_b/117653444226111422"],
        ),
    ]
    uri: Annotated[
        Address,
        Field(
            description="The address that never changes.",
            examples=["https://meals.example/users/tom_b/posts/117653444226111422"],
        ),
    ]
    user: Annotated[
        AuthorOut,
        Field(
            description="Who wrote it.",
            examples=[
                {
                    "username": "tom_b",
                    "display_name": "Tom",
                    "avatar_url": None,
                    "url": "https://meals.example/@tom_b",
                }
            ],
        ),
    ]
    note: Annotated[str, Field(description="The words, as typed.", examples=["That looks good!"])]
    note_html: Annotated[
        str, Field(description="The same as safe HTML, with links.", examples=["<p>That looks good!</p>"])
    ]
    meal_id: Annotated[Id, Field(description="The meal that it is about.", examples=["117653444094112991"])]
    in_reply_to_id: Annotated[
        Id | None,
        Field(
            description="The comment at the top of the thread; null for one that is there itself. It may be deleted, or "
            "hidden from you.",
            examples=[None],
        ),
    ]
    created_at: Annotated[Moment, Field(description="When it was posted.", examples=["2026-11-20T05:02:40Z"])]
    edited_at: Annotated[Moment | None, Field(description="When it was last edited; null: never.", examples=[None])]
    mentions: Annotated[list[MentionOut], Field(description="Who is named in it.", examples=[[]])]
    likes_count: Annotated[int, Field(ge=0, description="How many like it.", examples=[1])]
    viewer: Annotated[CommentViewerOut, Field(description="How you stand to it.")]
    version: Annotated[int, Field(ge=1, description="Counts up with each change that others can see.", examples=[1])]
