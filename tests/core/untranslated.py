"""Finds words that a template, or markup in a module, shows to everybody in the language it was written in."""

from __future__ import annotations

import ast
import html
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

#: Attributes whose value is read out or shown; ``data-msg-`` is what our scripts show.
VISIBLE = frozenset({"alt", "aria-description", "aria-label", "aria-roledescription", "label", "placeholder", "title"})
SCRIPT_WORDS = "data-msg-"
#: What a browser closes by itself (HTML, 13.1.2).
VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"})
#: What is in them is no text.
SILENT = frozenset({"script", "style"})
#: What is in it is for machines, and the same in every language.
CODE = frozenset({"code", "kbd"})
#: The functions that give words in the reader's language, or none at all; what they are given is not shown as it is.
HARMLESS_CALLS = frozenset(
    {"ui.t", "ui.n", "n_", "ui.error", "ui.icon", "ui.static", "ui.slot", "form.value", "form.has"}
)

#: One or more attributes and nothing else.
_ATTRIBUTES = re.compile(r"""( [a-z-]+=("[^"]*"|'[^']*'))+""")
_LETTERS = re.compile(r"[^\W\d_]")
#: In an expression a literal is taken for words when it begins like a sentence or has several of them.
_WORDS = re.compile(r"[A-Z][a-z]|\w +\w|(?![\x00-\x7f])[^\W\d_]")


def in_template(path: Path) -> list[str]:
    """Every piece of text of the template that no translation reaches."""
    return in_markup(path.read_text(encoding="utf-8"))


def in_module(path: Path) -> list[str]:
    """The same for what the module gives to ``Markup``."""
    return [
        text
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Markup" and call.args
        for text in in_markup(_whole(re.sub(r"\{[a-z_]*\}", "", _constant_text(call.args[0]))))
    ]


def _whole(markup: str) -> str:
    """What stands in a tag, such as `` title="..."``, as a tag."""
    return f"<i{markup}></i>" if _ATTRIBUTES.fullmatch(markup) else markup


def _constant_text(node: ast.expr) -> str:
    """What is known of a string before the program runs."""
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_constant_text, node.values))
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def in_markup(source: str) -> list[str]:
    """Every piece of text and every visible attribute of the markup that no translation reaches."""
    reader = _Reader()
    reader.feed(source)
    reader.close()
    return reader.found


class _Reader(HTMLParser):
    """Knows, for each text, whether the innermost element that i18n speaks of is one to be translated."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[tuple[str, bool]] = []
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self._look_at(tag, values)
        if tag not in VOID:
            inherited = self.open[-1][1] if self.open else False
            covered = "i18n:translate" in values or (inherited and "i18n:name" not in values)
            # Code, and what says of itself that it is in one language whatever the page is in.
            covered = covered or tag in CODE or (tag != "html" and values.get("lang") == "en")
            self.open.append((tag, covered))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._look_at(tag, {name: value or "" for name, value in attrs})

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1][0] == tag, f"</{tag}> closes <{self.open[-1][0]}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        tag, covered = self.open[-1] if self.open else ("", False)
        if tag not in SILENT:
            self._judge(data, covered=covered)

    def _look_at(self, tag: str, values: dict[str, str]) -> None:
        translated = {part.split()[0] for part in values.get("i18n:attributes", "").split(";") if part.strip()}
        button = tag == "input" and values.get("type") in ("submit", "button", "reset")
        for name, value in values.items():
            if name in VISIBLE or name.startswith(SCRIPT_WORDS) or (button and name == "value"):
                self._judge(value, covered=name in translated)
        for directive in ("tal:content", "tal:replace"):
            self._judge_expression(values.get(directive, ""))
        for part in values.get("tal:attributes", "").split(";"):
            name, _space, expression = part.strip().partition(" ")
            if name in VISIBLE:
                self._judge_expression(expression)

    def _judge(self, text: str, *, covered: bool) -> None:
        plain, expressions = split_expressions(text)
        if not covered and _LETTERS.search(plain):
            self.found.append(" ".join(plain.split()))
        for expression in expressions:
            self._judge_expression(expression)

    def _judge_expression(self, expression: str) -> None:
        code = re.sub(r"^\s*(structure|text)?\s*:?\s*", "", html.unescape(expression)).strip()
        if code:
            self.found += [text for text in _literals(ast.parse(code, mode="eval").body) if _WORDS.search(text)]


def split_expressions(text: str) -> tuple[str, list[str]]:
    """The text without its ``${...}``, and what stands in those."""
    plain, expressions, position = [], [], 0
    while (start := text.find("${", position)) >= 0:
        plain.append(text[position:start])
        end = _closing(text, start + 2)
        expressions.append(text[start + 2 : end])
        position = end + 1
    return "".join([*plain, text[position:]]), expressions


def _closing(text: str, start: int) -> int:
    depth = 1
    for index in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if depth == 0:
            return index
    raise ValueError(f"${{ is never closed in {text!r}")


def _literals(node: ast.AST) -> Iterator[str]:
    """The strings of an expression that may come out of it: not what is compared, looked up or given to HARMLESS_CALLS."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield node.value
    elif isinstance(node, ast.Compare) or (isinstance(node, ast.Call) and ast.unparse(node.func) in HARMLESS_CALLS):
        return
    else:
        children: list[ast.AST] = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.IfExp):
            children = [node.body, node.orelse]
        elif isinstance(node, ast.Subscript):
            children = [node.value]
        for child in children:
            yield from _literals(child)
