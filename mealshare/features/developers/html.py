"""What the page for developers shows: the samples, the change log, the tables of this site."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from babel.dates import format_timedelta
from markupsafe import Markup, escape
from pyramid.registry import Registry

from mealshare.api.cors import Cors, CorsSettings
from mealshare.api.problems import problem_types
from mealshare.core.i18n import _
from mealshare.core.ratelimit import RateLimitSettings, limits_of
from mealshare.core.settings import settings_of
from mealshare.features.developers.vocabulary import LIMITS
from mealshare.web.ui import Ui

FOLDER = Path(__file__).parent
#: What stands in the samples for the address of the site.
PLACEHOLDER = "https://meals.example"
#: The languages, in the order in which they are offered: file, name, and the line by which a sample begins.
LANGUAGES = (("curl", "curl", "#: "), ("javascript", "JavaScript", "//: "), ("python", "Python", "#: "))
#: No browser sends a longer Origin: host names end at 253 characters.
MAX_ORIGIN = 300
#: Strings before comments: a ``#`` or ``//`` within a string begins none.
_COLOURED = {
    "curl": re.compile(r"""('[^']*'|"[^"]*")|(?:(?<=\s)|^)(\#.*)""", re.MULTILINE),
    "javascript": re.compile(r"""("[^"\n]*"|`[^`]*`|/<\(.*?/(?=\)))|(//.*)"""),
    "python": re.compile(r"""("[^"\n]*"|'[^'\n]*')|(\#.*)"""),
}
_MARKER = re.compile(r"\$\{(\w+)\}")
#: Which document a line of the change log tells of: for scripts/contract.py, and for no reader.
_CONTRACT = re.compile(r" \(contract `[0-9a-f]{8}`\)$")


@dataclass(frozen=True)
class Sample:
    """A part of the program in one language."""

    language: str
    label: str
    text: str


@dataclass(frozen=True)
class ProblemType:
    """A kind of problem, with its words in the reader's language."""

    code: str
    status: int
    words: str


@dataclass(frozen=True)
class Release:
    """What changed in the API with one version."""

    name: str
    items: list[Markup]


def program(language: str) -> str:
    """The whole program in the language, as its parts follow upon each other."""
    return (FOLDER / "samples" / f"{language}.txt").read_text(encoding="utf-8")


def read_samples() -> dict[str, list[Sample]]:
    """The parts by name, each in all languages.  Raises ValueError where a language lacks one."""
    found: dict[str, list[Sample]] = {}
    for language, label, sign in LANGUAGES:
        for part in program(language).split("\n" + sign):
            name, _newline, text = part.removeprefix(sign).partition("\n")
            found.setdefault(name, []).append(Sample(language, label, text.strip("\n")))
    wanting = sorted(name for name, samples in found.items() if len(samples) != len(LANGUAGES))
    if wanting:
        raise ValueError(f"not every language has these samples: {', '.join(wanting)}")
    return found


SAMPLES = read_samples()


def sample_html(name: str, base_url: str) -> Markup:
    """The sample in all languages, one below the other; the style sheet shows the one that was chosen."""
    blocks = [
        Markup(
            '<div class="sample" data-lang="{}"><div class="sample__head"><span class="sample__lang" lang="en">{}</span></div>'
            '<pre class="code" lang="en" tabindex="0" role="group" aria-label="{}"><code>{}</code></pre></div>'
        ).format(sample.language, sample.label, sample.label, coloured(sample, base_url))
        for sample in SAMPLES[name]
    ]
    return Markup("").join(blocks)


def coloured(sample: Sample, base_url: str) -> Markup:
    """The sample for the site at ``base_url``, with its strings and comments marked."""
    text = sample.text.replace(PLACEHOLDER, base_url)
    parts: list[Markup | str] = []
    at = 0
    for found in _COLOURED[sample.language].finditer(text):
        kind = "json__text" if found[1] else "code__comment"
        parts += [escape(text[at : found.start()]), Markup('<span class="{}">{}</span>').format(kind, found[0])]
        at = found.end()
    parts.append(escape(text[at:]))
    return Markup("").join(parts)


def problems(ui: Ui) -> list[ProblemType]:
    """Every problem type of this site, by status."""
    found = [
        ProblemType(code, status, ui.t(title, **dict.fromkeys(_MARKER.findall(title), "…")))
        for code, (status, title) in problem_types(ui.registry).items()
    ]
    return sorted(found, key=lambda problem: (problem.status, problem.code))


def limits(ui: Ui) -> list[tuple[str, str]]:
    """What this site counts, and how much of it it allows; empty where limits are switched off."""
    settings = settings_of(ui.registry, RateLimitSettings)
    if not settings.enabled:
        return []
    counted = limits_of(settings)
    rows = []
    for name, words in LIMITS.items():
        time = format_timedelta(timedelta(seconds=counted[name].seconds), threshold=1, locale=ui.locale)
        rows.append((ui.t(words), ui.t(_("${count} in ${time}"), count=f"{counted[name].amount:,}", time=time)))
    return rows


def sizes(registry: Registry) -> Mapping[str, object]:
    """The sizes that ``GET /api/instance`` tells."""
    known: Mapping[str, object] = registry["instance_limits"]
    return known


@dataclass(frozen=True)
class CorsFacts:
    """Who may call from another origin, and what of the asked origin; ``granted`` is None where none was asked."""

    settings: CorsSettings
    asked: str
    granted: bool | None


def cors(registry: Registry, asked: str) -> CorsFacts:
    """The site's own rules, asked in the way in which requests ask them."""
    settings = settings_of(registry, CorsSettings)
    asked = asked.strip().rstrip("/")[:MAX_ORIGIN]
    return CorsFacts(settings, asked, bool(Cors(settings).actual(asked)) if asked else None)


def releases() -> list[Release]:
    """The change log of the API, newest first: a copy of what CHANGELOG.md says of it, which the package brings along."""
    return list(_releases((FOLDER / "changes.txt").read_text(encoding="utf-8")))


def _releases(text: str) -> Iterator[Release]:
    for block in text.split("\n## ")[1:]:
        name, _newline, rest = block.partition("\n")
        items = [" ".join(item.split()) for item in ("\n" + rest).split("\n- ")[1:]]
        yield Release(name.strip("[] "), [_marked(_CONTRACT.sub("", item)) for item in items])


def _marked(text: str) -> Markup:
    """Markdown as far as the change log uses it: bold and code; links keep their words."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    parts = re.split(r"(\*\*[^*]+\*\*|`[^`]+`)", text)
    marked = [
        Markup("<strong>{}</strong>").format(part[2:-2]) if part.startswith("**")
        else Markup("<code>{}</code>").format(part[1:-1]) if part.startswith("`") and len(part) > 1
        else escape(part)
        for part in parts
    ]  # fmt: skip
    return Markup("").join(marked)
