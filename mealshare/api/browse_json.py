"""JSON as HTML to be read: indented, coloured by classes, every character escaped, addresses made into links."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson
from markupsafe import Markup, escape

from mealshare.core.markup import trusted

#: An answer longer than this is shown without colours and links: a page of half a megabyte helps nobody read.
MAX_COLOURED = 512 * 1024
_NOBODY: Mapping[str, Any] = {}


class Link(NamedTuple):
    """Where an address that stands in an answer leads to; ``outside`` is true for other sites."""

    href: str
    outside: bool


#: ``(address, the object that it is a member of, the name of the member under which that object stands)``.
Linker = Callable[[str, Mapping[str, Any], str], Link | None]


def json_page(body: bytes, linker: Linker) -> Markup:
    """``body``, a JSON document that this site wrote, as HTML for a ``<pre>``.

    Strings that are http or https addresses become links to what ``linker`` says.  Nothing of the document is taken for
    markup: each string is written as JSON and then escaped.
    """
    document = orjson.loads(body)
    if len(body) > MAX_COLOURED:
        return escape(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
    out: list[str] = []
    _write(out, document, "\n", _NOBODY, "", linker)
    # Put together below, from escaped parts only.
    return trusted("".join(out))


def _write(out: list[str], value: Any, newline: str, owner: Mapping[str, Any], name: str, linker: Linker) -> None:
    """Append ``value``; ``newline`` is a line end with the indentation of the line that the value begins on."""
    if isinstance(value, str):
        out.append(_string(value, owner, name, linker))
    elif isinstance(value, dict) and value:
        inner = newline + "  "
        for number, (key, member) in enumerate(value.items()):
            out.append("{" if number == 0 else ",")
            out.append(f'{inner}<span class="json__key">{_quoted(key)}</span>: ')
            # A member that is an address asks whose it is; an object within learns under which name it stands.
            deeper = isinstance(member, dict | list)
            _write(out, member, inner, value, key if deeper else name, linker)
        out.append(newline + "}")
    elif isinstance(value, list) and value:
        inner = newline + "  "
        for number, item in enumerate(value):
            out.append(("[" if number == 0 else ",") + inner)
            _write(out, item, inner, owner, name, linker)
        out.append(newline + "]")
    else:
        kind = "number" if isinstance(value, int | float) and not isinstance(value, bool) else "word"
        out.append(f'<span class="json__{kind}">{escape(orjson.dumps(value).decode())}</span>')


def _string(value: str, owner: Mapping[str, Any], name: str, linker: Linker) -> str:
    quoted = _quoted(value)
    if value.startswith(("http://", "https://")):
        link = linker(value, owner, name)
        if link is not None:
            outside = ' rel="nofollow noopener noreferrer"' if link.outside else ""
            return f'<a class="json__text" href="{escape(link.href)}"{outside}>{quoted}</a>'
    return f'<span class="json__text">{quoted}</span>'


def _quoted(text: str) -> str:
    return str(escape(orjson.dumps(text).decode()))
