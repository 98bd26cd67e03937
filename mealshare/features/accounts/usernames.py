"""Names: what a username may be, which ones nobody gets, and what a display name is cleaned of.

A username is ASCII, so no two of them look alike by way of another alphabet; it is stored as it was typed and is unique
without regard to case.  A display name may hold any writing; only what cannot be seen or what turns the text around it
is taken out.
"""

from __future__ import annotations

import re
import unicodedata

MIN_USERNAME = 3
MAX_USERNAME = 30
MAX_DISPLAY_NAME = 50
#: Bound on code points, marks and joiners included: what the column has to hold.
MAX_DISPLAY_CODE_POINTS = 200

_CHARACTERS = re.compile(r"[A-Za-z0-9_]+")
_MAX_MARKS = 5
_ZWNJ, _ZWJ = "\u200c", "\u200d"
#: The three flags that are written with tags (England, Scotland, Wales); all other tag characters hide text.
_TAGGED_FLAGS = ("gbeng", "gbsct", "gbwls")
_TAGGED_FLAG = re.compile(
    "|".join(f"\U0001f3f4{''.join(chr(0xE0000 + ord(char)) for char in flag)}\U000e007f" for flag in _TAGGED_FLAGS)
)
#: Letters, marks and symbols by their category, and yet nothing to see: fillers and blanks with which a name looks
#: empty (Unicode Default_Ignorable_Code_Point, and the empty Braille pattern).
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {
    chr(code) for code in range(0xFFF0, 0xFFF9)
}

#: First segments of our own addresses, so that no name is ever mistaken for a page.
_ADDRESSES = """
about account accounts admin api assets calendar css delete developers diary docs edit email explore export exports
favicon feed feeds follow_requests followers following health home img invite js json language login logout manifest
meal meals media metrics new notifications oauth oembed openapi password photo photos place places posts privacy
random register report reports robots search session sessions settings share signin signout signup sitemap static
stats sw tag tags terms theme timeline today token tokens upload uploads user users want well_known welcome
"""
#: Offices, and mail addresses that RFC 2142 and the certificate authorities set aside.
_OFFICES = """
abuse administrator billing bot contact daemon dns dpo editor feedback ftp guest help helpdesk hostmaster imap info
legal mail mailer_daemon marketing mod moderation moderator moderators news no_reply noc nobody noreply official
operator owner pop postmaster press root sales security smtp ssl ssladmin ssladministrator sslwebmaster staff
superuser support sysadmin sysop system team trust uucp verified webmaster www
"""
#: Words that mean nobody or everybody in a program or in a sentence.
_NOBODY = """
all anonymous anyone deleted everybody everyone false here localhost me myself nan none null self somebody someone
test true undefined unknown username you
"""
RESERVED = frozenset((_ADDRESSES + _OFFICES + _NOBODY).replace("_", "").split())
#: A name that holds the site's own reads as if the site spoke.
_SITE = "mealshare"
#: Digits that stand for letters; one may be an i or an l.
_LOOKS = (str.maketrans("013457", "oieast"), str.maketrans("013457", "oleast"))


def normalise_username(value: str) -> str:
    """``value`` as it is stored: without white space around it and without the @ that people put before it."""
    return value.strip().removeprefix("@")


def username_problem(value: str) -> str | None:
    """What is wrong with a normalised username, or None.

    A code: ``too_short`` (below 3), ``too_long`` (above 30), ``invalid_characters`` (anything but ASCII letters, digits
    and underscores), ``misplaced_underscore`` (first, last or doubled), ``needs_letter`` (or it would read as an id),
    ``reserved``.
    """
    if len(value) > MAX_USERNAME:
        return "too_long"
    if value and not _CHARACTERS.fullmatch(value):
        return "invalid_characters"
    if len(value) < MIN_USERNAME:
        return "too_short"
    if value.startswith("_") or value.endswith("_") or "__" in value:
        return "misplaced_underscore"
    if not any(char.isalpha() for char in value):
        return "needs_letter"
    return "reserved" if is_reserved(value) else None


def is_reserved(value: str) -> bool:
    """Whether nobody gets this name: a reserved one, also with underscores in it or digits for letters (``adm1n``)."""
    plain = value.lower().replace("_", "")
    spellings = {plain, *(plain.translate(looks) for looks in _LOOKS)}
    return any(spelling in RESERVED or _SITE in spelling for spelling in spellings)


def clean_display_name(value: str) -> str:
    """``value`` in NFC with what cannot be seen taken out and each stretch of white space made one space.

    Taken out: controls, bidi controls, lone surrogates, private use, non-characters, fillers, and everything else that
    is invisible; a sixth mark and further ones on one letter.  Kept where they belong: the joiner inside an emoji,
    joiner and non-joiner in Indic and Arabic writing (RFC 5892, appendix A), one variation selector after a character.
    Cleaning twice changes nothing.
    """
    text = unicodedata.normalize("NFC", value)
    # Each removal may bring together what composes or what no longer may stand there; it only ever gets shorter.
    while True:
        cleaned = unicodedata.normalize("NFC", " ".join(_visible(text).split()))
        if cleaned == text:
            return cleaned
        text = cleaned


def display_name_problem(cleaned: str) -> str | None:
    """What is wrong with a cleaned display name, or None: ``empty``, or ``too_long`` (above 50 as people count)."""
    if not any(unicodedata.category(char)[0] not in "ZM" for char in cleaned):
        return "empty"
    too_long = len(cleaned) > MAX_DISPLAY_CODE_POINTS or display_length(cleaned) > MAX_DISPLAY_NAME
    return "too_long" if too_long else None


def display_length(text: str) -> int:
    """How many characters a reader sees, about: marks, joiners, selectors, skin tones and tags are parts of one."""
    count = 0
    joined = False
    for char in text:
        if char in (_ZWJ, _ZWNJ):
            joined = char == _ZWJ
            continue
        if not (
            joined or _is_mark(char) or "\U0001f3fb" <= char <= "\U0001f3ff" or "\U000e0020" <= char <= "\U000e007f"
        ):
            count += 1
        joined = False
    return count


def _visible(text: str) -> str:
    flags = {index for match in _TAGGED_FLAG.finditer(text) for index in range(*match.span())}
    kept: list[str] = []
    marks = 0
    for index, char in enumerate(text):
        if index not in flags and not _is_kept(char, kept[-1] if kept else "", text[index + 1 : index + 2]):
            continue
        marks = marks + 1 if _is_mark(char) else 0
        if marks <= _MAX_MARKS:
            kept.append(char)
    return "".join(kept)


def _is_kept(char: str, before: str, after: str) -> bool:
    """Whether ``char`` stays between the last kept character and the next one; either may be empty."""
    if char.isspace():
        return True
    if char in (_ZWJ, _ZWNJ):
        return _joins(char, before, after)
    if _is_selector(char):
        return bool(before) and not _is_selector(before) and not before.isspace()
    category = unicodedata.category(char)
    if category == "Cn":
        # A character newer than this Python's tables (next year's emoji), unless it is none at all or a hidden one.
        code = ord(char)
        return code & 0xFFFE != 0xFFFE and not 0xFDD0 <= code <= 0xFDEF and code < 0xE0000 and char not in _INVISIBLE
    return category[0] != "C" and char not in _INVISIBLE


def _joins(char: str, before: str, after: str) -> bool:
    if not before or not after:
        return False
    if unicodedata.combining(before) == 9:  # a virama: RFC 5892, A.1 and A.2
        return True
    if char == _ZWJ:
        return _is_emoji_part(before) and unicodedata.category(after) in ("So", "Cn")
    letter = unicodedata.category(after) == "Lo" and unicodedata.category(before) in ("Lo", "Mn")
    return letter and unicodedata.bidirectional(after) == "AL" and unicodedata.bidirectional(before) in ("AL", "NSM")


def _is_emoji_part(char: str) -> bool:
    return unicodedata.category(char) in ("So", "Cn") or char == "\ufe0f" or "\U0001f3fb" <= char <= "\U0001f3ff"


def _is_selector(char: str) -> bool:
    return "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"


def _is_mark(char: str) -> bool:
    return unicodedata.category(char) in ("Mn", "Me")
