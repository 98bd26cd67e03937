"""Dates and times: between UTC, in which everything is stored, and the wall clocks and words of people.

Every instant taken and given here is an aware datetime; a naive one is a ValueError, because nobody knows what it
means.  Zones are IANA names, checked against the list of the ``tzdata`` package, so that the same names are valid on
every host, whatever its own zone files hold.
"""

from __future__ import annotations

import importlib.resources
import re
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import (
    format_date,
    format_skeleton,
    format_time,
    format_timedelta,
    get_timezone_location,
    get_timezone_name,
)

from mealshare.core.i18n import _, translate

#: In the list of tzdata, but no place and no offset that anyone lives by.
_NO_PLACES = frozenset({"Factory", "localtime", "posixrules"})
#: HTML, "valid local date and time string": what <input type="datetime-local"> sends; seconds are optional.
_LOCAL = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?", re.ASCII)

_REGIONS = {
    "Africa": _("Africa"),
    "America": _("The Americas"),
    "Antarctica": _("Antarctica"),
    "Arctic": _("Arctic"),
    "Asia": _("Asia"),
    "Atlantic": _("Atlantic Ocean"),
    "Australia": _("Australia"),
    "Europe": _("Europe"),
    "Indian": _("Indian Ocean"),
    "Pacific": _("Pacific Ocean"),
}
_OTHER = _("Other time zones")

_JUST_NOW = _("just now")
_EXACT = _("${date}, ${time} (${zone})")


class ZoneGroup(NamedTuple):
    """An <optgroup> of time zones: ``zones`` holds (IANA name, label), sorted by the label."""

    label: str
    zones: tuple[tuple[str, str], ...]


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    listed = importlib.resources.files("tzdata").joinpath("zones").read_text(encoding="ascii")
    return frozenset(listed.split()) - _NO_PLACES


def valid_zone(name: object) -> bool:
    """Whether ``name`` is an IANA time zone name, letter for letter; paths and host-specific names are not."""
    return isinstance(name, str) and name in _zone_names()


def zone_info(name: str) -> ZoneInfo:
    """The zone called ``name``; raises ValueError("time_zone") for anything that is not a zone."""
    if not valid_zone(name):
        raise ValueError("time_zone")
    return ZoneInfo(name)


def to_local(instant: datetime, zone: str) -> datetime:
    """The same instant on the wall clock of ``zone``."""
    _check_aware(instant)
    return instant.astimezone(zone_info(zone))


def parse_local(text: str, zone: str) -> datetime:
    """What a person in ``zone`` typed as local date and time ("2026-11-21T19:30"), as an instant in UTC.

    RFC 5545, 3.3.5: a time that happens twice (the clock goes back) is the first of the two; one that never happens
    (the clock goes forward) is read with the offset from before the jump, so 02:30 becomes 03:30.
    Raises ValueError: "local_time" for what is not a date and time of the calendar, "time_zone" for an unknown zone.
    """
    info = zone_info(zone)
    if _LOCAL.fullmatch(text) is None:
        raise ValueError("local_time")
    try:
        return datetime.fromisoformat(text).replace(tzinfo=info, fold=0).astimezone(UTC)
    except (ValueError, OverflowError):  # 30 February; or year 1 and 9999, where UTC leaves the calendar.
        raise ValueError("local_time") from None


def eaten_on(instant: datetime, zone: str) -> date:
    """The date on the wall calendar of ``zone`` at ``instant``: the day of the diary."""
    return to_local(instant, zone).date()


def rfc3339(instant: datetime, zone: str | None = None) -> str:
    """RFC 3339, whole seconds, with the offset of ``zone``; without a zone in UTC, ending in ``Z``."""
    if zone is None:
        _check_aware(instant)
        return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
    local = to_local(instant, zone)
    offset = local.utcoffset() or timedelta()
    if offset.total_seconds() % 60:
        # Before standard time offsets had seconds, which RFC 3339 cannot write: the same instant at the nearest minute.
        local = local.astimezone(timezone(timedelta(minutes=round(offset.total_seconds() / 60))))
    return local.isoformat(timespec="seconds")


def relative_time(then: datetime, now: datetime, locale: str, zone: str = "UTC") -> str:
    """How long ago ``then`` was, in words; after seven days the date in ``zone`` (with the year unless it is this one).

    Whole units, rounded down: "just now" below a minute, then minutes, hours and days.  It is "1 day ago" and never
    "yesterday", which would need the reader's midnight, unknown to a page that everybody shares.  Up to a minute in the
    future is "just now" as well, for clocks differ; beyond that the date is given.
    """
    _check_aware(then)
    seconds = (now - then).total_seconds()
    if -60 < seconds < 60:
        return _just_now(locale)
    if 0 < seconds < 3600:
        return _ago("minute", int(seconds // 60), locale)
    if 0 < seconds < 86400:
        return _ago("hour", int(seconds // 3600), locale)
    if 0 < seconds < 7 * 86400:
        return _ago("day", int(seconds // 86400), locale)
    local = to_local(then, zone)
    return _short_date(local.date(), locale, local.year != to_local(now, zone).year)


def exact_time(instant: datetime, zone: str, locale: str) -> str:
    """The full date, the time to the minute and the name of the zone, as it reads on the wall clock of ``zone``."""
    _check_aware(instant)
    return _exact_time(instant.astimezone(UTC).replace(second=0, microsecond=0), zone, locale)


@lru_cache(maxsize=16)
def _just_now(locale: str) -> str:
    return translate(_JUST_NOW, locale)


@lru_cache(maxsize=512)
def _ago(unit: Literal["minute", "hour", "day"], n: int, locale: str) -> str:
    # With this threshold Babel keeps to the unit that was chosen here instead of rounding up to the next one.
    span = -timedelta(**{f"{unit}s": n})
    return format_timedelta(span, granularity=unit, threshold=1, add_direction=True, locale=locale)


@lru_cache(maxsize=2048)
def _short_date(day: date, locale: str, with_year: bool) -> str:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return format_skeleton("yMMMd" if with_year else "MMMd", midnight, tzinfo=UTC, locale=locale)


@lru_cache(maxsize=4096)
def _exact_time(instant: datetime, zone: str, locale: str) -> str:
    local = to_local(instant, zone)
    parts = {
        "date": format_date(local.date(), "full", locale=locale),
        "time": format_time(local, "short", tzinfo=local.tzinfo, locale=locale),
        "zone": get_timezone_name(local, locale=locale),
    }
    return translate(_EXACT, locale, parts)


def zone_choices(locale: str, current: str | None = None) -> list[ZoneGroup]:
    """The zones to choose from, by part of the world, labelled with city and country in the language of ``locale``.

    They are those of IANA's ``zone.tab``, and UTC.  ``current``, a zone somebody already has, is added where it is
    valid but not among them (an old name such as Asia/Calcutta), so that a form can show it as selected.
    """
    groups = _zone_choices(locale)
    if (
        current is None
        or not valid_zone(current)
        or any(current == name for group in groups for name, _label in group.zones)
    ):
        return list(groups)
    other = groups[-1]
    return [*groups[:-1], ZoneGroup(other.label, (*other.zones, (current, current.replace("_", " "))))]


@lru_cache(maxsize=8)
def _zone_choices(locale: str) -> tuple[ZoneGroup, ...]:
    countries = Locale.parse(locale).territories
    by_region: dict[str, list[tuple[str, str]]] = {region: [] for region in _REGIONS}
    table = importlib.resources.files("tzdata").joinpath("zoneinfo", "zone.tab").read_text(encoding="utf-8")
    for line in table.splitlines():
        if line.startswith("#"):
            continue
        code, _coordinates, name = line.split("\t")[:3]
        city = get_timezone_location(name, locale=locale, return_city=True)
        country = countries.get(code, code)
        by_region[name.partition("/")[0]].append((name, city if city == country else f"{city} – {country}"))
    groups = [
        ZoneGroup(translate(_REGIONS[region], locale), tuple(sorted(zones, key=lambda zone: zone[1])))
        for region, zones in by_region.items()
    ]
    return (*groups, ZoneGroup(translate(_OTHER, locale), (("UTC", "UTC"),)))


def _check_aware(instant: datetime) -> None:
    if instant.utcoffset() is None:
        raise ValueError("naive datetime")
