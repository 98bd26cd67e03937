"""Read-only mode: everybody may read, nobody changes anything.

For moving a database, for a copy that others may look at, for a disk that is nearly full.  It is on while the setting
``site.read_only`` says so, or while the file that ``site.read_only_file`` names is there, which needs no restart.

Every unsafe request, logging out included, is answered with 503 and Retry-After, before anything of it is looked at: what
cannot be kept is not promised.  Reads that leave a note (when a session was last seen) leave none, and no job begins.
`forbid_writes` stands where transactions of requests begin, for whatever nobody thought of.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

from pyramid.config import Configurator
from pyramid.registry import Registry
from pyramid.request import Request
from pyramid.viewderivers import INGRESS

from mealshare.core.errors import DomainError
from mealshare.core.security.csrf import SAFE_METHODS
from mealshare.core.settings import setting

#: How long what was found of the file is believed.
LOOK_SECONDS = 1.0
RETRY_AFTER_SECONDS = 300
_SWITCH = "read_only"


class ReadOnlyNow(DomainError):
    """Nothing can be changed at the moment (503)."""

    status = 503
    code = "read_only"
    wanted = True
    headers = (("Retry-After", str(RETRY_AFTER_SECONDS)),)


@dataclass(frozen=True)
class ReadOnlySettings:
    """Whether the site can only be read."""

    read_only: bool = setting(False, "Answer reads only, and all that would change something with 503.")
    read_only_file: str = setting(
        "", "While this file is there, the site is read-only (mealshare readonly makes and removes it); empty: none."
    )


class Switch:
    """Whether the site is read-only now."""

    def __init__(self, always: bool, file: str) -> None:
        self.always = always
        self._file = file
        self._there = False
        self._until = float("-inf")

    @property
    def on(self) -> bool:
        """True while it is; the file is looked for at most once in `LOOK_SECONDS`."""
        if self.always or not self._file:
            return self.always
        moment = time.monotonic()
        if moment >= self._until:
            # Two threads may look at once, and find the same.
            self._there = os.path.exists(self._file)
            self._until = moment + LOOK_SECONDS
        return self._there


def is_read_only(registry: Registry) -> bool:
    """Whether the site can only be read now."""
    switch: Switch | None = registry.get(_SWITCH)
    return switch is not None and switch.on


def forbid_writes(request: Request) -> None:
    """Raise ReadOnlyNow while the site can only be read."""
    if is_read_only(request.registry):
        raise ReadOnlyNow


def refuse_changes(view: Any, info: Any) -> Any:
    """View deriver: every unsafe request is refused first of all, so the answer is the same whatever it brings."""
    if info.exception_only:
        return view
    switch: Switch = info.registry[_SWITCH]

    def wrapped(context: Any, request: Request) -> Any:
        if switch.on and request.method not in SAFE_METHODS:
            raise ReadOnlyNow
        return view(context, request)

    return wrapped


def includeme(config: Configurator) -> None:
    """Declare the settings, and put the check before that of forged requests."""
    settings = config.declare_settings(ReadOnlySettings, prefix="site")
    config.registry[_SWITCH] = Switch(settings.read_only, settings.read_only_file)
    config.add_view_deriver(refuse_changes, name="refuse_changes", under=INGRESS, over="csrf_first")
    config.add_request_method(lambda request: is_read_only(request.registry), "read_only", property=True)
