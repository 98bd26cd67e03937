"""People: follows, blocks, mutes, wants, mentions, notifications, preferences, home feeds, the search index.

Revision: 0002, after 0001.  It only adds, so a process of the version before it, once started, goes on serving.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

#: Children after their parents.
TABLES = (
    "follows", "blocks", "mutes", "wants", "mentions", "eating_preferences", "notifications", "timeline_entries",
    "timeline_pulls",
)  # fmt: skip
#: The indexes of words, by the column that names the row: not known to the models, for each database has its own kind.
WORDS = {"meal_words": "post_id", "person_words": "account_id"}
PUBLIC_MEAL = "kind = 'meal' AND deleted_at IS NULL AND visibility = 'public'"
#: Not only public ones: a place is there for whoever may see a meal that was eaten there.
PLACED = "kind = 'meal' AND deleted_at IS NULL AND place_key IS NOT NULL"
COPIED = "inspired_by_id IS NOT NULL AND deleted_at IS NULL"
UNREAD = "read_at IS NULL"


def _id() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _key(name: str = "id") -> sa.Column[int]:
    return sa.Column(name, _id(), autoincrement=False, nullable=False)


def _instant(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _primary(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*(columns or ("id",)), name=f"pk_{table}")


def _unique(table: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*columns, name=f"uq_{table}_{'_'.join(columns)}")


def _foreign(table: str, column: str, parent: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{parent}.id"], name=f"fk_{table}_{column}_{parent}", ondelete="CASCADE")


def _check(table: str, name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))


def _one_of(table: str, column: str, *values: str) -> sa.CheckConstraint:
    return _check(table, column, f"{column} IN ({', '.join(repr(value) for value in values)})")


def _index(name: str, table: str, *columns: str, where: str | None = None) -> None:
    condition = None if where is None else sa.text(where)
    op.create_index(name, table, list(columns), sqlite_where=condition, postgresql_where=condition)


def upgrade() -> None:
    _widen()
    _create_between_people()
    _create_answers()
    _create_notifications()
    _create_timelines()
    _create_words()


def downgrade() -> None:
    for name in WORDS:
        op.execute(f"DROP TABLE {name}")
    for table in reversed(TABLES):
        op.drop_table(table)
    op.execute("DELETE FROM posts WHERE kind <> 'meal'")
    for name in ("ix_posts_place_key", "ix_posts_account_inspired_by"):
        op.drop_index(name, "posts")
    _index("ix_posts_place_meals", "posts", "place_id", "id", where=PUBLIC_MEAL)
    # Not in batch mode: that would rebuild the tables, and lose their indexes over expressions.
    for table, column in (
        ("posts", "place_key"), ("posts", "comments_closed"), ("accounts", "followers_count"),
        ("accounts", "following_count"),
    ):  # fmt: skip
        op.drop_column(table, column)


def _widen() -> None:
    """New columns of the tables of 0001; their defaults stay, so that no table has to be rebuilt."""
    for name in ("followers_count", "following_count"):
        op.add_column("accounts", sa.Column(name, sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.add_column("posts", sa.Column("place_key", sa.String(400), nullable=True))
    op.add_column("posts", sa.Column("comments_closed", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute(
        "UPDATE posts SET place_key = (SELECT name_key FROM places WHERE places.id = posts.place_id)"
        " WHERE place_id IS NOT NULL"
    )
    op.drop_index("ix_posts_place_meals", "posts")
    _index("ix_posts_place_key", "posts", "place_key", "id", where=PLACED)
    _index("ix_posts_account_inspired_by", "posts", "account_id", "inspired_by_id", "id", where=COPIED)


def _create_between_people() -> None:
    op.create_table(
        "follows",
        _key(),
        _key("account_id"),
        _key("target_id"),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("uri", sa.String(500), nullable=True),
        _instant("created_at"),
        _primary("follows"),
        _foreign("follows", "account_id", "accounts"),
        _foreign("follows", "target_id", "accounts"),
        _unique("follows", "account_id", "target_id"),
        _unique("follows", "uri"),
        _check("follows", "not_oneself", "account_id <> target_id"),
        _one_of("follows", "state", "requested", "accepted"),
    )
    _index("ix_follows_account_id_state", "follows", "account_id", "state", "id")
    _index("ix_follows_target_id_state", "follows", "target_id", "state", "id")
    for table in ("blocks", "mutes"):
        until = [_instant("until", nullable=True)] if table == "mutes" else []
        op.create_table(
            table,
            _key(),
            _key("account_id"),
            _key("target_id"),
            *until,
            _instant("created_at"),
            _primary(table),
            _foreign(table, "account_id", "accounts"),
            _foreign(table, "target_id", "accounts"),
            _unique(table, "account_id", "target_id"),
            _check(table, "not_oneself", "account_id <> target_id"),
        )
        _index(f"ix_{table}_target_id", table, "target_id")
        _index(f"ix_{table}_account_id", table, "account_id", "id")


def _create_answers() -> None:
    op.create_table(
        "wants",
        _key(),
        _key("post_id"),
        _key("account_id"),
        _instant("created_at"),
        _primary("wants"),
        _foreign("wants", "post_id", "posts"),
        _foreign("wants", "account_id", "accounts"),
        _unique("wants", "post_id", "account_id"),
    )
    _index("ix_wants_account_id", "wants", "account_id", "id")
    op.create_table(
        "mentions",
        _key("post_id"),
        _key("account_id"),
        _primary("mentions", "post_id", "account_id"),
        _foreign("mentions", "post_id", "posts"),
        _foreign("mentions", "account_id", "accounts"),
    )
    _index("ix_mentions_account_id", "mentions", "account_id")
    op.create_table(
        "eating_preferences",
        _key("account_id"),
        sa.Column("mode", sa.String(20), nullable=False),
        sa.Column("avoid", sa.Integer(), nullable=False),
        sa.Column("diets", sa.Integer(), nullable=False),
        _primary("eating_preferences", "account_id"),
        _foreign("eating_preferences", "account_id", "accounts"),
        _one_of("eating_preferences", "mode", "hide", "warn"),
    )


def _create_notifications() -> None:
    op.create_table(
        "notifications",
        _key(),
        _key("account_id"),
        sa.Column("type", sa.String(20), nullable=False),
        _key("from_id"),
        sa.Column("post_id", _id(), nullable=True),
        sa.Column("key", sa.String(100), nullable=False),
        sa.Column("group_key", sa.String(100), nullable=False),
        _instant("created_at"),
        _instant("read_at", nullable=True),
        _primary("notifications"),
        _foreign("notifications", "account_id", "accounts"),
        _foreign("notifications", "from_id", "accounts"),
        _foreign("notifications", "post_id", "posts"),
        _unique("notifications", "account_id", "key"),
        _one_of(
            "notifications", "type", "like", "comment", "mention", "follow", "follow_request", "ate_too", "report",
            "moderation",
        ),
    )  # fmt: skip
    for column in ("from_id", "post_id"):
        _index(f"ix_notifications_{column}", "notifications", column)
    _index("ix_notifications_account_id", "notifications", "account_id", "id")
    _index("ix_notifications_unread", "notifications", "account_id", "id", where=UNREAD)


def _create_timelines() -> None:
    op.create_table(
        "timeline_entries",
        _key("account_id"),
        _key("post_id"),
        _key("author_id"),
        _primary("timeline_entries", "account_id", "post_id"),
        _foreign("timeline_entries", "account_id", "accounts"),
    )
    _index("ix_timeline_entries_author_id", "timeline_entries", "author_id", "account_id")
    op.create_table(
        "timeline_pulls",
        _key("account_id"),
        _key("author_id"),
        _primary("timeline_pulls", "account_id", "author_id"),
        _foreign("timeline_pulls", "account_id", "accounts"),
        _foreign("timeline_pulls", "author_id", "accounts"),
    )
    _index("ix_timeline_pulls_author_id", "timeline_pulls", "author_id")
    # Whoever has posted finds it in the own home feed; there are no followers yet.
    op.execute(
        "INSERT INTO timeline_entries (account_id, post_id, author_id)"
        " SELECT account_id, id, account_id FROM posts WHERE kind = 'meal' AND deleted_at IS NULL"
    )


def _create_words() -> None:
    """The words of each meal and person, cut by the application; `mealshare search rebuild` fills them."""
    for name, key in WORDS.items():
        if op.get_bind().dialect.name == "postgresql":
            op.execute(
                f"CREATE TABLE {name} ({key} BIGINT NOT NULL CONSTRAINT pk_{name} PRIMARY KEY, words TSVECTOR NOT NULL)"
            )
            op.execute(f"CREATE INDEX ix_{name}_words ON {name} USING gin (words)")
        else:
            # Without positions: words are looked for, not phrases.  "ascii" leaves all other characters as they are.
            # Short beginnings have many words: with lists of their own they are read until the page is full.
            options = "detail=none, columnsize=0, tokenize='ascii', prefix='1 2 3 4'"
            op.execute(f"CREATE VIRTUAL TABLE {name} USING fts5(words, {options})")
