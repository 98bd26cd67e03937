"""Comments are read from their indexes, however many the site has: of one meal, of one thread, of one page."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from mealshare.core.db import Window
from mealshare.features.accounts.models import Account
from mealshare.features.accounts.visibility import ANONYMOUS
from mealshare.features.comments.models import Comment
from mealshare.features.comments.queries import (
    REPLIES,
    THREAD_PAGE,
    THREADS,
    comment_by_id,
    comments_page,
    conversation,
    is_far_back,
    single_thread,
)
from mealshare.features.meals.models import Meal
from mealshare.features.reactions.models import Like
from mealshare.features.social.models import Block, Mute
from tests.plans import expect_quick_disk, plans_of, take_statistics

PEOPLE, MEALS, EACH = 300, 300, 30
FIRST_PERSON, FIRST_MEAL, FIRST = 10_000, 100_000, 1_000_000
#: A meal that everybody talks about, the thread of it that everybody answers, and the reader.
LOUD, ME = FIRST_MEAL, FIRST_PERSON + 3
MANY = 300
#: Between two comments on that meal others are written, so that its comments are of all times.
APART = 17
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def loud(number: int) -> int:
    """The id of a comment on the meal that everybody talks about."""
    return FIRST + number * APART


LONG = loud(150)


def _post(id: int, **more: Any) -> dict[str, Any]:
    author = FIRST_PERSON + id % PEOPLE
    return {"id": id, "account_id": author, "uri": f"p{id}", "url": f"p{id}", "created_at": NOON + timedelta(seconds=id),
            "visibility": "public", **more}  # fmt: skip


def rows() -> Iterator[tuple[type, list[dict[str, Any]]]]:
    """Hundreds of meals with thirty comments each, half of them replies, and one with six hundred."""
    people = range(FIRST_PERSON, FIRST_PERSON + PEOPLE)
    yield Account, [{"id": id, "username": f"p{id}", "uri": f"u{id}", "url": f"u{id}"} for id in people]
    meals = range(FIRST_MEAL, FIRST_MEAL + MEALS)
    yield Meal, [_post(id, kind="meal", food="soup", meal_type="lunch", eaten_at=NOON, time_zone="UTC",
                       eaten_on=NOON.date()) for id in meals]  # fmt: skip
    tops = [_post(loud(number), kind="comment", note="x", root_id=LOUD, in_reply_to_id=LOUD) for number in range(MANY)]
    replies = [
        _post(loud(MANY + number), kind="comment", note="y", root_id=LOUD, in_reply_to_id=LONG)
        for number in range(MANY)
    ]
    between = (id for id in itertools.count(FIRST) if (id - FIRST) % APART)
    id = 0
    for meal in meals[1:]:
        for number in range(EACH):
            over = meal if number % 2 == 0 else id
            id = next(between)
            tops.append(_post(id, kind="comment", note="z", root_id=meal, in_reply_to_id=over))
    yield Comment, tops + replies
    others = [{"id": post["id"] * 10, "post_id": post["id"], "account_id": ME + 1 + post["id"] % 9} for post in tops]
    yield Like, others + [{"id": id, "post_id": id, "account_id": ME} for id in map(loud, range(MANY))]
    yield Block, [{"account_id": ME, "target_id": FIRST_PERSON + 7}]
    yield Mute, [{"account_id": ME, "target_id": FIRST_PERSON + 8}]


@pytest.fixture
def connection(registry: Any) -> Iterator[Connection]:
    """A reading connection to that site, of which the database has statistics."""
    with registry["engine"].begin() as writing:
        for model, values in rows():
            writing.execute(insert(model), values)
    take_statistics(registry["engine"])
    with registry["read_engine"].connect() as reading:
        expect_quick_disk(reading)
        yield reading
        # It goes back to the pool.
        reading.invalidate()


def problems_of(plan: str) -> list[str]:
    """The steps that grow with the site: a look at all posts, by whatever name, or at all likes."""
    tables = "posts|likes|meal|top|reply|other|member"
    return [line for line in plan.splitlines() if re.search(rf"(Seq Scan on|SCAN) ({tables})\b", line)]


def test_read_from_their_indexes(connection):
    # Both at once: the site takes longer to fill than to look at.
    for viewer in (ANONYMOUS, ME):
        check_plans(connection, viewer)


def check_plans(connection: Connection, viewer: int) -> None:
    """Each list for one viewer: what it holds, and how it was read."""
    middle = loud(200)
    with plans_of(connection) as plans:
        quiet = conversation(connection, FIRST_MEAL + 50, viewer)
        busy = conversation(connection, LOUD, viewer)
        earlier = conversation(connection, LOUD, viewer, before=middle)
        around = conversation(connection, LOUD, viewer, before=loud(155))
        thread = single_thread(connection, LOUD, LONG, viewer)
        up = single_thread(connection, LOUD, LONG, viewer, before=loud(MANY + 100))
        flat = comments_page(connection, LOUD, Window(), viewer)
        below = comments_page(connection, LOUD, Window(max_id=middle), viewer)
        above = comments_page(connection, LOUD, Window(min_id=middle), viewer)
        oldest = comments_page(connection, LOUD, Window(oldest_first=True), viewer)
        after = comments_page(connection, LOUD, Window(min_id=middle, oldest_first=True), viewer)
        assert comment_by_id(connection, middle, viewer) is not None
        old = comment_by_id(connection, loud(MANY + 5), viewer)
        assert old is not None
        assert is_far_back(connection, old)
    hidden = {FIRST_PERSON + 7, FIRST_PERSON + 8} if viewer == ME else set()
    assert len(quiet.threads) <= EACH // 2
    assert [len(page.threads) for page in (busy, earlier, around)] == [THREADS] * 3
    (long,) = [one for one in around.threads if one.id == LONG]
    assert long.earlier
    assert REPLIES - len(hidden) <= len(long.replies) <= REPLIES
    assert [len(page.threads[0].replies) for page in (thread, up)] == [THREAD_PAGE] * 2
    assert [len(page.items) for page in (flat, below, above, oldest, after)] == [20] * 5
    assert above.items == after.items[::-1]
    for page in (busy, earlier, around, thread, up):
        for one in page.threads:
            assert one.top is not None or one.replies
            shown = [*one.replies, *([one.top] if one.top else [])]
            assert not hidden & {comment.account_id for comment in shown}
            assert all(comment.liked == (viewer == ME and comment.id < loud(MANY)) for comment in shown)
    for plan in plans:
        assert problems_of(plan) == [], plan
        # Not from one end of the site to the other, to meet what was looked for.
        assert "Merge Join" not in plan, plan
    index = "ix_posts_in_reply_to_id"
    for plan in plans[:6]:
        assert index in plan, plan
    # A list reads on in its order; nothing is sorted to find the first page.
    for plan in plans[6:11]:
        assert "ix_posts_root_id" in plan, plan
        assert not re.search(r"Sort\b(?! Key)|TEMP B-TREE", plan), plan
