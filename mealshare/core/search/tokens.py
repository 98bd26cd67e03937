"""How text is cut into what can be searched for: the same for what is stored and for what is asked.

A token is made of letters, marks and digits only, so no sign that means something to a query language is ever in one.

* Scripts that put spaces between words (Hangul among them): each word is a token.
* Scripts that do not (Han, kana, Thai, Lao, Khmer, Myanmar): each pair of neighbouring characters is one, and the last
  character alone.  A single character is then the beginning of some token wherever it stands.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

#: How much of a query counts: characters, and tokens.
QUERY_LENGTH = 200
QUERY_TERMS = 20
#: A longer word is known by its beginning.
TOKEN_LENGTH = 40

# Accents and vowel points that people leave out when they type: those of Latin, Greek and Cyrillic, Hebrew, Arabic.
# The marks of Indic and Thai scripts are vowels, and those of kana make another sound: they stay.
_MARKS = re.compile(
    "[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670"
    "\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
)
# What changes the look and not the word: joiners, soft hyphens, variation selectors, direction marks, fillers.
_IGNORED = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u2064\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\U000e0100-\U000e01ef]"
)
# Letters that have no mark to take away, and are typed without it all the same.
_PLAIN = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe", "ð": "d", "þ": "th"})
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303c"
    "\u3041-\u30fa\u30fc-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua9e0-\ua9fe"
    "\uaa60-\uaa7f\uf900-\ufaff\U0001b000-\U0001b16f\U00020000-\U0003ffff]"
)


class Term(NamedTuple):
    """A token that must be there; with ``prefix``, one that begins so."""

    text: str
    prefix: bool = False


def fold(text: str) -> str:
    """``text`` without what people do not tell apart when they search: width, case, accents.

    Folding twice gives the same as folding once.
    """
    # Each step can make work for another: one Latin letter in a circle, say, becomes a letter with case.
    for _round in range(4):
        folded = unicodedata.normalize("NFKC", _IGNORED.sub("", text)).casefold().translate(_PLAIN)
        folded = unicodedata.normalize("NFC", _MARKS.sub("", unicodedata.normalize("NFKD", folded)))
        if folded == text:
            break
        text = folded
    return text


def tokens(text: str) -> list[str]:
    """The tokens of ``text``, each once, in the order of the text."""
    found: dict[str, None] = {}
    for run, unspaced in _runs(fold(text)):
        if not unspaced:
            found.setdefault(run[:TOKEN_LENGTH])
            continue
        signs = _signs(run)
        for token in (*map("".join, pairwise(signs)), signs[-1]):
            found.setdefault(token)
    return list(found)


def query_terms(query: str) -> list[Term]:
    """What must be found for ``query``, all of it; empty where there is nothing to look for.

    The last token is a beginning, for the reader may still be typing; so is a character that stands alone in a script
    without spaces.  What goes beyond `QUERY_LENGTH` characters or `QUERY_TERMS` tokens is left out.
    """
    found: list[Term] = []
    for run, unspaced in _runs(fold(query[:QUERY_LENGTH])):
        if not unspaced:
            found.append(Term(run[:TOKEN_LENGTH]))
        elif len(signs := _signs(run)) == 1:
            found.append(Term(run, prefix=True))
        else:
            found.extend(Term("".join(pair)) for pair in pairwise(signs))
    if found:
        found[-1] = found[-1]._replace(prefix=True)
    # What is also asked for in full must be there in full.
    loosely: dict[str, bool] = {}
    for text, prefix in found:
        loosely[text] = prefix and loosely.get(text, True)
    return [Term(text, prefix) for text, prefix in loosely.items()][:QUERY_TERMS]


@lru_cache(maxsize=8192)
def _kind(char: str) -> int:
    """0 for what parts words, 1 for a character of a word, 2 for one of a script without spaces, 3 for a mark."""
    category = unicodedata.category(char)
    if category[0] == "M":
        return 3
    if category[0] not in "LN":
        return 0
    return 2 if _UNSPACED.match(char) else 1


def _runs(text: str) -> Iterator[tuple[str, bool]]:
    """The words of ``text``, and whether each is of a script without spaces; a mark belongs to what is before it."""
    start, kind = 0, 0
    for position, char in enumerate(text):
        now = _kind(char)
        if now == 3:
            now = kind or 1
        if now != kind:
            if kind:
                yield text[start:position], kind == 2
            start, kind = position, now
    if kind:
        yield text[start:], kind == 2


def _signs(run: str) -> list[str]:
    """The characters of a run, each with the marks that follow it."""
    signs: list[str] = []
    for char in run:
        if signs and _kind(char) == 3 and len(signs[-1]) < TOKEN_LENGTH // 2:
            signs[-1] += char
        else:
            signs.append(char)
    return signs


def is_unspaced(char: str) -> bool:
    """Whether the character is of a script without spaces, in which a word may begin anywhere."""
    return _kind(char) == 2
