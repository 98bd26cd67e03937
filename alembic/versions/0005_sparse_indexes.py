"""Indexes over what a meal answers or copies hold only those that do.

Most do neither.  On SQLite, statistics (``ANALYZE``) of an index that is full of NULL say that a search in it finds nearly
the whole table, and the planner reads the table instead.  Besides, a meal is written into three indexes fewer.

Revision: 0005, after 0004.  No statement changes, so a process of the version before it goes on serving.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

COLUMNS = ("in_reply_to_id", "root_id", "inspired_by_id")


def upgrade() -> None:
    for column in COLUMNS:
        op.drop_index(f"ix_posts_{column}", "posts")
        there = sa.text(f"{column} IS NOT NULL")
        op.create_index(f"ix_posts_{column}", "posts", [column, "id"], sqlite_where=there, postgresql_where=there)


def downgrade() -> None:
    for column in COLUMNS:
        op.drop_index(f"ix_posts_{column}", "posts")
        op.create_index(f"ix_posts_{column}", "posts", [column, "id"])
