"""Jobs that run elsewhere: what goes first, what a broker has been told of, and whose trace they belong to.

Revision: 0004, after 0003.  What it adds has defaults, so a process of the version before it goes on serving.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("priority", sa.Integer(), nullable=False, server_default=sa.text("1")))
    op.add_column("jobs", sa.Column("published_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("jobs", sa.Column("traceparent", sa.String(55), nullable=True))
    op.create_index("ix_jobs_state_priority_run_at", "jobs", ["state", "priority", "run_at", "id"])
    op.create_index("ix_jobs_published_at", "jobs", ["published_at", "state", "priority", "run_at"])
    op.drop_index("ix_jobs_state_run_at", "jobs")


def downgrade() -> None:
    op.create_index("ix_jobs_state_run_at", "jobs", ["state", "run_at", "id"])
    op.drop_index("ix_jobs_published_at", "jobs")
    op.drop_index("ix_jobs_state_priority_run_at", "jobs")
    # SQLite drops them in place since 3.35; batch mode would rebuild the table.
    op.drop_column("jobs", "traceparent")
    op.drop_column("jobs", "published_at")
    op.drop_column("jobs", "priority")
