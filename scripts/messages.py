"""Keep the catalogues of the user interface complete: ``python scripts/messages.py update|compile|check``.

update   take every message out of mealshare/ (.py and .pt), write it into both .po files, compile them
compile  write the .mo files anew from the .po files, after a translation was filled in
check    list what is missing, empty, fuzzy or outdated, in either language; exit 1 if there is anything

The English catalogue is made from the sources and never edited.  In the Chinese one the translations are filled in by
hand; update leaves a new message empty there, and keeps the translation of one that vanished as an obsolete entry
(``#~``), to be used again should the message return.
"""

from __future__ import annotations

import ast
import html
import re
import sys
import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path

import polib
from lingua.extract import main as lingua_extract

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "mealshare"
DOMAIN = "mealshare"
SOURCE_LOCALE = "en"
PLURAL_FORMS = {"en": "nplurals=2; plural=(n != 1);", "zh_CN": "nplurals=1; plural=0;"}

_MARKER = re.compile(r"(?<!\$)\$(?:\{([A-Za-z][-A-Za-z0-9_]*)\}|([A-Za-z][-A-Za-z0-9_]*))")
#: ``{name}`` in a text that JavaScript fills in.
_SCRIPT_MARKER = re.compile(r"(?<!\$)\{[A-Za-z][A-Za-z0-9_]*\}")
_I18N_DOMAIN = f'i18n:domain="{DOMAIN}"'
#: ``ui.t('...')`` in a template, which lingua does not know.
_UI_TEXT = re.compile(r"""\bui\.t\(\s*('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\s*[,)]""")
_UI_CALL = re.compile(r"""\bui\.[tn]\(\s*['"]""")
#: Methods that turn a message into words.
_TRANSLATING = frozenset({"t", "n", "translate", "plural"})

#: Lingua's exit code where no file holds a message; it is 1 after it printed what it could not parse.
_NO_MESSAGES = 2

Key = tuple[str | None, str]


class MessagesError(Exception):
    """The messages cannot be extracted; the text says why."""


def source_files(root: Path) -> list[Path]:
    """The modules and templates of the package below ``root``, in a stable order."""
    return sorted(path for path in (root / PACKAGE).rglob("*") if path.suffix in (".py", ".pt") and path.is_file())


def extract(root: Path) -> list[polib.POEntry]:
    """Every message of the package, sorted by its msgid; raises MessagesError where lingua cannot read a file."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "mealshare.pot"
        arguments = ["-d", DOMAIN, "-k", "n_:1,2", "--no-linenumbers", "-o", str(output)]
        code = _run_lingua([*arguments, *map(str, source_files(root))])
        if code not in (None, 0, _NO_MESSAGES):
            raise MessagesError(f"lingua could not read the sources (exit {code}); its message stands above")
        entries = {} if code == _NO_MESSAGES else {_key(entry): entry for entry in polib.pofile(str(output))}
    for entry in entries.values():
        entry.occurrences = [(Path(name).relative_to(root).as_posix(), "") for name, _line in entry.occurrences]
    for msgid, place in _texts_in_expressions(root):
        entries.setdefault((None, msgid), polib.POEntry(msgid=msgid)).occurrences.append((place, ""))
    for entry in entries.values():
        entry.occurrences = sorted(set(entry.occurrences))
    return sorted(entries.values(), key=lambda entry: (entry.msgid, entry.msgctxt or ""))


def _texts_in_expressions(root: Path) -> Iterable[tuple[str, str]]:
    """Each ``ui.t('...')`` of a template: its msgid and its file."""
    for path in source_files(root):
        if path.suffix == ".pt":
            for literal in _UI_TEXT.findall(path.read_text(encoding="utf-8")):
                yield ast.literal_eval(html.unescape(literal)), path.relative_to(root).as_posix()


def _run_lingua(arguments: list[str]) -> object:
    """Run lingua in this process; gives its exit code."""
    code: object = 0
    with warnings.catch_warnings():
        # Lingua leaves the files that it read to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            lingua_extract.main(arguments, "extract", standalone_mode=False)
        except SystemExit as stop:
            code = stop.code
        except (ValueError, SyntaxError) as error:
            sys.stderr.write(f"{error}\n")
            code = 1
    return code


def catalogue_path(root: Path, locale: str, suffix: str = ".po") -> Path:
    """Where the catalogue of ``locale`` is kept."""
    return root / PACKAGE / "locale" / locale / "LC_MESSAGES" / f"{DOMAIN}{suffix}"


def update(root: Path = ROOT) -> dict[str, int]:
    """Bring both catalogues up to date with the sources and compile them; gives how many are empty in each."""
    extracted = extract(root)
    empty = {}
    for locale in PLURAL_FORMS:
        path = catalogue_path(root, locale)
        known = {_key(entry): entry for entry in polib.pofile(str(path))} if path.exists() else {}
        catalogue = _new_catalogue(locale)
        for source in extracted:
            catalogue.append(_entry(source, locale, known.pop(_key(source), None)))
        if locale != SOURCE_LOCALE:
            for key in sorted(known, key=lambda key: (key[1], key[0] or "")):
                if known[key].translated() or known[key].obsolete:
                    known[key].obsolete = True
                    catalogue.append(known[key])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{catalogue}\n", encoding="utf-8")
        empty[locale] = sum(not entry.obsolete and not all(_forms(entry)) for entry in catalogue)
    compile_catalogues(root)
    return empty


def compile_catalogues(root: Path = ROOT) -> None:
    """Write the .mo file of every locale."""
    for locale in PLURAL_FORMS:
        catalogue_path(root, locale, ".mo").write_bytes(_binary(polib.pofile(str(catalogue_path(root, locale)))))


def check(root: Path = ROOT) -> list[str]:
    """Everything that is wrong with the catalogues, one line each; an empty list when nothing is."""
    problems = [f"{path.relative_to(root)}{problem}" for path in source_files(root) for problem in _check_source(path)]
    try:
        extracted = extract(root)
    except MessagesError as error:
        return [*problems, str(error)]
    for locale in PLURAL_FORMS:
        problems.extend(f"{locale}: {problem}" for problem in _check_catalogue(root, locale, extracted))
    return problems


def _check_source(path: Path) -> Iterable[str]:
    """What extraction would pass over in silence, each with the place in front."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".pt":
        if "i18n:" in text and _I18N_DOMAIN not in text:
            yield f": i18n without {_I18N_DOMAIN} on the root element; its texts cannot be found"
        if len(_UI_CALL.findall(text)) != len(_UI_TEXT.findall(text)):
            yield ": ui.t takes one plain literal, and for a plural there is n_; this text cannot be found"
        return
    try:
        calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call) and node.args]
    except SyntaxError as error:
        yield f":{error.lineno}: this is no Python"
        return
    for call in calls:
        words = isinstance(call.args[0], ast.JoinedStr) or _is_text(call.args[0])
        if isinstance(call.func, ast.Attribute) and call.func.attr in _TRANSLATING and words:
            yield f":{call.lineno}: a text that is translated must be written _(...) to be found"
        elif isinstance(call.func, ast.Name) and call.func.id == "_" and not _is_text(call.args[0]):
            yield f":{call.lineno}: _() takes a plain literal; this text cannot be found"


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _check_catalogue(root: Path, locale: str, extracted: list[polib.POEntry]) -> Iterable[str]:
    path = catalogue_path(root, locale)
    if not path.exists():
        yield f"no catalogue {path.relative_to(root)}"
        return
    catalogue = polib.pofile(str(path))
    entries = {_key(entry): entry for entry in catalogue if not entry.obsolete}
    for source in extracted:
        if (entry := entries.pop(_key(source), None)) is None:
            yield f"missing: {_named(source)}"
        else:
            yield from (f"{problem}: {_named(source)}" for problem in _check_entry(entry, source, locale))
    yield from (f"no longer in the sources: {_named(entry)}" for entry in entries.values())
    binary = catalogue_path(root, locale, ".mo")
    if not binary.exists() or binary.read_bytes() != _binary(catalogue):
        yield f"{binary.relative_to(root)} is missing or older than its .po file"


def _check_entry(entry: polib.POEntry, source: polib.POEntry, locale: str) -> Iterable[str]:
    if entry.fuzzy:
        yield "fuzzy"
    if entry.msgid_plural != source.msgid_plural:
        yield "another plural than in the sources"
        return
    forms = _forms(entry)
    if len(forms) != (_form_count(locale) if source.msgid_plural else 1):
        yield "wrong number of plural forms"
    elif not all(form.strip() for form in forms):
        yield "empty"
    elif any(_markers(form) not in _allowed_markers(source, index, len(forms)) for index, form in enumerate(forms)):
        yield "other placeholders than in the sources"
    elif locale == SOURCE_LOCALE and forms != _english(source):
        yield "not the English of the sources"


def _allowed_markers(source: polib.POEntry, index: int, count: int) -> list[set[str]]:
    """A plural text may leave the number out of its singular form ("one like"), where the language has such a form."""
    if not source.msgid_plural:
        return [_markers(_english(source)[0])]
    singular = [_markers(source.msgid)] if count > 1 and index == 0 else []
    return [_markers(source.msgid_plural), *singular]


def _key(entry: polib.POEntry) -> Key:
    return entry.msgctxt, entry.msgid


def _named(entry: polib.POEntry) -> str:
    where = f" ({entry.occurrences[0][0]})" if entry.occurrences else ""
    return f"{entry.msgid!r}{where}"


def _markers(text: str) -> set[str]:
    return {braced or bare for braced, bare in _MARKER.findall(text)} | set(_SCRIPT_MARKER.findall(text))


def _forms(entry: polib.POEntry) -> list[str]:
    if entry.msgid_plural:
        return [entry.msgstr_plural[index] for index in sorted(entry.msgstr_plural)]
    return [entry.msgstr]


def _form_count(locale: str) -> int:
    return int(PLURAL_FORMS[locale].removeprefix("nplurals=").partition(";")[0])


def _english(source: polib.POEntry) -> list[str]:
    """The English of a message: its default where the sources give one (as lingua notes it), else the msgid itself."""
    if source.msgid_plural:
        return [source.msgid, source.msgid_plural]
    default = re.search(r"^Default: (.*)", source.comment or "", re.DOTALL | re.MULTILINE)
    return [default[1].strip() if default else source.msgid]


def _entry(source: polib.POEntry, locale: str, known: polib.POEntry | None) -> polib.POEntry:
    """The entry of ``source`` in the catalogue of ``locale``, with the translation that was ``known``."""
    entry = polib.POEntry(
        msgctxt=source.msgctxt,
        msgid=source.msgid,
        msgid_plural=source.msgid_plural,
        occurrences=source.occurrences,
        comment=source.comment if "Default: " in (source.comment or "") else "",
    )
    if locale == SOURCE_LOCALE:
        forms = _english(source)
    elif known is not None and known.msgid_plural == source.msgid_plural:
        forms = _forms(known)
        entry.flags = [flag for flag in known.flags if flag == "fuzzy"]
        entry.tcomment = known.tcomment
    else:
        forms = [""] * (_form_count(locale) if source.msgid_plural else 1)
    if source.msgid_plural:
        entry.msgstr_plural = dict(enumerate(forms))
    else:
        entry.msgstr = forms[0]
    return entry


def _new_catalogue(locale: str) -> polib.POFile:
    """An empty catalogue; without dates, so that the same messages always make the same bytes."""
    catalogue = polib.POFile(wrapwidth=110)
    catalogue.metadata = {
        "Project-Id-Version": "MealShare",
        "Language": locale,
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=UTF-8",
        "Content-Transfer-Encoding": "8bit",
        "Plural-Forms": PLURAL_FORMS[locale],
    }
    return catalogue


def _binary(catalogue: polib.POFile) -> bytes:
    return bytes(catalogue.to_binary())


def main(arguments: list[str]) -> int:
    """Run the command; gives the exit code."""
    if arguments == ["update"]:
        for locale, empty in update().items():
            sys.stdout.write(f"{locale}: {empty} to be translated\n")
        return 0
    if arguments == ["compile"]:
        compile_catalogues()
        return 0
    if arguments == ["check"]:
        problems = check()
        sys.stdout.writelines(f"{problem}\n" for problem in problems)
        return 1 if problems else 0
    sys.stderr.write("usage: messages.py update|compile|check\n")
    return 2


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except MessagesError as error:
        sys.exit(str(error))
