"""Languages: negotiation, translation, templates, and the completeness of the catalogues."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType, SimpleNamespace

import polib
import pytest
from pyramid.config import Configurator
from pyramid.response import Response
from webtest import TestApp

from mealshare.core import i18n
from mealshare.core.i18n import ENDONYMS, LOCALES, Plural, _, match_locale, n_, negotiate, to_bcp47, translate

ROOT = Path(__file__).resolve().parents[2]


def load_messages_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("messages_script", ROOT / "scripts" / "messages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


messages = load_messages_script()


# --- Which language ---


@pytest.mark.parametrize(
    ("tag", "locale"),
    [
        ("en", "en"),
        ("EN-gb", "en"),
        ("en_US", "en"),
        ("zh", "zh_CN"),
        ("zh_CN", "zh_CN"),
        ("zh-CN", "zh_CN"),
        ("zh-SG", "zh_CN"),
        ("zh-TW", "zh_CN"),
        ("zh-Hans", "zh_CN"),
        ("ZH-hant-HK", "zh_CN"),
        ("fr", None),
        ("zhx", None),
        ("english", None),
        ("", None),
        ("zh-", None),
        ("zh CN", None),
        ("zh\n", None),
        ("../zh", None),
        ("zh-" + "a" * 100, None),
        (None, None),
        (7, None),
    ],
)
def test_which_locale_serves_a_language_tag(tag: object, locale: str | None) -> None:
    assert match_locale(tag) == locale


@pytest.mark.parametrize(
    ("header", "locale"),
    [
        ("zh", "zh_CN"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh_CN"),
        ("en-US,en;q=0.9,zh-CN;q=0.8", "en"),
        ("en;q=0.3, zh;q=0.7", "zh_CN"),
        ("fr, zh;q=0.2", "zh_CN"),
        ("fr, de", "en"),
        ("zh ; q = 0.5 , en ; q = 0.4", "zh_CN"),
        # Equal qualities: the first of the header.
        ("zh, en", "zh_CN"),
        ("en, zh", "en"),
        # q=0 refuses, also against the wildcard.
        ("zh;q=0", "en"),
        ("zh;q=0.000, fr", "en"),
        ("en;q=0, *", "zh_CN"),
        ("*", "en"),
        ("zh;q=0, *;q=0.5", "en"),
        ("en-GB;q=0, en;q=0.1", "en"),
        ("zh-TW;q=0, zh-CN;q=0.4, en;q=0.3", "zh_CN"),
        ("en;q=0, zh;q=0", "en"),
        ("*;q=0", "en"),
        # Malformed elements are left out, the others count.
        ("zh;q=2, en;q=0.1", "en"),
        ("en;q=-1, zh;q=0.1", "zh_CN"),
        ("en;q=nan, zh", "zh_CN"),
        ("en;q=0.1234, zh;q=0.1", "zh_CN"),
        ("en;q=0.5;level=1, zh;q=0.1", "zh_CN"),
        ("en;q=٠, zh;q=0.1", "zh_CN"),
        (";;;,,,q=1,zh", "zh_CN"),
        ("\x00\xff\udcff", "en"),
        ("", "en"),
        ("a" * 100_000, "en"),
        ("zh," * 50_000, "zh_CN"),
    ],
)
def test_the_accept_language_header(header: str, locale: str) -> None:
    assert negotiate(None, None, header) == locale


def test_the_account_beats_the_cookie_and_the_cookie_the_header() -> None:
    assert negotiate("en", "zh_CN", "zh") == "en"
    assert negotiate("zh_CN", "en", "en") == "zh_CN"
    assert negotiate(None, "zh_CN", "en") == "zh_CN"
    assert negotiate("", "en", "zh") == "en"
    assert negotiate(None, None, "fr", "zh_CN") == "zh_CN"
    assert negotiate(None, None, "en", "zh_CN") == "en"
    assert negotiate("fr", "xx", "zh") == "zh_CN"
    assert negotiate(None, None, None) == "en"
    assert negotiate(b"zh", 3, ["zh"]) == "en"


def test_every_locale_has_a_name_and_a_language_tag() -> None:
    assert set(ENDONYMS) == set(LOCALES)
    assert [to_bcp47(locale) for locale in LOCALES] == ["en", "zh-Hans"]
    assert to_bcp47("pt_BR") == "pt-BR"


# --- In which words ---


def test_translate_gives_the_words_of_the_locale() -> None:
    assert translate(_("Breakfast"), "en") == "Breakfast"
    assert translate(_("Breakfast"), "zh_CN") == "早餐"
    assert translate("Breakfast", "zh_CN") == "早餐"
    assert translate(_("Breakfast"), "xx") == "Breakfast"


def test_markers_are_filled_in_and_messages_among_them_translated() -> None:
    text = _("This may have at most ${max} characters.", mapping={"max": 140})
    assert translate(text, "en") == "This may have at most 140 characters."
    assert translate(text, "zh_CN") == "最多 140 个字符。"
    assert translate(text, "en", {"max": 2}) == "This may have at most 2 characters."
    assert translate("no such $one and ${other}", "en", {"one": 1}) == "no such 1 and ${other}"
    assert translate("${meal}!", "zh_CN", {"meal": _("Lunch")}) == "午餐!"
    # A value is text: what looks like a marker in it is not filled in again.
    assert translate("${a} ${b}", "en", {"a": "${b}", "b": "x"}) == "${b} x"


def test_without_a_translation_the_default_is_given() -> None:
    assert translate(_("no-such-message"), "zh_CN") == "no-such-message"
    assert translate(_("no-such-message", default="Some ${x}", mapping={"x": 1}), "zh_CN") == "Some 1"
    # The same msgid with and without a context are different messages.
    assert translate(_("Breakfast", context="no such context"), "zh_CN") == "Breakfast"


def test_plurals_follow_the_number_and_write_it_as_the_locale_does() -> None:
    assert translate(n_("${n} like", "${n} likes", 1), "en") == "1 like"
    assert translate(n_("${n} like", "${n} likes", 0), "en") == "0 likes"
    assert translate(n_("${n} like", "${n} likes", 12345), "en") == "12,345 likes"
    assert translate(n_("${n} like by ${who}", "${n} likes by ${who}", 2, who="Ada"), "en") == "2 likes by Ada"
    assert n_("a", "b", 3, x=1) == Plural("a", "b", 3, {"x": 1})


def test_the_memo_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(i18n, "_MEMO_LIMIT", 10)
    catalogue = i18n._Catalogue("zh_CN")
    for number in range(50):
        assert catalogue.find("mealshare", f"text {number}", None) is None
    assert len(catalogue._found) == 10
    assert catalogue.find("mealshare", "Lunch", None) == "午餐"


# --- In a request ---


@pytest.fixture
def app(tmp_path: Path) -> TestApp:
    template = tmp_path / "page.pt"
    template.write_text(
        """<div xmlns:i18n="http://xml.zope.org/namespaces/i18n" i18n:domain="mealshare">
        <b i18n:translate="">Breakfast</b><i title="Lunch" i18n:attributes="title">${label}</i><u>${words}</u>
        <s>${n_('${n} like', '${n} likes', 2)}</s>
        <p i18n:translate="">No message with <em i18n:name="what">${words}</em></p></div>""",
        encoding="utf-8",
    )

    def words(request: object) -> Response:
        return Response(f"{request.translate(_('Dinner'))} {request.plural('${n} like', '${n} likes', 3)}")

    def page(request: object) -> dict[str, object]:
        return {"label": _("Snack"), "words": "Lunch <&>"}

    config = Configurator()
    config.include("mealshare.core.i18n")
    config.include("pyramid_chameleon")
    config.add_request_method(lambda request: _identity(request.headers.get("X-Account")), "identity", property=True)
    config.add_route("words", "/words")
    config.add_view(words, route_name="words")
    config.add_route("page", "/page")
    config.add_view(page, route_name="page", renderer=str(template))
    return TestApp(config.make_wsgi_app())


def _identity(account: str | None) -> object:
    if account == "broken":
        raise RuntimeError("the session died")
    return SimpleNamespace(locale=account) if account else None


def test_the_request_speaks_the_language_of_its_reader(app: TestApp) -> None:
    assert app.get("/words").text == "Dinner 3 likes"
    assert app.get("/words", headers={"Accept-Language": "zh"}).text.startswith("晚餐 ")
    assert app.get("/words", headers={"Accept-Language": "zh", "Cookie": "lang=en"}).text.startswith("Dinner ")
    account = {"Accept-Language": "en", "Cookie": "lang=en", "X-Account": "zh_CN"}
    assert app.get("/words", headers=account).text.startswith("晚餐 ")


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Account": "broken"},
        {"Cookie": "lang=\xff\xfe; \x80=\xc0"},
        {"Cookie": 'lang="\\377'},
        {"Accept-Language": "\xff\xfe;q=\xff"},
    ],
)
def test_broken_requests_still_get_words(app: TestApp, headers: dict[str, str]) -> None:
    assert app.get("/words", headers=headers).text.startswith("Dinner ")


def test_a_broken_identity_leaves_cookie_and_header_in_force(app: TestApp, caplog: pytest.LogCaptureFixture) -> None:
    assert app.get("/words", headers={"X-Account": "broken", "Cookie": "lang=zh_CN"}).text.startswith("晚餐 ")
    # What nobody expected is told by whoever swallows it.
    assert {record.getMessage() for record in caplog.records} == {"identity.failed"}
    assert app.get("/words", headers={"Cookie": "lang=\xff\xfe", "Accept-Language": "zh"}).text.startswith("晚餐 ")


def test_templates_are_translated_and_escaped(app: TestApp) -> None:
    page = app.get("/page", headers={"Accept-Language": "zh"})
    assert "<b>早餐</b>" in page.text
    assert 'title="午餐"' in page.text
    assert ">加餐</i>" in page.text
    assert "<u>Lunch &lt;&amp;&gt;</u>" in page.text
    assert "<p>No message with <em>Lunch &lt;&amp;&gt;</em></p>" in page.text
    assert "<s>2 likes</s>" in app.get("/page").text


def test_a_template_without_a_request_speaks_its_target_language() -> None:
    assert i18n.chameleon_translate("Breakfast", "mealshare", target_language="zh_CN", default="Breakfast") == "早餐"
    assert i18n.chameleon_translate(_("Breakfast")) == "Breakfast"
    assert i18n.chameleon_translate(None) is None
    assert i18n.chameleon_translate(5) == "5"
    marker = "".join(("unknown ", "text"))
    assert i18n.chameleon_translate("unknown text", "mealshare", default=marker) is marker


# --- Whether all of it is there ---


def test_no_message_is_missing_in_either_language() -> None:
    assert messages.check() == []


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small project whose catalogues are complete."""
    package = tmp_path / "mealshare"
    package.mkdir()
    (package / "views.py").write_text(
        'a = _("Save")\nb = n_("${n} like", "${n} likes", n)\n'
        'c = _("key", default="Hello ${name}")\nd = _("It is $it")\n',
        encoding="utf-8",
    )
    (package / "page.pt").write_text(
        """<div i18n:domain="mealshare"><p i18n:translate="">From <b i18n:name="y">me</b></p>
        ${n_('${n} day', '${n} days', 2)}<img alt="A picture" i18n:attributes="alt" /></div>""",
        encoding="utf-8",
    )
    messages.update(tmp_path)
    fill_in(tmp_path)
    assert messages.check(tmp_path) == []
    return tmp_path


def fill_in(root: Path) -> None:
    """Translate whatever is empty in the Chinese catalogue."""
    path = messages.catalogue_path(root, "zh_CN")
    catalogue = polib.pofile(str(path))
    for entry in catalogue:
        if entry.msgid_plural:
            entry.msgstr_plural = {0: f"中{entry.msgid_plural}"}
        else:
            entry.msgstr = entry.msgstr or f"中{messages._english(entry)[0]}"
    catalogue.save()
    messages.compile_catalogues(root)


def edit(root: Path, locale: str, change: object, msgid: str = "Save") -> None:
    path = messages.catalogue_path(root, locale)
    catalogue = polib.pofile(str(path))
    change(catalogue.find(msgid))
    catalogue.save()
    messages.compile_catalogues(root)


def test_extraction_finds_python_and_templates_plurals_and_attributes(tree: Path) -> None:
    found = {(entry.msgid, entry.msgid_plural) for entry in messages.extract(tree)}
    assert {("Save", ""), ("key", ""), ("It is $it", ""), ("A picture", ""), ("${n} like", "${n} likes")} <= found
    assert ("${n} day", "${n} days") in found
    english = polib.pofile(str(messages.catalogue_path(tree, "en")))
    assert english.find("key").msgstr == "Hello ${name}"
    assert english.find("${n} like").msgstr_plural == {0: "${n} like", 1: "${n} likes"}


@pytest.mark.parametrize("locale", ["en", "zh_CN"])
def test_check_catches_a_new_message(tree: Path, locale: str) -> None:
    (tree / "mealshare" / "new.py").write_text('x = _("Not translated")\n', encoding="utf-8")
    assert f"{locale}: missing: 'Not translated' (mealshare/new.py)" in messages.check(tree)
    assert messages.update(tree) == {"en": 0, "zh_CN": 1}
    assert messages.check(tree) == ["zh_CN: empty: 'Not translated' (mealshare/new.py)"]
    fill_in(tree)
    assert messages.check(tree) == []


def test_check_catches_a_message_in_a_template(tree: Path) -> None:
    (tree / "mealshare" / "new.pt").write_text('<p i18n:domain="mealshare" i18n:translate="">Hi</p>', encoding="utf-8")
    assert "zh_CN: missing: 'Hi' (mealshare/new.pt)" in messages.check(tree)
    # Without its domain lingua passes over a template in silence.
    (tree / "mealshare" / "new.pt").write_text('<p i18n:translate="">Hi</p>', encoding="utf-8")
    assert any("mealshare/new.pt: i18n without" in problem for problem in messages.check(tree))


def test_texts_in_expressions_are_found(tree: Path) -> None:
    (tree / "mealshare" / "new.pt").write_text(
        """<div i18n:domain="mealshare" title="${ui.t('Add &quot;one&quot;')}">${ui.t("It's in")} ${ui.t(label)}
        ${ui.t('Save')} ${ui.t( 'Add ${n}', n=2)}</div>""",
        encoding="utf-8",
    )
    found = {entry.msgid: [name for name, _line in entry.occurrences] for entry in messages.extract(tree)}
    assert {'Add "one"', "It's in", "Add ${n}"} <= set(found)
    assert found["Save"] == ["mealshare/new.pt", "mealshare/views.py"]
    assert found["It's in"] == ["mealshare/new.pt"]


@pytest.mark.parametrize("call", ["ui.t('Save' + word)", "ui.n('a day', 'days', 2)", "ui.t('Save' 'd')"])
def test_check_catches_expressions_that_hide_a_text(tree: Path, call: str) -> None:
    (tree / "mealshare" / "new.pt").write_text(f'<p i18n:domain="mealshare">${{{call}}}</p>', encoding="utf-8")
    assert any("mealshare/new.pt: ui.t takes one plain literal" in problem for problem in messages.check(tree))


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("request.translate('Not wrapped')", "mealshare/new.py:1: a text that is translated must be written _(...)"),
        ("ui.t(f'Not {x}')", "mealshare/new.py:1: a text that is translated must be written _(...)"),
        ("ui.n('a day', 'days', 2)", "mealshare/new.py:1: a text that is translated must be written _(...)"),
        ("_(text)", "mealshare/new.py:1: _() takes a plain literal"),
        ("_(f'Not {x}')", "mealshare/new.py:1: _() takes a plain literal"),
    ],
)
def test_check_catches_code_that_hides_a_text(tree: Path, code: str, problem: str) -> None:
    (tree / "mealshare" / "new.py").write_text(f"x = {code}\n", encoding="utf-8")
    assert any(problem in found for found in messages.check(tree))
    (tree / "mealshare" / "new.py").write_text(
        'x = ui.t(SAVE) + request.translate(words) + _("Save")\n', encoding="utf-8"
    )
    assert messages.check(tree) == []


def test_check_catches_a_lost_marker_of_a_script(tree: Path) -> None:
    (tree / "mealshare" / "views.py").write_text('a = _("Remove photo {number}")\n', encoding="utf-8")
    messages.update(tree)
    fill_in(tree)
    lost = ["zh_CN: other placeholders than in the sources: 'Remove photo {number}' (mealshare/views.py)"]
    assert messages.check(tree) == []
    edit(tree, "zh_CN", lambda entry: setattr(entry, "msgstr", "移除照片"), "Remove photo {number}")
    assert messages.check(tree) == lost
    edit(tree, "zh_CN", lambda entry: setattr(entry, "msgstr", "移除照片 ${number}"), "Remove photo {number}")
    assert messages.check(tree) == lost


def test_check_catches_bad_translations(tree: Path) -> None:
    edit(tree, "zh_CN", lambda entry: entry.flags.append("fuzzy"))
    assert messages.check(tree) == ["zh_CN: fuzzy: 'Save' (mealshare/views.py)"]
    edit(tree, "zh_CN", lambda entry: (entry.flags.clear(), setattr(entry, "msgstr", "  ")))
    assert messages.check(tree) == ["zh_CN: empty: 'Save' (mealshare/views.py)"]
    edit(tree, "zh_CN", lambda entry: setattr(entry, "msgstr", "保存 ${what}"))
    assert messages.check(tree) == ["zh_CN: other placeholders than in the sources: 'Save' (mealshare/views.py)"]
    edit(tree, "zh_CN", lambda entry: setattr(entry, "msgstr", "保存"))
    edit(tree, "zh_CN", lambda entry: setattr(entry, "msgstr", "是这个"), "It is $it")
    edit(tree, "zh_CN", lambda entry: entry.msgstr_plural.update({0: "赞"}), "${n} like")
    assert [problem.split(":")[1].strip() for problem in messages.check(tree)] == [
        "other placeholders than in the sources"
    ] * 2
    messages.update(tree)
    edit(tree, "en", lambda entry: setattr(entry, "msgstr", "Keep"))
    assert "en: not the English of the sources: 'Save' (mealshare/views.py)" in messages.check(tree)


def test_check_catches_stale_and_missing_catalogues(tree: Path) -> None:
    binary = messages.catalogue_path(tree, "zh_CN", ".mo")
    path = messages.catalogue_path(tree, "zh_CN")
    path.write_text(path.read_text(encoding="utf-8").replace("中Save", "保存"), encoding="utf-8")
    stale = "zh_CN: mealshare/locale/zh_CN/LC_MESSAGES/mealshare.mo is missing or older than its .po file"
    assert messages.check(tree) == [stale]
    binary.unlink()
    assert messages.check(tree) == [stale]
    messages.compile_catalogues(tree)
    assert messages.check(tree) == []
    path.unlink()
    assert messages.check(tree) == ["zh_CN: no catalogue mealshare/locale/zh_CN/LC_MESSAGES/mealshare.po"]


def test_a_vanished_message_keeps_its_translation_for_its_return(tree: Path) -> None:
    views = tree / "mealshare" / "views.py"
    text = views.read_text(encoding="utf-8")
    views.write_text(text.replace('a = _("Save")\n', ""), encoding="utf-8")
    assert "zh_CN: no longer in the sources: 'Save' (mealshare/views.py)" in messages.check(tree)
    messages.update(tree)
    assert messages.check(tree) == []
    messages.update(tree)
    views.write_text(text, encoding="utf-8")
    assert messages.update(tree) == {"en": 0, "zh_CN": 0}
    assert polib.pofile(str(messages.catalogue_path(tree, "zh_CN"))).find("Save").msgstr == "中Save"


def test_update_is_repeatable_to_the_byte(tree: Path) -> None:
    folder = tree / "mealshare" / "locale"
    messages.update(tree)
    shutil.copytree(folder, tree / "before")
    messages.update(tree)
    for path in sorted(folder.rglob("mealshare.*")):
        assert path.read_bytes() == (tree / "before" / path.relative_to(folder)).read_bytes()


def test_unreadable_sources_are_reported(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "mealshare" / "broken.py").write_text('x = _("a" % 1)\n', encoding="utf-8")
    assert any("lingua could not read the sources" in problem for problem in messages.check(tree))
    assert "broken.py" in capsys.readouterr().err


def test_the_command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert messages.main(["nonsense"]) == 2
    assert "usage" in capsys.readouterr().err
    monkeypatch.setattr(messages, "check", lambda: ["zh_CN: missing: 'x'"])
    assert messages.main(["check"]) == 1
    assert capsys.readouterr().out == "zh_CN: missing: 'x'\n"
    monkeypatch.setattr(messages, "check", list)
    assert messages.main(["check"]) == 0


def test_a_language_without_plural_forms_has_one_text_for_every_number(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(i18n, "LOCALE_DIRECTORY", tree / "mealshare" / "locale")
    chinese, english = i18n._Catalogue("zh_CN"), i18n._Catalogue("en")
    assert [chinese.find_plural("${n} like", "${n} likes", n) for n in (0, 1, 2)] == ["中${n} likes"] * 3
    assert [english.find_plural("${n} like", "${n} likes", n) for n in (0, 1)] == ["${n} likes", "${n} like"]
