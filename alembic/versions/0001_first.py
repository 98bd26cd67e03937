"""The first tables: accounts and what signs them in, posts, pictures, tags, places, likes, jobs.

Revision: 0001, after nothing.

A migration says what the database looked like at its time, so it imports nothing of the application: a model that
changes later must not change what this one makes.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

#: Children after their parents.
TABLES = (
    "accounts", "users", "sessions", "grants", "refresh_tokens", "password_resets", "places", "tags", "posts", "post_tags",
    "post_revisions", "upload_baskets", "media", "likes", "jobs",
)  # fmt: skip


def _id() -> sa.types.TypeEngine[int]:
    """64 bits; SQLite has one integer type, and only "INTEGER" makes a primary key the row id."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _key(name: str = "id") -> sa.Column[int]:
    return sa.Column(name, _id(), autoincrement=False, nullable=False)


def _reference(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, _id(), nullable=nullable)


def _instant(name: str, *, nullable: bool = False) -> sa.Column[object]:
    """TIMESTAMP WITH TIME ZONE on PostgreSQL, DATETIME (in UTC) on SQLite."""
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _text(name: str, length: int | None = None, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length) if length else sa.Text(), nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=nullable)


def _primary(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*(columns or ("id",)), name=f"pk_{table}")


def _unique(table: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*columns, name=f"uq_{table}_{'_'.join(columns)}")


def _foreign(table: str, column: str, parent: str, *, ondelete: str = "CASCADE") -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_{column}_{parent}"
    return sa.ForeignKeyConstraint([column], [f"{parent}.id"], name=name, ondelete=ondelete)


def _one_of(table: str, column: str, *values: str) -> sa.CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    # op.f: the name is whole; the naming convention must not put "ck_<table>_" before it again.
    return sa.CheckConstraint(f"{column} IN ({listed})", name=op.f(f"ck_{table}_{column}"))


def _index(name: str, table: str, *columns: str, where: str | None = None, unique: bool = False) -> None:
    expressions = [sa.text(column) if "(" in column else column for column in columns]
    condition = None if where is None else sa.text(where)
    op.create_index(name, table, expressions, unique=unique, sqlite_where=condition, postgresql_where=condition)


def upgrade() -> None:
    _create_accounts()
    _create_users()
    _create_sign_ins()
    _create_places_and_tags()
    _create_posts()
    _create_what_belongs_to_posts()
    _create_media()
    _create_jobs()


def downgrade() -> None:
    # A table takes its indexes along.
    for table in reversed(TABLES):
        op.drop_table(table)


def _create_accounts() -> None:
    op.create_table(
        "accounts",
        _key(),
        _text("username", 100),
        _text("domain", 253),
        _text("display_name", 100),
        _text("bio"),
        _text("bio_html"),
        _text("avatar_key", 100, nullable=True),
        sa.Column("locked", sa.Boolean(), nullable=False),
        _text("uri", 500),
        _text("url", 500),
        _text("public_key", nullable=True),
        _text("private_key", nullable=True),
        _instant("suspended_at", nullable=True),
        _reference("moved_to_id", nullable=True),
        _number("meals_count"),
        _instant("created_at"),
        _number("version"),
        _primary("accounts"),
        _foreign("accounts", "moved_to_id", "accounts", ondelete="SET NULL"),
        _unique("accounts", "uri"),
    )
    _index("uq_accounts_username_domain", "accounts", "lower(username)", "domain", unique=True)


def _create_users() -> None:
    op.create_table(
        "users",
        _key(),
        _text("email", 254),
        _text("password_hash", 200),
        _text("role", 20),
        _text("locale", 20, nullable=True),
        _text("time_zone", 64),
        sa.Column("settings", sa.JSON(), nullable=False),
        _number("generation"),
        _instant("created_at"),
        _primary("users"),
        _foreign("users", "id", "accounts"),
        _one_of("users", "role", "guest", "user", "moderator", "admin"),
    )
    _index("uq_users_email", "users", "lower(email)", unique=True)


def _create_sign_ins() -> None:
    secret = sa.LargeBinary(32)
    op.create_table(
        "sessions",
        _key(),
        sa.Column("token_hash", secret, nullable=False),
        _reference("user_id"),
        _instant("created_at"),
        _instant("last_seen_at"),
        _instant("authenticated_at"),
        _instant("expires_at"),
        _text("address", 45),
        _text("user_agent", 300),
        _primary("sessions"),
        _foreign("sessions", "user_id", "users"),
        _unique("sessions", "token_hash"),
    )
    op.create_table(
        "grants",
        _key(),
        _reference("user_id"),
        _text("scopes", 300),
        _instant("created_at"),
        _instant("last_used_at"),
        _instant("expires_at"),
        _instant("revoked_at", nullable=True),
        _text("address", 45),
        _text("user_agent", 300),
        _primary("grants"),
        _foreign("grants", "user_id", "users"),
    )
    for table, parent, column in (("refresh_tokens", "grants", "grant_id"), ("password_resets", "users", "user_id")):
        op.create_table(
            table,
            _key(),
            _reference(column),
            sa.Column("token_hash", secret, nullable=False),
            _instant("created_at"),
            _instant("expires_at"),
            _instant("used_at", nullable=True),
            _primary(table),
            _foreign(table, column, parent),
            _unique(table, "token_hash"),
        )
        _index(f"ix_{table}_{column}", table, column)
    for table in ("sessions", "grants"):
        _index(f"ix_{table}_user_id", table, "user_id")


def _create_places_and_tags() -> None:
    op.create_table(
        "places",
        _key(),
        _text("name", 200),
        _text("city", 100),
        _text("country_code", 2),
        sa.Column("latitude", sa.Float(), nullable=True),
        sa.Column("longitude", sa.Float(), nullable=True),
        _text("spot", 60),
        _text("name_key", 400),
        _text("city_key", 200),
        _instant("created_at"),
        _primary("places"),
        _unique("places", "name", "city", "country_code", "spot"),
    )
    _index("ix_places_name_key", "places", "name_key")
    op.create_table(
        "tags",
        _key(),
        _text("name", 100),
        _text("display", 100),
        _number("meals_count"),
        _instant("created_at"),
        _primary("tags"),
        _unique("tags", "name"),
    )
    _index("ix_tags_meals_count", "tags", "meals_count", "id")


def _create_posts() -> None:
    op.create_table("posts", *_post_columns(), *_meal_columns(), *_post_constraints())
    meal = "kind = 'meal' AND deleted_at IS NULL"
    public = f"{meal} AND visibility = 'public'"
    _index("ix_posts_public_meals", "posts", "id", where=public)
    _index("ix_posts_account_meals", "posts", "account_id", "id", where=meal)
    _index("ix_posts_account_eaten_on", "posts", "account_id", "eaten_on", "id", where=meal)
    _index("ix_posts_place_meals", "posts", "place_id", "id", where=public)
    for column in ("in_reply_to_id", "root_id", "inspired_by_id"):
        _index(f"ix_posts_{column}", "posts", column, "id")


def _post_columns() -> list[sa.Column[object]]:
    return [
        _key(),
        _text("kind", 20),
        _text("uri", 500),
        _text("url", 500),
        _reference("account_id"),
        _reference("in_reply_to_id", nullable=True),
        _reference("root_id", nullable=True),
        _text("note"),
        _text("note_html"),
        _text("spoiler_text", 500),
        sa.Column("sensitive", sa.Boolean(), nullable=False),
        _text("language", 20, nullable=True),
        _text("visibility", 20),
        _instant("created_at"),
        _instant("edited_at", nullable=True),
        _instant("deleted_at", nullable=True),
        _number("version"),
        _number("likes_count"),
        _number("comments_count"),
        _number("ate_too_count"),
    ]


def _meal_columns() -> list[sa.Column[object]]:
    return [
        _text("food", 140, nullable=True),
        _text("meal_type", 20, nullable=True),
        _instant("eaten_at", nullable=True),
        _text("time_zone", 64, nullable=True),
        sa.Column("eaten_on", sa.Date(), nullable=True),
        _reference("place_id", nullable=True),
        _text("source", 20, nullable=True),
        # Bit masks: member number n of the enumeration is bit n.
        _number("diets"),
        _number("allergens_contained"),
        _number("allergens_free_from"),
        _text("recipe_url", 2000, nullable=True),
        _reference("inspired_by_id", nullable=True),
        sa.Column("tag_names", sa.JSON(), nullable=False),
    ]


def _post_constraints() -> list[sa.Constraint]:
    meal_types = ("breakfast", "brunch", "lunch", "snack", "dinner", "late_night", "drink")
    sources = ("home", "restaurant", "takeaway", "canteen", "street", "packaged", "other")
    return [
        _primary("posts"),
        _foreign("posts", "account_id", "accounts"),
        _foreign("posts", "in_reply_to_id", "posts", ondelete="SET NULL"),
        _foreign("posts", "root_id", "posts", ondelete="SET NULL"),
        _foreign("posts", "place_id", "places", ondelete="SET NULL"),
        _foreign("posts", "inspired_by_id", "posts", ondelete="SET NULL"),
        _unique("posts", "uri"),
        _one_of("posts", "visibility", "public", "unlisted", "followers", "only_me"),
        _one_of("posts", "meal_type", *meal_types),
        _one_of("posts", "source", *sources),
    ]


def _create_what_belongs_to_posts() -> None:
    op.create_table(
        "post_tags",
        _key("tag_id"),
        _key("post_id"),
        _primary("post_tags", "tag_id", "post_id"),
        _foreign("post_tags", "tag_id", "tags"),
        _foreign("post_tags", "post_id", "posts"),
    )
    _index("ix_post_tags_post_id", "post_tags", "post_id")
    op.create_table(
        "post_revisions",
        _key(),
        _reference("post_id"),
        _number("version"),
        sa.Column("content", sa.JSON(), nullable=False),
        _instant("created_at"),
        _primary("post_revisions"),
        _foreign("post_revisions", "post_id", "posts"),
        _unique("post_revisions", "post_id", "version"),
    )
    op.create_table(
        "likes",
        _key(),
        _reference("post_id"),
        _reference("account_id"),
        _text("uri", 500, nullable=True),
        _instant("created_at"),
        _primary("likes"),
        _foreign("likes", "post_id", "posts"),
        _foreign("likes", "account_id", "accounts"),
        _unique("likes", "post_id", "account_id"),
        _unique("likes", "uri"),
    )
    _index("ix_likes_account_id", "likes", "account_id")


def _create_media() -> None:
    op.create_table(
        "upload_baskets",
        _key(),
        sa.Column("token_hash", sa.LargeBinary(32), nullable=False),
        _text("form"),
        _instant("created_at"),
        _primary("upload_baskets"),
        _unique("upload_baskets", "token_hash"),
    )
    op.create_table(
        "media",
        _key(),
        _reference("account_id", nullable=True),
        _reference("basket_id", nullable=True),
        _reference("post_id", nullable=True),
        _number("position"),
        _text("description"),
        _text("state", 20),
        _text("error", 50, nullable=True),
        _text("storage_key", 100),
        _text("blurhash", 100, nullable=True),
        _number("width", nullable=True),
        _number("height", nullable=True),
        _text("remote_url", 2000, nullable=True),
        _instant("created_at"),
        _primary("media"),
        _foreign("media", "account_id", "accounts"),
        _foreign("media", "basket_id", "upload_baskets", ondelete="SET NULL"),
        _foreign("media", "post_id", "posts", ondelete="SET NULL"),
        _unique("media", "storage_key"),
        _one_of("media", "state", "processing", "ready", "failed"),
    )
    _index("ix_media_basket_id", "media", "basket_id")
    _index("ix_media_post_id_position", "media", "post_id", "position")
    _index("ix_media_unattached", "media", "created_at", where="post_id IS NULL")


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        _key(),
        _text("name", 100),
        sa.Column("payload", sa.JSON(), nullable=False),
        _text("key", 200, nullable=True),
        _text("state", 20),
        _number("attempts"),
        _instant("run_at"),
        _instant("leased_until", nullable=True),
        _text("last_error", nullable=True),
        _text("request_id", 64, nullable=True),
        _instant("created_at"),
        _primary("jobs"),
        _unique("jobs", "key"),
        _one_of("jobs", "state", "queued", "running", "dead"),
    )
    _index("ix_jobs_state_run_at", "jobs", "state", "run_at", "id")
