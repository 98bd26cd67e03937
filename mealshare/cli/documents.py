"""What the application can tell of itself: the OpenAPI document, and the table of its settings."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import click
import orjson
from pyramid.config import Configurator

from mealshare import configure
from mealshare.api.openapi import build_document
from mealshare.cli.site import Site, pass_site
from mealshare.core.security.tokens import new_token
from mealshare.core.settings import Declared, Secret

_INTRODUCTION = """\
# Configuration

Every setting stands in the section `[app:main]` of the ini file, under its name, or in the environment, which wins. A
variable whose name ends in `_FILE` (`MEALSHARE_SITE__SECRET_FILE`) names a file that holds the value. A list is written
with spaces between its items. A setting that does not exist, that is missing or that cannot be read stops the start, and
the message names it. `mealshare init` writes a file with the required ones.

Those that begin with `server.` may also stand in `[server:main]`, without `server.`.

This page is made by `mealshare settings --markdown > docs/configuration.md`.
"""


#: Where the site of the examples is: the document in docs/ must not depend on the machine that writes it.
EXAMPLE_SITE = "https://meals.example"


@click.command()
@click.option("--reference", is_flag=True, help="That of a site with default settings, as docs/openapi.json.")
@pass_site
def openapi(site: Site, reference: bool) -> None:
    """Print the OpenAPI document of the site's API."""
    document = reference_document() if reference else build_document(site.registry_without_database)
    click.echo(as_json(document), nl=False)


@click.command()
@click.option("--markdown", is_flag=True, help="As the page docs/configuration.md.")
def settings(markdown: bool) -> None:
    """Print every setting with its default and what it does; needs no configuration."""
    declared = declared_by_the_application()
    click.echo(as_markdown(declared) if markdown else as_text(declared), nl=False)


def declared_by_the_application() -> list[Declared]:
    """All settings, in the order of the concerns in ``mealshare.CORE`` and ``FEATURES``."""
    with _default_application("http://localhost") as config:
        found: list[Declared] = config.registry["settings_declared"]
        return found


def reference_document() -> dict[str, Any]:
    """The OpenAPI document of a site with default settings; needs no configuration, and is the same everywhere."""
    with _default_application(EXAMPLE_SITE) as config:
        config.commit()
        return build_document(config.registry)


def as_json(document: dict[str, Any]) -> str:
    """The document as people read it."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


@contextmanager
def _default_application(base_url: str) -> Iterator[Configurator]:
    """The configuration of a site that says nothing but what it has to."""
    with tempfile.TemporaryDirectory() as folder:
        required = {
            "site.base_url": base_url, "site.secret": new_token(), "jwt.secret": new_token(),
            "db.url": f"sqlite:///{folder}/none.sqlite", "db.check_revision": "false", "storage.folder": f"{folder}/media",
            "mail.folder": f"{folder}/mail",
        }  # fmt: skip
        config = configure(required)
        try:
            yield config
        finally:
            config.registry["engine"].dispose()


def as_markdown(declared: Iterable[Declared]) -> str:
    """The page docs/configuration.md."""
    parts = [_INTRODUCTION]
    section = None
    for item in declared:
        prefix = item.name.partition(".")[0]
        if prefix != section:
            section = prefix
            parts.append(f"\n## {prefix}\n\n| setting | kind | default | what it does |\n| --- | --- | --- | --- |\n")
        cells = (f"`{item.name}`<br>`{item.environment}`", item.kind, _default(item), item.help)
        parts.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n")
    return "".join(parts)


def as_text(declared: Iterable[Declared]) -> str:
    """The settings as an ini file has them, each below what it does."""
    return "\n".join(f"# {item.help}\n{item.name} = {_plain(item)}\n" for item in declared)


def _default(item: Declared) -> str:
    if item.required:
        return "**required**"
    text = _plain(item)
    return f"`{text}`" if text else "(empty)"


def _plain(item: Declared) -> str:
    value = item.default
    if item.required or isinstance(value, Secret):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return " ".join(str(part) for part in value)
    return str(value)
