"""No page shows words that only exist in English: every visible text is one that the catalogues know."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.core.untranslated import in_markup, in_module, in_template, split_expressions

PACKAGE = Path(__file__).resolve().parents[2] / "mealshare"
TEMPLATES = sorted(PACKAGE.rglob("*.pt"))
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "Markup" in path.read_text(encoding="utf-8"))

#: Text that is the same in every language, and why.
SAME_EVERYWHERE = {
    "API": "a term",
    "JSON": "the name of a format",
    "curl": "the name of a program",
    "ini": "the name of a format",
    "sh": "the name of a language",
    "openapi.json": "the name of a file",
    "https://app.example.org": "an address",
    "xl u-photo": "the classes of a picture",
}


def named(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def untranslated(path: Path) -> list[str]:
    found = in_template(path) if path.suffix == ".pt" else in_module(path)
    return [text for text in found if text not in SAME_EVERYWHERE]


@pytest.mark.parametrize("path", [*TEMPLATES, *MODULES], ids=named)
def test_every_visible_text_is_translated(path: Path) -> None:
    assert untranslated(path) == []


def test_there_are_templates_and_each_exception_is_still_needed() -> None:
    assert len(TEMPLATES) > 20
    assert MODULES
    found = {text for path in TEMPLATES for text in in_template(path)}
    assert set(SAME_EVERYWHERE) <= found


@pytest.mark.parametrize("template", TEMPLATES, ids=named)
def test_a_sentence_put_into_any_template_is_found(template: Path, tmp_path: Path) -> None:
    copy = tmp_path / template.name
    text = template.read_text(encoding="utf-8")
    start = text.rindex("</")
    copy.write_text(f"{text[:start]}<p>Nobody translated me</p>{text[start:]}", encoding="utf-8")
    assert "Nobody translated me" in untranslated(copy)


@pytest.mark.parametrize(
    ("markup", "found"),
    [
        ("<p>Hello</p>", ["Hello"]),
        ("<p>Hello\n  there</p>", ["Hello there"]),
        ('<p i18n:translate="">Hello</p>', []),
        # Code is no language of people, and what is in one language says so.
        ("<p>Send <code>If-Match</code></p>", ["Send"]),
        ('<p lang="en">Hello <b>there</b></p><p lang="zh">Hi</p>', ["Hi"]),
        ('<p i18n:translate="">Hello <b>there</b></p>', []),
        # What has a name of its own is left out of the sentence around it.
        ('<p i18n:translate="">Hello <b i18n:name="who">there</b></p>', ["there"]),
        ('<p i18n:translate="">Hello <b i18n:name="who" i18n:translate="">there</b></p>', []),
        ('<p i18n:translate="">Hello</p> again', ["again"]),
        ('<img alt="A plate">', ["A plate"]),
        ('<img alt="A plate" i18n:attributes="alt">', []),
        ('<img alt="A plate" title="Big" i18n:attributes="alt">', ["Big"]),
        ('<img alt="A plate" title="Big" i18n:attributes="alt; title" />', []),
        ('<input placeholder="Toast"><p>Milk</p>', ["Toast", "Milk"]),
        ('<input type="submit" value="Send"><input type="hidden" value="Send">', ["Send"]),
        ('<div aria-label="Main" data-msg-add="Add" data-other="Thing"></div>', ["Main", "Add"]),
        ('<optgroup label="Europe"></optgroup>', ["Europe"]),
        ("<p>早餐</p>", ["早餐"]),
        ("<p>12 · © ${name}</p>", []),
        ("<p>${name} said</p>", ["said"]),
        ("<p>${'Yes, do' if ready else 'no'}</p>", ["Yes, do"]),
        ("<p>${ui.t('Yes, do')}${n_('${n} meal', '${n} meals', 2)}</p>", []),
        ("<p>${ui.t('Yes') + ' Mister'}</p>", [" Mister"]),
        ("<p>${{'Good Morning': 'success'}.get(kind, 'Whole Day')}</p>", ["Good Morning", "Whole Day"]),
        ("<p>${ui.icon('x') if kind == 'Some Thing' else words['Other Thing']}</p>", []),
        ("<img alt=\"${photo.description or 'A photo'}\">", ["A photo"]),
        ("<p tal:content=\"'A Photo'\"></p>", ["A Photo"]),
        ("<p tal:attributes=\"title 'A Photo'; class 'Some Thing'\"></p>", ["A Photo"]),
        ("<script>let Word = 1;</script><style>p { color: Red }</style><!-- Comment -->", []),
        ('<p title="1 &gt; 0" tal:condition="len(devices) > 1">${1}</p>', []),
    ],
)
def test_what_counts_as_visible(markup: str, found: list[str]) -> None:
    assert in_markup(markup) == found


def test_markup_in_modules(tmp_path: Path) -> None:
    module = tmp_path / "views.py"
    module.write_text(
        'A = Markup(\'<b title="{title}">{label}</b>\' "<i>{}</i>").format("Not Markup")\nB = Markup(f"<b>Bold {A}</b>")\n'
        'C = Markup("<b>Hello</b>")\nD = Markup(" class=\'a b\' title=\\"Good {time}\\"")\nE = Markup(" it is")\n',
        encoding="utf-8",
    )
    assert in_module(module) == ["Bold", "Hello", "Good", "it is"]


def test_braces_in_expressions() -> None:
    assert split_expressions("a ${ {'b': {}} } c ${d}") == ("a  c ", [" {'b': {}} ", "d"])
    with pytest.raises(ValueError, match="never closed"):
        split_expressions("a ${b")
