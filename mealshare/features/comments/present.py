"""How comments go out as JSON."""

from __future__ import annotations

from mealshare.core.dates import rfc3339
from mealshare.core.security.identity import Identity
from mealshare.features.comments.queries import CommentRow
from mealshare.features.comments.rules import may_delete
from mealshare.features.comments.schemas import CommentOut, CommentViewerOut
from mealshare.features.meals.present import mentions_in
from mealshare.features.meals.schemas_out import AuthorOut
from mealshare.features.media.urls import avatar_url


def comment_out(comment: CommentRow, base_url: str, viewer: Identity | None) -> CommentOut:
    """The comment in its public shape, as ``viewer`` sees it."""
    own = viewer is not None and viewer.account_id == comment.account_id
    return CommentOut(
        id=str(comment.id),
        url=comment.url,
        uri=comment.uri,
        user=AuthorOut(
            comment.username, comment.display_name, avatar_url(base_url, comment.avatar_key), comment.author_url
        ),
        note=comment.note,
        note_html=comment.note_html,
        meal_id=str(comment.meal_id),
        in_reply_to_id=None if comment.in_reply_to_id is None else str(comment.in_reply_to_id),
        created_at=rfc3339(comment.created_at),
        edited_at=None if comment.edited_at is None else rfc3339(comment.edited_at),
        mentions=mentions_in(comment.note_html),
        likes_count=comment.likes_count,
        viewer=CommentViewerOut(comment.liked, own, own, may_delete(viewer, comment) is None),
        version=comment.version,
    )


def comment_etag(comment: CommentRow, viewer: Identity | None) -> str:
    """The entity tag of a comment's JSON for this viewer: its version first, then what else the answer depends on."""
    own = viewer is not None and viewer.account_id == comment.account_id
    flags = f"{int(comment.liked)}{int(own)}{int(may_delete(viewer, comment) is None)}"
    return f'"{comment.version}-{comment.author_version}-{comment.likes_count}-{flags}"'
