"""Where a listener stands, and that whoever goes on from there has everything once."""

from __future__ import annotations

import random

import pytest

from mealshare.core.ids import MAX_ID, SEQUENCE_BITS
from mealshare.features.streams.cursor import LONGEST, MOST_KNOWN, SETTLED_SECONDS, Cursor

START = 1_795_000_000_000 << SEQUENCE_BITS


def ids(count: int, milliseconds: int, seed: int) -> list[int]:
    """Ids in the order in which they come to light: each up to a second after it was made."""
    chance = random.Random(seed)
    made = [START + (number * milliseconds << SEQUENCE_BITS) + chance.randrange(1 << 16) for number in range(count)]
    return sorted(made, key=lambda id: (id >> SEQUENCE_BITS) + chance.randrange(1000))


@pytest.mark.parametrize("milliseconds", [30, 400, 5000])
def test_whoever_goes_on_misses_nothing_and_has_nothing_twice(milliseconds: int) -> None:
    """At each point at which the connection may break, the cursor tells exactly what is left."""
    coming = ids(200, milliseconds, seed=milliseconds)
    cursor = Cursor(START - 1)
    for number, id in enumerate(coming, 1):
        cursor.add(id)
        again = Cursor.parse(str(cursor))
        assert [one for one in coming if one > again.floor and not again.knows(one)] == sorted(
            coming[number:], key=coming.index
        )
        assert len(str(cursor)) <= LONGEST
        assert len(cursor.known) <= MOST_KNOWN


def test_what_is_settled_is_forgotten() -> None:
    cursor = Cursor(START)
    cursor.add(START + 5)
    late = START + (SETTLED_SECONDS * 1000 + 1 << SEQUENCE_BITS) + 5
    cursor.add(late)
    assert (cursor.floor, cursor.known) == (START + 5, [late])
    cursor.settle(START)
    assert cursor.floor == START + 5
    cursor.settle(late)
    assert str(cursor) == str(late)
    # One that comes after it was settled is sent, and changes nothing.
    cursor.add(START + 1)
    assert str(cursor) == str(late)


def test_the_id_of_a_meal_is_a_cursor() -> None:
    assert Cursor.parse("117653443951375596") == Cursor(117653443951375596)
    assert Cursor.parse("10-1-f-1") == Cursor(10, [11, 25])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "-1",
        "01",
        " 1",
        "1-",
        "1-g",
        "1-A",
        "1--2",
        "1\n",
        "１２",
        str(MAX_ID + 1),
        "1" + "-1" * (MOST_KNOWN + 1),
        "1-" + "f" * 17,
    ],
)
def test_nothing_else_is(text: str) -> None:
    with pytest.raises(ValueError):
        Cursor.parse(text)
