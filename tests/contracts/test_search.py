"""The index of words: SQLite's and PostgreSQL's answer as the plain model does."""

from __future__ import annotations

import random

import pytest
from sqlalchemy import select

from mealshare.core.search import WordIndex, query_terms, tokens
from mealshare.features.accounts.models import Account
from tests.search_model import finds, holds

INDEX = WordIndex("meal_words", "post_id")
PIECES = (
    "rice", "Rice", "ricecooker", "Café", "cafe", "naïve", "O'Brien", "hot_pot", "7up", "x", "NEAR", "OR", "AND", "NOT",
    "麻辣香锅", "麻辣", "辣", "香锅", "番茄炒蛋", "蛋", "カレー", "ｶﾚｰ", "が", "비빔밥", "비빔", "ข้าวผัดกุ้ง", "ผัด", "हिन्दी", "شوربة", "ß",
    "Ⅳ", "½", "🍜", '"', "'", "\\", "*", ":*", "&", "|", "!", "<->", "(", ")", "--", ";", "%", "%s", ":words", "{a}", "^", "a" * 60,
)  # fmt: skip


def _texts(source: random.Random, count: int, most: int) -> list[str]:
    return [
        source.choice((" ", "", ", ", "\n")).join(source.choices(PIECES, k=source.randint(0, most)))
        for _ in range(count)
    ]


def found(session, terms):
    dialect = session.connection().dialect.name
    match = INDEX.match(dialect)
    statement = select(match.id).select_from(match.table).where(match.found).order_by(match.id.desc())
    return list(session.scalars(statement, {"words": INDEX.question(dialect, terms)}))


def test_hundreds_of_queries_over_hundreds_of_texts(work):
    source = random.Random(7)
    texts = dict(enumerate(_texts(source, 300, 8), start=1))
    queries = [*PIECES, *_texts(source, 400, 3), *(piece[:2] for piece in PIECES)]
    with work() as unit:
        for id, text in texts.items():
            INDEX.put(unit.session, id, tokens(text))
    asked = 0
    with work() as unit:
        for query in queries:
            terms = query_terms(query)
            if not terms:
                continue
            asked += 1
            expected = [id for id in sorted(texts, reverse=True) if finds(texts[id], query)]
            assert found(unit.session, terms) == expected, query
    assert asked > 300


def test_what_is_put_again_is_replaced_and_what_is_removed_is_gone(work):
    with work() as unit:
        session = unit.session
        INDEX.put(session, 1, ["rice", "soup"])
        INDEX.put(session, 2, [])
        assert (INDEX.holds(session, 1), INDEX.holds(session, 2), INDEX.holds(session, 3)) == (True, True, False)
        INDEX.put(session, 1, ["tofu"])
        assert found(session, query_terms("rice")) == []
        assert found(session, query_terms("tof")) == [1]
        INDEX.remove(session, [1, 3])
        INDEX.remove(session, [1])
        assert found(session, query_terms("tof")) == []
        assert not INDEX.holds(session, 1)


def test_as_a_condition_on_another_table(work, make_user):
    people = [make_user().account_id for _ in range(3)]
    with work() as unit:
        session = unit.session
        for id in people[:2]:
            INDEX.put(session, id, tokens("麻辣 'quoted'"))
        condition = INDEX.condition(session.connection().dialect.name, Account.id, query_terms("辣 quot"))
        assert sorted(session.scalars(select(Account.id).where(condition))) == sorted(people[:2])


def test_a_rollback_takes_the_words_with_it(work):
    with pytest.raises(ZeroDivisionError), work() as unit:
        INDEX.put(unit.session, 1, ["rice"])
        raise ZeroDivisionError
    with work() as unit:
        assert found(unit.session, query_terms("rice")) == []


def test_the_model_can_say_no():
    assert holds(["rice"], query_terms("ric")) and not holds(["rice"], query_terms("rice soup"))
