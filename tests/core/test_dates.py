"""Times: in words, on wall clocks, and on the wire."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from mealshare.core.dates import (
    eaten_on,
    exact_time,
    parse_local,
    relative_time,
    rfc3339,
    to_local,
    valid_zone,
    zone_choices,
)

NOW = datetime(2026, 11, 21, 18, 30, tzinfo=UTC)


# --- In words ---


@pytest.mark.parametrize(
    ("ago", "english", "chinese"),
    [
        (timedelta(0), "just now", "刚刚"),
        (timedelta(seconds=59), "just now", "刚刚"),
        (timedelta(seconds=-59), "just now", "刚刚"),
        (timedelta(seconds=60), "1 minute ago", "1分钟前"),
        (timedelta(seconds=119), "1 minute ago", "1分钟前"),
        (timedelta(minutes=45), "45 minutes ago", "45分钟前"),
        (timedelta(seconds=3599), "59 minutes ago", "59分钟前"),
        (timedelta(hours=1), "1 hour ago", "1小时前"),
        (timedelta(hours=23, minutes=59), "23 hours ago", "23小时前"),
        (timedelta(days=1), "1 day ago", "1天前"),
        (timedelta(days=6, hours=23), "6 days ago", "6天前"),
        (timedelta(days=7), "Nov 14", "11月14日"),
        (timedelta(days=400), "Oct 17, 2025", "2025年10月17日"),
        (timedelta(days=-1), "Nov 22", "11月22日"),
        (timedelta(days=-60), "Jan 20, 2027", "2027年1月20日"),
    ],
)
def test_relative_time(ago: timedelta, english: str, chinese: str) -> None:
    assert relative_time(NOW - ago, NOW, "en") == english
    assert relative_time(NOW - ago, NOW, "zh_CN") == chinese


def test_an_old_relative_time_is_the_date_of_the_zone() -> None:
    then = datetime(2026, 1, 1, 2, 0, tzinfo=UTC)
    assert relative_time(then, NOW, "en") == "Jan 1"
    assert relative_time(then, NOW, "en", "America/New_York") == "Dec 31, 2025"
    assert relative_time(then, datetime(2026, 1, 10, tzinfo=UTC), "en", "Asia/Shanghai") == "Jan 1"


def test_dates_of_long_ago() -> None:
    then = datetime(2025, 11, 21, 20, tzinfo=UTC)
    assert relative_time(then, NOW, "zh_CN") == "2025年11月21日"
    assert relative_time(then, NOW, "en", "Asia/Shanghai") == "Nov 22, 2025"
    assert relative_time(datetime(1, 1, 1, tzinfo=UTC), NOW, "en") == "Jan 1, 1"


def test_exact_time_names_date_time_and_zone() -> None:
    assert exact_time(NOW, "Europe/Paris", "en") == (
        "Saturday, November 21, 2026, 7:30\u202fPM (Central European Standard Time)"
    )
    assert exact_time(NOW, "Asia/Shanghai", "zh_CN") == "2026年11月22日星期日 02:30（中国标准时间）"
    summer = datetime(2026, 7, 1, 12, 0, 59, tzinfo=UTC)
    assert exact_time(summer, "Europe/Paris", "zh_CN") == "2026年7月1日星期三 14:00（中欧夏令时间）"
    # The zone of the datetime itself does not matter, only the instant.
    assert exact_time(NOW.astimezone(timezone(timedelta(hours=9))), "UTC", "en").endswith(
        "6:30\u202fPM (Coordinated Universal Time)"
    )


# --- Wall clocks ---


@pytest.mark.parametrize(
    ("text", "zone", "utc"),
    [
        ("2026-11-21T19:30", "Europe/Paris", "2026-11-21T18:30:00"),
        ("2026-11-21 19:30", "Europe/Paris", "2026-11-21T18:30:00"),
        ("2026-11-21T19:30:15", "Asia/Kathmandu", "2026-11-21T13:45:15"),
        ("2026-11-21T19:30:15.5", "UTC", "2026-11-21T19:30:15.500000"),
        ("2026-01-01T00:10", "Asia/Tokyo", "2025-12-31T15:10:00"),
        # 29 March 2026, Berlin: 02:00 to 03:00 never happens, and is read with the winter offset.
        ("2026-03-29T01:59", "Europe/Berlin", "2026-03-29T00:59:00"),
        ("2026-03-29T02:00", "Europe/Berlin", "2026-03-29T01:00:00"),
        ("2026-03-29T02:30", "Europe/Berlin", "2026-03-29T01:30:00"),
        ("2026-03-29T03:00", "Europe/Berlin", "2026-03-29T01:00:00"),
        # 25 October 2026, Berlin: 02:00 to 03:00 happens twice, and is the first of the two.
        ("2026-10-25T02:30", "Europe/Berlin", "2026-10-25T00:30:00"),
        ("2026-10-25T03:00", "Europe/Berlin", "2026-10-25T02:00:00"),
        # Samoa had no 30 December 2011 at all.
        ("2011-12-30T12:00", "Pacific/Apia", "2011-12-30T22:00:00"),
    ],
)
def test_parse_local(text: str, zone: str, utc: str) -> None:
    instant = parse_local(text, zone)
    assert instant == datetime.fromisoformat(utc).replace(tzinfo=UTC)
    assert instant.tzinfo is UTC


def test_a_skipped_time_moves_forward_by_the_gap() -> None:
    assert to_local(parse_local("2026-03-29T02:30", "Europe/Berlin"), "Europe/Berlin").strftime("%H:%M") == "03:30"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-21",
        "19:30",
        "2026-11-21T19",
        "2026-11-21T24:00",
        "2026-11-21T19:60",
        "2026-02-30T12:00",
        "2026-13-01T12:00",
        "2026-11-21T19:30Z",
        "2026-11-21T19:30+01:00",
        " 2026-11-21T19:30",
        "2026-11-21T19:30\n",
        "２０２６-11-21T19:30",
        "0000-01-01T00:00",
        "0001-01-01T00:00",
        "12026-11-21T19:30",
        "2026-W47-6T19:30",
    ],
)
def test_what_is_no_local_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"^local_time$"):
        parse_local(text, "Asia/Shanghai")


def test_the_last_minute_of_the_calendar_has_no_utc_in_the_west() -> None:
    with pytest.raises(ValueError, match=r"^local_time$"):
        parse_local("9999-12-31T23:59", "America/New_York")


def test_eaten_on_is_the_local_date() -> None:
    late = datetime(2026, 11, 21, 23, 30, tzinfo=UTC)
    assert eaten_on(late, "UTC") == date(2026, 11, 21)
    assert eaten_on(late, "Asia/Shanghai") == date(2026, 11, 22)
    assert eaten_on(datetime(2026, 11, 21, 1, 0, tzinfo=UTC), "America/Los_Angeles") == date(2026, 11, 20)


@pytest.mark.parametrize(
    ("instant", "zone", "text"),
    [
        (NOW, None, "2026-11-21T18:30:00Z"),
        (NOW, "UTC", "2026-11-21T18:30:00+00:00"),
        (NOW, "Asia/Shanghai", "2026-11-22T02:30:00+08:00"),
        (NOW, "America/St_Johns", "2026-11-21T15:00:00-03:30"),
        (NOW.replace(microsecond=999_999), None, "2026-11-21T18:30:00Z"),
        (NOW.astimezone(timezone(timedelta(hours=5))), None, "2026-11-21T18:30:00Z"),
        # Local mean time of Paris was 9 minutes and 21 seconds ahead.
        (datetime(1850, 1, 1, tzinfo=UTC), "Europe/Paris", "1850-01-01T00:09:00+00:09"),
    ],
)
def test_rfc3339(instant: datetime, zone: str | None, text: str) -> None:
    assert rfc3339(instant, zone) == text


def test_rfc3339_names_the_same_instant() -> None:
    for zone in ("Europe/Paris", "Asia/Kathmandu", "Pacific/Chatham", "America/Caracas"):
        for year in (1850, 1950, 2026):
            instant = datetime(year, 7, 1, 12, 34, 56, tzinfo=UTC)
            assert datetime.fromisoformat(rfc3339(instant, zone)) == instant


def test_naive_datetimes_are_refused() -> None:
    naive = datetime(2026, 11, 21)
    for call in (
        lambda: rfc3339(naive),
        lambda: rfc3339(naive, "UTC"),
        lambda: eaten_on(naive, "UTC"),
        lambda: exact_time(naive, "UTC", "en"),
        lambda: relative_time(naive, NOW, "en"),
    ):
        with pytest.raises(ValueError, match="naive"):
            call()


# --- Zones ---


@pytest.mark.parametrize(
    "name",
    ["UTC", "Europe/Paris", "Asia/Shanghai", "Asia/Calcutta", "America/Argentina/Ushuaia", "Etc/GMT+5", "Europe/Kyiv"],
)
def test_zone_names(name: str) -> None:
    assert valid_zone(name)
    assert to_local(NOW, name) == NOW


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../../etc/passwd",
        "/etc/localtime",
        "Europe/../Europe/Paris",
        "Europe",
        "Europe/",
        "europe/paris",
        "Europe/Paris\x00",
        "Europe/Paris ",
        "Factory",
        "localtime",
        "posixrules",
        "posix/Europe/Paris",
        "right/Europe/Paris",
        "tzdata.zi",
        "zone.tab",
        "Mars/Olympus",
        "+08:00",
        "x" * 10_000,
        None,
        8,
        ["UTC"],
    ],
)
def test_what_is_no_zone(name: object) -> None:
    assert not valid_zone(name)
    with pytest.raises(ValueError, match=r"^time_zone$"):
        to_local(NOW, name)
    with pytest.raises(ValueError, match=r"^time_zone$"):
        parse_local("2026-11-21T19:30", name)


def test_zone_choices_are_grouped_labelled_and_sorted() -> None:
    groups = zone_choices("en")
    assert [group.label for group in groups][:3] == ["Africa", "The Americas", "Antarctica"]
    europe = next(group for group in groups if group.label == "Europe")
    assert ("Europe/Paris", "Paris – France") in europe.zones
    assert [label for _name, label in europe.zones] == sorted(label for _name, label in europe.zones)
    assert groups[-1].zones == (("UTC", "UTC"),)
    names = [name for group in groups for name, _label in group.zones]
    assert len(names) == len(set(names)) > 400
    assert all(map(valid_zone, names))


def test_zone_choices_speak_the_language() -> None:
    groups = zone_choices("zh_CN")
    asia = next(group for group in groups if group.label == "亚洲")
    assert ("Asia/Shanghai", "上海 – 中国") in asia.zones


def test_zone_choices_keep_the_zone_that_somebody_has() -> None:
    assert zone_choices("en", "Asia/Calcutta")[-1].zones[-1] == ("Asia/Calcutta", "Asia/Calcutta")
    for current in ("Europe/Paris", "nonsense", "../x", None):
        assert zone_choices("en", current) == zone_choices("en")
