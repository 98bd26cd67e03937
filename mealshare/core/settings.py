"""Typed settings: declared once, beside the concern that they configure.

A concern declares a frozen dataclass whose fields are its settings::

    @dataclass(frozen=True)
    class CacheSettings:
        size: int = setting(10_000, "Entries that the cache of one process holds.")

and registers it in its ``includeme`` with ``config.declare_settings(CacheSettings, prefix="cache")``.  The setting is
then ``cache.size`` in the ini file and ``MEALSHARE_CACHE__SIZE`` in the environment (or ``MEALSHARE_CACHE__SIZE_FILE``,
naming a file that holds the value, as container secrets do).  The environment wins over the ini file, the ini file over
the default.  A setting that nobody declared, one that is missing, one that does not parse stop the boot with its name.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from pyramid.config import Configurator
from pyramid.config.settings import Settings as FrameworkSettings
from pyramid.registry import Registry

ENVIRONMENT_PREFIX = "MEALSHARE_"
#: Keys of the same ini section that belong to the framework; Pyramid and its add-ons check or ignore them themselves.
FRAMEWORK_PREFIXES = ("pyramid.", "debugtoolbar.", "tm.", "retry.", "chameleon.")
FRAMEWORK_KEYS = frozenset({"here", "__file__"})
#: Settings whose own value is the name of a file: the environment variable must not be taken for the ``_FILE`` form.
NAMED_FILE = frozenset({"jwt.private_key_file", "mail.ca_file", "site.read_only_file"})

T = TypeVar("T")


class BootError(Exception):
    """The site cannot start; the message is for its host."""


class SettingsError(BootError):
    """The configuration cannot be used; the message names the setting and says what is wrong with it."""


class Secret(str):
    """A string that is never printed: ``repr`` and the generated documentation show dots instead."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret('...')" if self else "Secret('')"


@dataclass(frozen=True)
class Declared:
    """One declared setting, as the generated documentation lists it."""

    name: str
    kind: str
    default: object
    required: bool
    help: str
    environment: str


def setting(
    default: Any = MISSING, help: str = "", *, minimum: float | None = None, maximum: float | None = None,
    choices: tuple[str, ...] | None = None,
) -> Any:  # fmt: skip
    """A dataclass field that is a setting.

    ``default`` may be left out: the setting is then required.  ``help`` is one sentence for the documentation.
    ``minimum`` and ``maximum`` bound a number, ``choices`` a string.
    """
    metadata = {"help": help, "minimum": minimum, "maximum": maximum, "choices": choices}
    if default is MISSING:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def environment_name(name: str) -> str:
    """The environment variable of the setting ``name``: ``db.url`` gives ``MEALSHARE_DB__URL``."""
    return ENVIRONMENT_PREFIX + name.replace(".", "__").upper()


def overlay_environment(
    raw: MutableMapping[str, Any], environ: Mapping[str, str] | None = None
) -> MutableMapping[str, Any]:
    """Write every ``MEALSHARE_SECTION__KEY`` (or ``..._FILE``) of the environment over ``raw``; return ``raw``.

    A declared setting whose own name ends in ``_file`` is such a setting, and takes the name of a file as its value.
    Raises SettingsError when a ``_FILE`` variable names a file that cannot be read, and when both forms are there.
    """
    variables = os.environ if environ is None else environ
    for variable, value in sorted(variables.items()):
        if not variable.startswith(ENVIRONMENT_PREFIX) or "__" not in variable:
            continue
        name = variable.removeprefix(ENVIRONMENT_PREFIX).replace("__", ".").lower()
        if name.endswith("_file") and name not in NAMED_FILE:
            plain = variable.removesuffix("_FILE")
            if plain in variables:
                raise SettingsError(f"{plain} and {variable} are both given: give one of them")
            raw[name.removesuffix("_file")] = _content(variable, value)
        else:
            raw[name] = value
    return raw


def _content(variable: str, path: str) -> str:
    """What stands in the file; the message does not repeat the path, for somebody may have put the secret itself there."""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        raise SettingsError(f"{variable}: the file that it names is not UTF-8") from None
    except OSError as error:
        raise SettingsError(f"{variable}: the file that it names cannot be read: {error.strerror}") from None


def declared_settings(cls: type, prefix: str) -> Iterator[Declared]:
    """The settings that the dataclass ``cls`` declares, in the order in which they stand there."""
    hints = get_type_hints(cls)
    for field in dataclasses.fields(cls):
        name = f"{prefix}.{field.name}" if prefix else field.name
        required = field.default is MISSING
        yield Declared(
            name=name,
            kind=_kind_name(hints[field.name], field.metadata.get("choices")),
            default=None if required else field.default,
            required=required,
            help=field.metadata.get("help", ""),
            environment=environment_name(name),
        )


def parse_settings(cls: type[T], prefix: str, raw: Mapping[str, Any]) -> T:
    """Read the settings of ``cls`` from ``raw`` (strings, or values that already have the type).

    Raises SettingsError for a missing required setting and for a value that does not parse.
    """
    hints = get_type_hints(cls)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(cast(Any, cls)):
        name = f"{prefix}.{field.name}" if prefix else field.name
        if name not in raw:
            if field.default is MISSING:
                raise SettingsError(
                    f"the setting {name} is missing: give it in the ini file or as {environment_name(name)}"
                )
            values[field.name] = field.default
            continue
        try:
            value = _convert(hints[field.name], raw[name])
            _check_bounds(value, field.metadata)
        except ValueError as error:
            raise SettingsError(f"the setting {name} is wrong: {error}") from error
        values[field.name] = value
    return cls(**values)


def settings_of(registry: Registry, cls: type[T]) -> T:
    """The parsed settings of the dataclass ``cls`` that some ``includeme`` registered."""
    return cast(T, registry["settings"][cls])


_KINDS: Mapping[Any, str] = {int: "number", float: "number", bool: "true or false", Secret: "secret", Path: "path"}


def _kind_name(hint: Any, choices: tuple[str, ...] | None) -> str:
    if choices:
        return " or ".join(choices)
    if get_origin(hint) is tuple:
        return "list"
    return _KINDS.get(hint, "text")


def _convert(hint: Any, value: Any) -> Any:
    if get_origin(hint) is tuple:
        item = get_args(hint)[0]
        parts = value.replace(",", " ").split() if isinstance(value, str) else value
        return tuple(_convert(item, part) for part in parts)
    if hint is bool:
        if isinstance(value, bool):
            return value
        text = str(value).strip().lower()
        if text in ("true", "yes", "on", "1"):
            return True
        if text in ("false", "no", "off", "0", ""):
            return False
        raise ValueError(f"{value!r} is neither true nor false")
    if hint in (int, float):
        try:
            number = hint(value)
        except (TypeError, ValueError):
            raise ValueError(f"{value!r} is not a number") from None
        if isinstance(number, float) and not math.isfinite(number):
            raise ValueError(f"{value!r} is not a number")
        return number
    return hint(value)


def _check_bounds(value: Any, metadata: Mapping[str, Any]) -> None:
    minimum, maximum, choices = metadata.get("minimum"), metadata.get("maximum"), metadata.get("choices")
    if minimum is not None and value < minimum:
        raise ValueError(f"{value} is less than {minimum}")
    if maximum is not None and value > maximum:
        raise ValueError(f"{value} is more than {maximum}")
    if choices is not None and value not in choices:
        raise ValueError(f"{value!r} is not one of {', '.join(choices)}")


def _declare_settings(config: Configurator, cls: type[T], prefix: str) -> T:
    """Directive ``config.declare_settings(cls, prefix)``: parse and register the settings of ``cls``; gives them back.

    (``add_settings`` is a method of Pyramid's own, which a directive of that name could never replace.)
    """
    registry = config.registry
    parsed = parse_settings(cls, prefix, registry.settings)
    registry["settings"][cls] = parsed
    registry["settings_declared"].extend(declared_settings(cls, prefix))
    return parsed


def _check_unknown(config: Configurator) -> None:
    known = {declared.name for declared in config.registry["settings_declared"]}
    unknown = sorted(
        name
        for name in config.registry["settings_given"]
        if name not in known and name not in FRAMEWORK_KEYS and not name.startswith(FRAMEWORK_PREFIXES)
    )
    if unknown:
        raise SettingsError(f"unknown setting: {', '.join(unknown)}")


def includeme(config: Configurator) -> None:
    """Overlay the environment, add the directive, and check at the end that nothing unknown was given."""
    registry = config.registry
    # Pyramid adds its own names to what was given, with and without their prefix.
    given = set(registry.settings) - set(FrameworkSettings({}))
    from_environment: dict[str, Any] = {}
    overlay_environment(from_environment)
    registry.settings.update(from_environment)
    registry["settings"] = {}
    registry["settings_declared"] = []
    registry["settings_given"] = given | set(from_environment)
    config.add_directive("declare_settings", _declare_settings, action_wrap=False)
    config.action("mealshare.settings.unknown", _check_unknown, args=(config,), order=10_000)
