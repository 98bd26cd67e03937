"""Words that people typed: cleaning them before they are stored, and making safe HTML of them.

What is stored is plain text.  ``render_note`` makes paragraphs of it, with links, #hashtags and @mentions; everything
else in it is shown as it was typed, whatever it looks like.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache
from html import escape
from typing import Literal, NamedTuple, TypeVar
from urllib.parse import quote

import nh3
from linkify_it import LinkifyIt

T = TypeVar("T")

TAG_LENGTH = 50
#: A longer address is shortened where it is shown; the link itself stays whole.
URL_DISPLAY_LENGTH = 40
LINK_REL = "nofollow noopener noreferrer ugc"

_LINE_ENDS = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
# Control characters (but tab and line feed), the two overrides that make all following text run backwards, the byte
# order mark, and the noncharacters: nobody types them, and XML (a feed) may not hold them.
_UNWANTED = re.compile(
    "[\x01-\x08\x0e-\x1f\x7f-\x9f\u202d\u202e\ufeff\ufdd0-\ufdef"
    + "".join(f"{chr(plane | 0xFFFE)}{chr(plane | 0xFFFF)}" for plane in range(0, 0x110000, 0x10000))
    + "]"
)
# NUL cannot be stored by PostgreSQL, half a surrogate pair cannot be encoded at all.
_REFUSED = re.compile("[\x00\ud800-\udfff]")
# Letters and symbols that show nothing: Hangul fillers, the empty Braille cell, and the variation selectors.
_BLANKS = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f" + "".join(map(chr, range(0xFE00, 0xFE10))))


class Tag(NamedTuple):
    """A hashtag without its sign: ``key`` finds it whatever its case or width, ``display`` is how it was written."""

    key: str
    display: str


class Rendered(NamedTuple):
    """The HTML of a note, its tags (each once) and the names that it mentions (each once), in the order of the text."""

    html: str
    tags: tuple[Tag, ...]
    mentions: tuple[str, ...]


class Token(NamedTuple):
    """A piece of a note: ``text`` as it was typed, and for a tag or a mention its ``value``."""

    kind: Literal["text", "link", "tag", "mention"]
    text: str
    value: str = ""


def clean_text(text: str, *, multiline: bool) -> str:
    """``text`` as it is stored: NFC, line feeds only, no control characters, no spaces at the ends of its lines.

    Without ``multiline`` line ends and tabs, with the spaces around them, become one space, and none is left in front.
    Emoji, joiners and the marks of every script stay.  Text in which nothing can be seen is "".
    Raises ValueError("control_characters") for NUL and for halves of surrogate pairs: those are an attack or a broken
    client, and dropping them silently could join what they kept apart.
    """
    if _REFUSED.search(text):
        raise ValueError("control_characters")
    text = _UNWANTED.sub("", _LINE_ENDS.sub("\n", text))
    text = unicodedata.normalize("NFC", text)
    if multiline:
        # No regular expression for the spaces before a line end: it would take quadratic time over a long run of them.
        text = "\n".join(line.rstrip() for line in text.split("\n")).strip("\n")
    else:
        text = " ".join(filter(None, (part.strip() for part in re.split(r"[\n\t]", text))))
    return text if _shows_something(text) else ""


def _shows_something(text: str) -> bool:
    return any(
        char not in _BLANKS and unicodedata.category(char) not in ("Zs", "Zl", "Zp", "Cc", "Cf") for char in text
    )


# --- Tags ---


@lru_cache(maxsize=8192)
def _is_tag_char(char: str) -> bool:
    """A letter, a combining mark or a digit of any script, or the underscore."""
    category = unicodedata.category(char)
    return char == "_" or category[0] in "LM" or category in ("Nd", "Nl")


_JOINERS = "\u200c\u200d"
#: What Unicode's case folding for identifiers drops: joiners and variation selectors change the look, not the word.
_IGNORED = re.compile(
    "[\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef\u034f\u115f\u1160\u3164\uffa0\u17b4\u17b5\u180b-\u180f]"
)


def normalise_tag(text: str) -> Tag:
    """The tag that somebody wrote, with or without its # (or full-width ＃).

    The key is folded as in UAX #31, R4 (NFKC, case, no ignorable characters), the display form is NFC.
    Raises ValueError: "tag_empty", "tag_too_long" (over 50 characters in either form), "tag_characters" (something else
    than letters, marks, digits and underscores of any script), "tag_letter" (no letter in it: "#1" is a number).
    """
    display = unicodedata.normalize("NFC", text.strip())
    if display[:1] in ("#", "＃"):
        display = display[1:]
    if not display:
        raise ValueError("tag_empty")
    key = _fold(display)
    if len(display) > TAG_LENGTH or len(key) > TAG_LENGTH:
        raise ValueError("tag_too_long")
    if not all(map(_is_tag_char, key)) or not _only_tag_chars(display):
        raise ValueError("tag_characters")
    if not any(unicodedata.category(char)[0] == "L" for char in key) or unicodedata.category(key[0])[0] == "M":
        raise ValueError("tag_letter")
    return Tag(key, display)


def tag_path(name: str) -> str:
    """The path of a tag's page, by its key or any way to write it; percent-encoded (RFC 3986), fit for a URI."""
    return f"/tags/{quote(name, safe='')}"


def _fold(text: str) -> str:
    while True:
        folded = unicodedata.normalize("NFKC", _IGNORED.sub("", unicodedata.normalize("NFKC", text).casefold()))
        if folded == text:
            return folded
        text = folded


def _only_tag_chars(text: str) -> bool:
    return _tag_end(text, 0) == len(text)


def _tag_end(text: str, start: int) -> int:
    """Where the run of tag characters from ``start`` ends; a joiner belongs to it between two of them."""
    end = start
    while end < len(text):
        inner = text[end] in _JOINERS and start < end < len(text) - 1 and _is_tag_char(text[end + 1])
        if not inner and not _is_tag_char(text[end]):
            break
        end += 1
    return end


def extract_tags(text: str) -> tuple[Tag, ...]:
    """The hashtags of a note, each once by its key, in the order of the text; none from within an address."""
    tags: dict[str, Tag] = {}
    for token in tokens(text):
        if token.kind == "tag":
            tags.setdefault(token.value, _tag_of(token))
    return tuple(tags.values())


def _tag_of(token: Token) -> Tag:
    return Tag(token.value, unicodedata.normalize("NFC", token.text[1:]))


def extract_mentions(text: str) -> tuple[str, ...]:
    """The names after an @ in a note, each once whatever its case, as first written: to look all of them up at once."""
    names: dict[str, str] = {}
    for token in tokens(text):
        if token.kind == "mention":
            names.setdefault(token.value.lower(), token.value)
    return tuple(names.values())


# --- The pieces of a note ---

# Only addresses with their scheme: "main.dish" and "no.1" are words.  Mail addresses are nobody's link either.
_LINKIFY = LinkifyIt(options={"fuzzy_link": False, "fuzzy_email": False, "fuzzy_ip": False})
# What no address holds: the characters that RFC 3986 leaves out, and full-width punctuation, which follows an address
# without a space in Chinese and Japanese.
_URL_STOP = re.compile(r"[\"<>\\^`{|}，。、；：！？“”‘’（）《》〈〉【】「」『』〔〕…～｡｢｣､]")
_START = re.compile(
    r"(?P<link>(?<![A-Za-z0-9+._-])https?:(?=//))"
    r"|(?P<tag>[#＃])"
    r"|(?P<mention>(?<![A-Za-z0-9_.+@/-])@(?P<name>[A-Za-z0-9_]{3,30})(?![A-Za-z0-9_@]))",
    re.IGNORECASE | re.ASCII,
)
# Thai, Lao, Myanmar, Khmer, Han and kana are written without spaces: there a tag may follow a letter directly.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3100-\u312f\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]"
)


def tokens(text: str) -> Iterator[Token]:
    """Cut ``text`` into links, tags, mentions and the text between them; joined again they are ``text``."""
    done = position = 0
    tag_end = -1
    while (start := _START.search(text, position)) is not None:
        token: Token | None
        if start["link"]:
            token = _link_at(text, start.start(), start.end())
        elif start["tag"]:
            token = _tag_at(text, start.start(), after_tag=start.start() == tag_end)
        else:
            token = _mention_at(text, start)
        if token is None:
            position = start.end() if not start["mention"] else start.start() + 1
            continue
        if start.start() > done:
            yield Token("text", text[done : start.start()])
        yield token
        done = position = start.start() + len(token.text)
        tag_end = done if token.kind == "tag" else -1
    if done < len(text):
        yield Token("text", text[done:])


def _link_at(text: str, start: int, after_scheme: int) -> Token | None:
    stop = _URL_STOP.search(text, after_scheme)
    head = text[: stop.start()] if stop else text
    length = _LINKIFY.test_schema_at(head, "https:", after_scheme)
    url = head[start : after_scheme + length]
    host = _host(url)
    # A name before the host is how a false address is dressed up (https://bank.example@evil.example): it stays text.
    return Token("link", url) if length and host and "@" not in host else None


def _host(url: str) -> str:
    return re.split(r"[/?#]", url.partition("//")[2], maxsplit=1)[0]


def _tag_at(text: str, start: int, *, after_tag: bool) -> Token | None:
    before = text[start - 1] if start else " "
    if before in "&#＃/=" and not after_tag:
        return None
    if _is_tag_char(before) and not after_tag and _UNSPACED.match(before) is None:
        return None
    end = _tag_end(text, start + 1)
    if end - start - 1 > TAG_LENGTH * 4:
        return None
    try:
        tag = normalise_tag(text[start + 1 : end])
    except ValueError:
        return None
    return Token("tag", text[start:end], tag.key)


def _mention_at(text: str, match: re.Match[str]) -> Token | None:
    after = text[match.end() : match.end() + 1]
    if after and _is_tag_char(after) and _UNSPACED.match(after) is None:
        return None
    return Token("mention", match[0], match["name"])


# --- HTML ---

_CLEANER = nh3.Cleaner(
    tags={"p", "br", "a"},
    clean_content_tags=set(),
    attributes={"a": {"href"}},
    tag_attribute_values={"a": {"rel": {LINK_REL, "tag"}}},
    allowed_classes={"a": {"hashtag", "mention"}},
    url_schemes={"http", "https"},
    link_rel=None,
)


def render_note(source: str, *, tag_url: Callable[[str], str], mention_url: Callable[[str], str | None]) -> Rendered:
    """The note ``source`` as HTML: <p>, <br> and <a> only.

    ``tag_url`` gives the address of a tag by its key; ``mention_url`` that of the local account with the name (as it
    was written), or None where there is none: the words then stay text.  Each is called once for a tag or name.
    Links out carry ``rel="nofollow noopener noreferrer ugc"``.  Raises as ``clean_text`` does.
    """
    tags: dict[str, Tag] = {}
    names: dict[str, str] = {}
    tag_address = _once(tag_url)
    mention_address = _once(mention_url)
    parts: list[str] = []
    for token in tokens(clean_text(source, multiline=True)):
        if token.kind == "link":
            parts.append(_anchor(token.text, _display_url(token.text), f' rel="{LINK_REL}"'))
        elif token.kind == "tag":
            tags.setdefault(token.value, _tag_of(token))
            parts.append(_anchor(tag_address(token.value, token.value), token.text, ' class="hashtag" rel="tag"'))
        elif token.kind == "mention" and (address := mention_address(token.value.lower(), token.value)) is not None:
            names.setdefault(token.value.lower(), token.value)
            parts.append(_anchor(address, token.text, ' class="mention"'))
        else:
            parts.append(escape(token.text))
    return Rendered(_CLEANER.clean(_paragraphs("".join(parts))), tuple(tags.values()), tuple(names.values()))


def _once(address_of: Callable[[str], T]) -> Callable[[str, str], T]:
    """``address_of``, called once for each key: it may ask the database."""
    known: dict[str, T] = {}

    def address(key: str, name: str) -> T:
        if key not in known:
            known[key] = address_of(name)
        return known[key]

    return address


def _anchor(address: str, text: str, attributes: str) -> str:
    return f'<a href="{escape(address)}"{attributes}>{escape(text)}</a>'


def _paragraphs(body: str) -> str:
    """An empty line parts paragraphs, a line end breaks the line.  No tag in ``body`` holds a line end."""
    if not body:
        return ""
    body = re.sub(r"\n{2,}", "</p><p>", body).replace("\n", "<br>")
    return f"<p>{body}</p>"


def _display_url(url: str) -> str:
    """A short address as it is; of a long one the host, whole so that it cannot pretend, and what fits after it."""
    if len(url) <= URL_DISPLAY_LENGTH:
        return url
    shown = url.partition("//")[2]
    room = max(URL_DISPLAY_LENGTH - 1, len(_host(url)))
    return shown if len(shown) <= room else shown[:room] + "…"
