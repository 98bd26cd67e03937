"""Where a form may send its reader afterwards: to a page of this site and nowhere else.

A browser reads ``//evil.example``, ``/\\evil.example`` and, because it drops tabs and line ends, two slashes with a tab
between them as addresses of another site (WHATWG URL, "relative slash state").  Some proxies and frameworks decode a
path before they use it, so the encoded forms are refused as well, although no browser follows them today.
"""

from __future__ import annotations

from urllib.parse import quote, unquote

MAX_LENGTH = 2000
#: RFC 3986 reserved characters and "%", which stay as they are; everything else that is not unreserved gets encoded.
_KEPT = "%/:?#@!$&'()*+,;=[]"
#: A path encoded more often than this has no honest reason.
_MAX_DECODINGS = 3


def safe_next(value: object, default: str = "/") -> str:
    """``value`` if it is a path of this site (with query and fragment), otherwise ``default``.

    The answer is ASCII and fits into a Location header: characters beyond ASCII are percent-encoded as UTF-8.  At most
    2,000 characters, counted in that form.  ``default`` is trusted and comes back as it is.  A form may hold a file
    where a path is expected, so ``value`` may be anything.
    """
    if (
        not isinstance(value, str)
        or not value
        or len(value) > MAX_LENGTH
        or not _is_plain(value)
        or not _is_site_path(_path(value))
    ):
        return default
    encoded = quote(value, safe=_KEPT)
    return encoded if len(encoded) <= MAX_LENGTH else default


def _path(value: str) -> str:
    return value.split("#", 1)[0].split("?", 1)[0]


def _is_plain(value: str) -> bool:
    """No space, backslash, control character (C1 too) or lone surrogate, anywhere."""
    return not any(
        char <= " " or char == "\\" or "\x7f" <= char <= "\x9f" or "\ud800" <= char <= "\udfff" for char in value
    )


def _is_site_path(path: str) -> bool:
    """Whether ``path`` starts with one slash and stays a plain path however often somebody decodes it.

    Our own addresses have no empty and no dot segments, so those are refused too: ``/..//evil.example`` becomes
    ``//evil.example`` when the dots are resolved.
    """
    for _ in range(_MAX_DECODINGS + 1):
        if not path.startswith("/") or "//" in path or "\\" in path or any(_is_control(char) for char in path):
            return False
        if any(segment in (".", "..") for segment in path.split("/")):
            return False
        try:
            decoded = unquote(path, errors="strict")
        except UnicodeDecodeError:
            return False
        if decoded == path:
            return True
        path = decoded
    return False


def _is_control(char: str) -> bool:
    return char < " " or "\x7f" <= char <= "\x9f"
