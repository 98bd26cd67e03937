"""Settings: where they come from, what stops the boot, and that secrets are not told."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.exceptions import ConfigurationExecutionError

from mealshare import main
from mealshare.core.db.revision import SchemaError
from mealshare.core.settings import (
    NAMED_FILE,
    Secret,
    SettingsError,
    declared_settings,
    environment_name,
    overlay_environment,
    parse_settings,
    setting,
    settings_of,
)
from tests.sites import site_settings


@dataclass(frozen=True)
class StoveSettings:
    """Settings of every kind."""

    key: Secret = setting(help="What opens the lid.")
    plates: int = setting(4, "How many.", minimum=1, maximum=6)
    heat: float = setting(0.5, "How hot.", minimum=0)
    gas: bool = setting(False, "Whether it burns gas.")
    colour: str = setting("white", "What it looks like.", choices=("white", "black"))
    pots: tuple[str, ...] = setting((), "What stands on it.")
    sizes: tuple[int, ...] = setting((), "How large these are.")
    folder: Path = setting(Path("kitchen"), "Where it stands.")
    spare_keys: tuple[Secret, ...] = setting((), "What else opens the lid.")


GIVEN = {"stove.key": "sesame-sesame"}


def parse(**values: Any) -> StoveSettings:
    return parse_settings(StoveSettings, "stove", GIVEN | {f"stove.{name}": value for name, value in values.items()})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("plates", "2", 2), ("plates", " 3 ", 3), ("plates", 5, 5), ("heat", "1.25", 1.25), ("heat", "2", 2.0),
        ("gas", "true", True), ("gas", "YES", True), ("gas", "on", True), ("gas", "1", True), ("gas", True, True),
        ("gas", "false", False), ("gas", "no", False), ("gas", "Off", False), ("gas", "0", False), ("gas", "", False),
        ("colour", "black", "black"), ("pots", "a b,c\n  d", ("a", "b", "c", "d")), ("pots", "", ()),
        ("pots", ("a",), ("a",)), ("sizes", "1, 2", (1, 2)), ("folder", "/srv", Path("/srv")),
    ],
)  # fmt: skip
def test_text_becomes_a_value(name: str, text: Any, value: Any) -> None:
    found = getattr(parse(**{name: text}), name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("plates", "four", "not a number"), ("plates", "", "not a number"), ("plates", "2.5", "not a number"),
        ("plates", None, "not a number"), ("plates", "0", "less than 1"), ("plates", "7", "more than 6"),
        ("plates", "9" * 400, "more than 6"), ("heat", "nan", "not a number"), ("heat", "inf", "not a number"),
        ("heat", "-0.1", "less than 0"), ("gas", "perhaps", "neither true nor false"),
        ("colour", "green", "not one of white, black"), ("sizes", "1 x", "not a number"),
    ],
)  # fmt: skip
def test_what_does_not_parse_is_told_by_name(name: str, text: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=rf"^the setting stove\.{name} is wrong: .*{message}"):
        parse(**{name: text})


def test_a_missing_setting_is_told_with_both_of_its_names() -> None:
    with pytest.raises(SettingsError, match=r"stove\.key is missing: .*MEALSHARE_STOVE__KEY$"):
        parse_settings(StoveSettings, "stove", {})


def test_a_secret_shows_in_no_repr_and_no_error() -> None:
    stove = parse(spare_keys="other-sesame third-sesame")
    assert stove.key == "sesame-sesame"
    assert stove.spare_keys == ("other-sesame", "third-sesame")
    assert "sesame" not in repr(stove)
    assert "sesame" not in f"{stove!r} {stove.key!r} {stove.spare_keys}"
    assert repr(Secret("")) == "Secret('')"
    assert dataclasses.replace(stove, plates=2).key == "sesame-sesame"
    for declared in declared_settings(StoveSettings, "stove"):
        assert "sesame" not in repr(declared)


def test_what_the_documentation_lists() -> None:
    found = {declared.name: declared for declared in declared_settings(StoveSettings, "stove")}
    assert list(found)[:2] == ["stove.key", "stove.plates"]
    assert [declared.kind for declared in found.values()] == [
        "secret", "number", "number", "true or false", "white or black", "list", "list", "path", "list",
    ]  # fmt: skip
    key = found["stove.key"]
    assert (key.required, key.default, key.environment) == (True, None, "MEALSHARE_STOVE__KEY")
    assert found["stove.plates"].help == "How many."
    assert environment_name("db.pool_size") == "MEALSHARE_DB__POOL_SIZE"


# The environment.


def test_the_environment_lies_over_what_is_given(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("  from-the-file\n")
    environ = {
        "MEALSHARE_STOVE__PLATES": "2", "MEALSHARE_STOVE__KEY_FILE": str(tmp_path / "key"), "MEALSHARE_CONFIG": "x.ini",
        "MEALSHARE_TEST_POSTGRES": "y", "STOVE__PLATES": "5", "mealshare_stove__gas": "true",
        "MEALSHARE_JWT__PRIVATE_KEY_FILE": "/run/key.pem",
    }  # fmt: skip
    raw = {"stove.plates": "1", "stove.key": "given", "stove.colour": "black"}
    assert overlay_environment(raw, environ) is raw
    assert raw == {
        "stove.plates": "2", "stove.key": "from-the-file", "stove.colour": "black",
        "jwt.private_key_file": "/run/key.pem",
    }  # fmt: skip


def test_a_file_that_cannot_be_read_stops_the_boot_without_telling_what_was_given(tmp_path: Path) -> None:
    """Somebody may have put the secret where the name of its file belongs."""
    (tmp_path / "odd").write_bytes(b"\xff\xfe")
    for value in (str(tmp_path / "sesame"), str(tmp_path), "sesame-sesame", str(tmp_path / "odd")):
        with pytest.raises(SettingsError, match=r"^MEALSHARE_STOVE__KEY_FILE: the file that it names") as caught:
            overlay_environment({}, {"MEALSHARE_STOVE__KEY_FILE": value})
        assert value not in str(caught.value)
        assert caught.value.__suppress_context__


def test_two_values_for_one_setting_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="MEALSHARE_STOVE__KEY and MEALSHARE_STOVE__KEY_FILE are both given"):
        overlay_environment({}, {"MEALSHARE_STOVE__KEY": "x", "MEALSHARE_STOVE__KEY_FILE": str(tmp_path)})


# At the boot.


def boot(given: dict[str, Any]) -> Configurator:
    config = Configurator(settings=given)
    config.include("mealshare.core.settings")
    config.declare_settings(StoveSettings, prefix="stove")
    config.commit()
    return config


def test_default_below_ini_below_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEALSHARE_STOVE__PLATES", "3")
    monkeypatch.setenv("MEALSHARE_STOVE__GAS", "true")
    stove = settings_of(boot(GIVEN | {"stove.plates": "2", "stove.colour": "black"}).registry, StoveSettings)
    assert (stove.plates, stove.gas, stove.colour, stove.heat) == (3, True, "black", 0.5)


@pytest.mark.parametrize("name", ["stove.plate", "stov.plates", "oven.heat", "stove", "plates", "Stove.plates"])
def test_an_unknown_setting_stops_the_boot(name: str) -> None:
    with pytest.raises(ConfigurationExecutionError, match=f"unknown setting: {name}"):
        boot(GIVEN | {name: "1"})


def test_an_unknown_one_of_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEALSHARE_STOVE__PLATE", "3")
    with pytest.raises(ConfigurationExecutionError, match=r"unknown setting: stove\.plate\b"):
        boot(GIVEN)


def test_the_frameworks_own_are_known() -> None:
    boot(GIVEN | {"pyramid.reload_templates": "true", "retry.attempts": "2", "here": "/x", "__file__": "/x/y.ini"})


def test_the_directive_gives_what_it_parsed_and_lists_it() -> None:
    config = boot(GIVEN)
    assert len(config.registry["settings_declared"]) == len(dataclasses.fields(StoveSettings))


def test_pyramids_method_of_the_obvious_name_would_win() -> None:
    """Why the directive is not called add_settings: a directive never replaces a method of the configurator."""
    config = Configurator(settings={})
    config.add_directive("add_settings", lambda config, cls, prefix: None, action_wrap=False)
    with pytest.raises(TypeError):
        config.add_settings(StoveSettings, prefix="stove")


# In the real application.


@pytest.fixture
def declared(tmp_path: Path) -> dict[str, Any]:
    from mealshare import configure

    config = configure(site_settings(tmp_path, f"sqlite:///{tmp_path}/x.sqlite", "http://localhost"))
    config.registry["engine"].dispose()
    return {item.name: item for item in config.registry["settings_declared"]}


def test_each_setting_of_the_application_is_declared_once_and_explained(declared: dict[str, Any]) -> None:
    assert len(declared) > 40
    for item in declared.values():
        assert item.help.strip().endswith("."), item.name
        assert item.name == item.name.lower()


def test_what_must_not_be_told_is_declared_as_a_secret(declared: dict[str, Any]) -> None:
    named = {name for name in declared if any(word in name for word in ("secret", "password", "private_key"))}
    secrets = {name for name, item in declared.items() if item.kind == "secret"}
    assert named - NAMED_FILE - {"jwt.previous_secrets"} <= secrets
    # It may hold the database's password.
    assert "db.url" in secrets


def test_settings_that_name_a_file_are_not_taken_for_files_that_hold_a_setting(declared: dict[str, Any]) -> None:
    assert {name for name in declared if name.endswith("_file")} == NAMED_FILE


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("site.base_url", "meals.example"), ("site.base_url", "ftp://meals.example"),
        ("site.base_url", "https://meals.example/path"), ("site.secret", "short"), ("site.language", "fr"),
        ("site.registration", "maybe"), ("db.url", "nonsense"), ("db.pool_size", "0"), ("log.format", "xml"),
    ],
)  # fmt: skip
def test_a_wrong_setting_stops_the_real_boot_with_its_name(tmp_path: Path, name: str, value: str) -> None:
    from mealshare import main

    settings = site_settings(tmp_path, f"sqlite:///{tmp_path}/x.sqlite", "http://localhost")
    with pytest.raises(SettingsError, match=rf"\b{name}\b"):
        main({}, **(settings | {name: value}))


def test_the_application_says_plainly_what_is_wrong_with_its_settings(tmp_path: Path) -> None:
    given = site_settings(tmp_path, f"sqlite:///{tmp_path}/site.sqlite", "http://localhost") | {
        "db.check_revision": "false"
    }
    with pytest.raises(SettingsError, match=r"^unknown setting: stove\.heat$"):
        main({}, **given, **{"stove.heat": "9"})
    with pytest.raises(SchemaError, match="mealshare db upgrade"):
        main({}, **given | {"db.check_revision": "true"})
