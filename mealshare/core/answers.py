"""The headers of an answer, read at once: WebOb goes through all of them for each that is asked for."""

from __future__ import annotations

from collections.abc import Iterable


def header_values(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The values by name in lower case; of a name that comes several times the last, as WebOb has it."""
    return {name.lower(): value for name, value in headers}


def vary_by(headers: list[tuple[str, str]], known: str | None, name: str) -> None:
    """Let the answer with the ``headers`` say that it depends on the request header ``name``; ``known`` is its Vary."""
    if known is None:
        headers.append(("Vary", name))
    elif known != "*" and name.lower() not in known.lower():
        try:
            headers[headers.index(("Vary", known))] = ("Vary", f"{known}, {name}")
        except ValueError:
            # Somebody writes it in another way.
            headers[:] = [header for header in headers if header[0].lower() != "vary"]
            headers.append(("Vary", f"{known}, {name}"))
