"""How text is cut into tokens, and a query into what must be found."""

from __future__ import annotations

import random
import unicodedata

import pytest

from mealshare.core.search import QUERY_LENGTH, Term, query_terms, tokens
from mealshare.core.search.tokens import QUERY_TERMS, TOKEN_LENGTH, fold
from tests.search_model import finds

CUT = {
    "": [],
    "… — !?": [],
    "🍜🍣": [],
    "Hot pot": ["hot", "pot"],
    "pot Pot POT": ["pot"],
    "hot_pot-2go": ["hot", "pot", "2go"],
    "Wang’s l’eau": ["wang", "s", "l", "eau"],
    "Café crème brûlée": ["cafe", "creme", "brulee"],
    "Smørrebrød Łódź straße": ["smorrebrod", "lodz", "strasse"],
    "phở bò": ["pho", "bo"],
    "ΓΎΡΟΣ γύρος": ["γυροσ"],
    "ёж": ["еж"],
    "ｆｕｌｌ ﬁsh Ⅳ": ["full", "fish", "iv"],
    "so\u00adup": ["soup"],
    "شُورْبَة": ["شوربة"],
    "हिन्दी": ["हिन्दी"],
    "비빔밥 돌솥": ["비빔밥", "돌솥"],
    "辣": ["辣"],
    "麻辣香锅": ["麻辣", "辣香", "香锅", "锅"],
    "炒蛋，米饭": ["炒蛋", "蛋", "米饭", "饭"],
    "がんも ｶﾚｰ": ["がん", "んも", "も", "カレ", "レー", "ー"],
    "3人份pizza": ["3", "人份", "份", "pizza"],
    "ข้าวผัด": ["ข้า", "าว", "วผั", "ผัด", "ด"],
}  # fmt: skip


@pytest.mark.parametrize("text", CUT, ids=lambda text: ascii(text)[:20])
def test_text_is_cut_into_tokens(text):
    assert tokens(text) == CUT[text]


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("", []),
        ('" * ( ) : ^ \0', []),
        ("rice", [Term("rice", True)]),
        ("fried ric", [Term("fried"), Term("ric", True)]),
        ("rice rice", [Term("rice")]),
        ("辣", [Term("辣", True)]),
        ("辣 x", [Term("辣", True), Term("x", True)]),
        ("麻辣", [Term("麻辣", True)]),
        ("麻辣香", [Term("麻辣"), Term("辣香", True)]),
        ("麻辣 soup", [Term("麻辣"), Term("soup", True)]),
        ("soup* OR NEAR(a b)", [Term("soup"), Term("or"), Term("near"), Term("a"), Term("b", True)]),
    ],
)
def test_a_query_is_cut_the_same_way_and_ends_open(query, terms):
    assert query_terms(query) == terms


FOUND_BY = [
    ("麻辣香锅", ["麻辣", "辣", "锅", "香锅", "麻辣香锅", "辣香"], ["麻锅", "香辣", "火锅"]),
    ("番茄炒蛋", ["炒蛋", "蛋", "番茄"], ["蛋炒", "炒饭"]),
    ("Café Nord", ["cafe", "CAFÉ", "caf", "nord ca", "no"], ["afe", "cafes", "cafe south"]),
    ("ข้าวผัดกุ้ง", ["ผัด", "กุ้ง", "ข้าว", "ผัดก"], ["กุ้งผัด"]),
    ("비빔밥", ["비빔", "비빔밥"], ["밥"]),
]


@pytest.mark.parametrize(("text", "yes", "no"), FOUND_BY)
def test_what_is_found_by_what(text, yes, no):
    assert [query for query in yes if not finds(text, query)] == []
    assert [query for query in no if finds(text, query)] == []


def _some_text(random_source, length):
    ranges = ((0x20, 0x7E), (0xA0, 0x17F), (0x300, 0x36F), (0x370, 0x6FF), (0x900, 0x97F), (0xE00, 0xE7F), (0x1100, 0x11FF),
              (0x1E00, 0x1FFF), (0x2000, 0x206F), (0x3040, 0x30FF), (0x4E00, 0x4E40), (0xAC00, 0xAC40), (0xFB00, 0xFFEF),
              (0x1F300, 0x1F5FF), (0x20000, 0x20020))  # fmt: skip
    return "".join(chr(random_source.randint(*random_source.choice(ranges))) for _ in range(length))


def test_whatever_is_typed():
    source = random.Random(20260301)
    for _ in range(3_000):
        text = _some_text(source, source.randint(0, 60))
        cut = tokens(text)
        assert fold(fold(text)) == fold(text), ascii(text)
        assert tokens(fold(text)) == cut, ascii(text)
        assert len(set(cut)) == len(cut)
        # Nothing that a query language could mean is left.
        assert all(unicodedata.category(char)[0] in "LMN" for token in cut for char in token), ascii(text)
        assert all(0 < len(token) <= TOKEN_LENGTH for token in cut)
        # What stands in a text finds it, up to the bounds of a query.
        if 0 < len(query_terms(text)) < QUERY_TERMS:
            assert finds(f"a {text} b", text), ascii(text)


def test_a_query_is_bounded():
    assert len(query_terms(" ".join(f"w{number}" for number in range(10_000)))) == QUERY_TERMS
    assert query_terms("x" * 10_000) == [Term("x" * TOKEN_LENGTH, True)]
    assert query_terms(" " * QUERY_LENGTH + "beyond") == []
    assert finds("y" * 500, "y" * 100)
