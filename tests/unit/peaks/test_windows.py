"""Quiet windows of the days to come: by the curve, by the settings' hours, and what freezes leave of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.peaks import Calendar, Curve, Freeze, Outlook, Source, Window, learn_curve, quiet_windows, threshold_at
from include.peaks.curve import expected_level
from include.peaks.values import SLOTS_PER_DAY
from include.peaks.windows import OUTLOOK_DAYS
from tests.support.one_market import NEW_YORK, NOW, RULES, Level, counted, evening

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
SLOT = timedelta(minutes=15)
HERE = ZoneInfo("America/New_York")


@cache
def curve_of(level: Level = evening, zone: str = "America/New_York", now: datetime = NOW) -> Curve:
    curve = learn_curve(counted(level, zone=zone, now=now), Calendar(zone), now)
    assert curve is not None
    return curve


def outlook(rules=RULES, calendar=NEW_YORK, level: Level = evening, since: datetime = NOW, **more) -> Outlook:
    return quiet_windows(curve_of(level), calendar, rules, since, **more)


def local(moment: datetime, zone: ZoneInfo = HERE) -> str:
    return f"{moment.astimezone(zone):%a %H:%M}"


def test_a_window_is_from_the_evenings_end_to_the_next_ones_beginning():
    found = outlook()
    assert (found.source, found.why) == (Source.LEARNED, "learned from 28 days of requests")
    assert len(found.windows) == OUTLOOK_DAYS + 1
    first = found.windows[0]
    # 60 % of the peak is 4 h 10 min away from it
    assert abs(first.start - datetime(2026, 11, 18, 0, 8, tzinfo=HERE)) < timedelta(minutes=10)
    assert abs(first.end - datetime(2026, 11, 18, 15, 52, tzinfo=HERE)) < timedelta(minutes=10)


def test_a_window_under_way_has_its_true_start_and_one_that_has_ended_is_gone():
    assert outlook().windows[0].start < NOW < outlook().windows[0].end
    evening_now = NOW + 12 * HOUR
    assert all(window.end > evening_now for window in outlook(since=evening_now).windows)


@pytest.mark.parametrize("days", [0.1, 0.7, 1, 2.3, 8])
def test_the_last_window_has_its_true_end(days):
    long, short = outlook(days=12), outlook(days=days)
    assert short.windows == tuple(one for one in long.windows if one.start < NOW + days * DAY)


def test_the_edge_follows_the_traffic_to_the_minute():
    """Half an hour later peaks: half an hour later windows, not a quarter of an hour more or less."""
    for minutes in (1, 5, 7, 22):

        def later(at: datetime, minutes: int = minutes) -> float:
            return evening(at, 20 + minutes / 60)

        pairs = zip(outlook().windows, outlook(level=later).windows, strict=True)
        for one, other in pairs:
            assert abs(other.start - one.start - timedelta(minutes=minutes)) < timedelta(seconds=90)
            assert abs(other.end - one.end - timedelta(minutes=minutes)) < timedelta(seconds=90)


@pytest.mark.parametrize("hour", [0, 3, 11, 16, 23.9])
def test_the_peak_may_be_at_any_hour_even_at_midnight(hour):
    def shifted(at: datetime) -> float:
        return evening(at, hour)

    lengths = [window.length for window in outlook(level=shifted).windows[1:]]
    assert len(lengths) >= 7
    assert max(lengths) - min(lengths) < timedelta(minutes=2)


@pytest.mark.parametrize("width", [1.2, 2, 3.5])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
def test_the_busiest_third_of_a_day_is_never_in_a_window_whatever_the_share(share, width):
    def narrow(at: datetime) -> float:
        return evening(at, 20, width)

    day = datetime(2026, 11, 20, tzinfo=HERE)
    slots = [day + slot * SLOT for slot in range(SLOTS_PER_DAY)]
    levels = np.asarray([narrow(slot + SLOT / 2) for slot in slots])
    busiest = (levels > levels.max() * 2 / 3) | (levels >= np.sort(levels)[-32])
    windows = outlook(replace(RULES, below_share=share), level=narrow).windows
    inside = [any(one.start < slot + SLOT and one.end > slot for one in windows) for slot in slots]
    assert not np.any(busiest & np.asarray(inside))
    assert any(inside)


def test_a_window_over_midnight_holds_to_the_quieter_of_both_days():
    """Sunday has a fifth of Monday's traffic: its evening is not quiet because Monday's noon is busier."""

    def business(at: datetime) -> float:
        return evening(at, 17.0) * (0.2 if at.weekday() >= 5 else 1)

    sunday = datetime(2026, 11, 22, 17, tzinfo=HERE)
    windows = outlook(level=business).windows
    assert not any(one.start < sunday + 3 * HOUR and one.end > sunday - 3 * HOUR for one in windows)


def test_two_peaks_leave_a_window_between_them():
    def twice(at: datetime) -> float:
        return evening(at, 20, 1.8) + evening(at, 8, 1.8) - 20

    ends = [(local(window.start)[4:6], local(window.end)[4:6]) for window in outlook(level=twice).windows[1:3]]
    assert sorted(ends) == [("10", "17"), ("22", "05")]


def test_a_shorter_push_finds_windows_in_stretches_that_a_longer_one_does_not():
    def twice(at: datetime) -> float:
        return evening(at, 21, 2.5) + evening(at, 12, 2.5) - 20

    day_long = outlook(level=twice)
    overnight = outlook(replace(RULES, least_seconds=5 * 3600), level=twice)
    assert len(day_long.windows) > len(overnight.windows) > 0
    assert set(overnight.windows) | set(overnight.too_short) == set(day_long.windows)
    assert all(window.length < 5 * HOUR for window in overnight.too_short)


def test_a_coming_holiday_is_quiet_only_where_both_its_weekdays_are():
    """Thanksgiving like a Sunday, and Sundays begin to be busy at noon."""

    def sundays(at: datetime) -> float:
        return max(evening(at), evening(at, 14)) if at.weekday() == 6 else evening(at)

    thanksgiving = replace(NEW_YORK, holidays={date(2026, 11, 26): 6})
    usual = next(one for one in outlook(level=sundays).windows if local(one.end).startswith("Thu"))
    window = next(one for one in outlook(level=sundays, calendar=thanksgiving, days=9).windows if one.end > usual.start)
    assert local(window.start)[:3] in {"Wed", "Thu"}
    friday = next(
        one for one in outlook(level=sundays, calendar=thanksgiving, days=9).windows if local(one.end)[:3] == "Fri"
    )
    assert friday.end - friday.start > 10 * HOUR
    ends = [one.end for one in outlook(level=sundays, calendar=thanksgiving, days=9).windows if one.end.day == 26]
    assert ends
    assert max(ends).astimezone(HERE).hour < 12


def test_a_window_keeps_its_local_hours_when_the_clock_changes():
    """On 8 March 2027 New York has summer time: the same hours there, an hour earlier in UTC."""
    since = datetime(2027, 3, 12, 12, tzinfo=UTC)
    curve = learn_curve(counted(now=since), NEW_YORK, since)
    found = quiet_windows(curve, NEW_YORK, RULES, since, days=4).windows
    starts = {one.start.astimezone(HERE).replace(tzinfo=None, day=1) for one in found}
    assert max(starts) - min(starts) < timedelta(minutes=2)
    assert {one.start.astimezone(HERE).utcoffset() for one in found} == {-5 * HOUR, -4 * HOUR}
    night = next(one for one in found if one.start.date() == date(2027, 3, 14))
    assert found[0].length - night.length == pytest.approx(HOUR, abs=timedelta(minutes=2))


def test_what_is_learned_never_touches_a_freeze_and_one_in_the_middle_makes_two_windows():
    whole = outlook().windows[2]
    freeze = Freeze(whole.start + 3 * HOUR, whole.start + 5 * HOUR, "the final")
    found = outlook(calendar=replace(NEW_YORK, freezes=(freeze,)))
    assert Window(whole.start, freeze.start) in found.windows
    assert Window(freeze.end, whole.end) in found.windows


def test_what_a_freeze_leaves_must_still_be_long_enough():
    whole = outlook().windows[2]
    freeze = Freeze(whole.start + 0.5 * HOUR, whole.end + DAY, "the final")
    found = outlook(calendar=replace(NEW_YORK, freezes=(freeze,)))
    assert not any(one.start == whole.start for one in found.windows)
    assert Window(whole.start, freeze.start) in found.too_short


def test_a_freeze_of_all_the_days_to_come_is_said():
    freeze = Freeze(NOW - DAY, NOW + 20 * DAY, "the games")
    found = outlook(calendar=replace(NEW_YORK, freezes=(freeze,)))
    assert (found.source, found.windows) == (Source.LEARNED, ())
    assert found.why == "learned from 28 days of requests; freezes leave no window within 8 days"


@pytest.mark.parametrize(
    ("days", "why"),
    [
        (3.5, "only 3.5 days of requests are known, 7 are needed: the settings' hours 01:00-07:00 (America/New_York)"),
        (0, "no requests are known, 7 days of them are needed: the settings' hours 01:00-07:00 (America/New_York)"),
    ],
)
def test_with_too_little_data_the_settings_hours_stand_in_and_say_so(days, why):
    curve = learn_curve(counted(days=days), NEW_YORK, NOW)
    found = quiet_windows(curve, NEW_YORK, RULES, NOW)
    assert (found.source, found.why, found.curve) == (Source.CONFIGURED, why, curve)
    assert [(local(one.start), local(one.end)) for one in found.windows[:2]] == [
        ("Thu 01:00", "Thu 07:00"),
        ("Fri 01:00", "Fri 07:00"),
    ]


def test_freezes_cut_the_settings_hours_as_well():
    freeze = Freeze(datetime(2026, 11, 19, 3, tzinfo=HERE), datetime(2026, 11, 19, 4, tzinfo=HERE), "the final")
    found = quiet_windows(None, replace(NEW_YORK, freezes=(freeze,)), RULES, NOW)
    assert [local(one.start) for one in found.windows[:2]] == ["Thu 01:00", "Thu 04:00"]


def test_a_flat_market_has_the_settings_hours():
    found = outlook(level=lambda at: 80 + 0.2 * evening(at))
    assert found.source is Source.CONFIGURED
    assert found.why == (
        "no moment of the coming days is below 60 % of the day's peak and outside its busiest 8 hours: "
        "the settings' hours 01:00-07:00 (America/New_York)"
    )


def test_a_push_longer_than_any_quiet_stretch_gets_the_settings_hours_that_are_long_enough():
    rules = replace(RULES, least_seconds=17 * 3600, quiet_hours=((time(20), time(16)),))
    found = outlook(rules)
    assert found.source is Source.CONFIGURED
    assert found.why.startswith("a push takes 17 h and no quiet window is longer than 15 h")
    assert {one.length for one in found.windows} == {20 * HOUR}


def test_a_push_longer_than_anything_gets_the_longest_there_is():
    found = outlook(replace(RULES, least_seconds=17 * 3600))
    assert (found.source, len(found.windows)) == (Source.LEARNED, 9)
    assert found.why.endswith("nor are the settings' hours: the longest")
    few = quiet_windows(None, NEW_YORK, replace(RULES, least_seconds=7 * 3600), NOW)
    assert few.why.endswith("01:00-07:00 (America/New_York), in which no push can be over")
    assert {one.length for one in few.windows} == {6 * HOUR}


def test_hours_over_midnight_are_of_both_days_and_touching_ones_are_one():
    rules = replace(RULES, quiet_hours=((time(23), time(2)), (time(2), time(6, 30))))
    found = quiet_windows(None, NEW_YORK, rules, NOW)
    assert (local(found.windows[0].start), local(found.windows[0].end)) == ("Wed 23:00", "Thu 06:30")


def test_hours_that_the_clock_skips_or_doubles():
    """1 to 3 o'clock: an hour when summer time begins (2 to 3 is not there), three when it ends."""
    rules = replace(RULES, quiet_hours=((time(1), time(3)),))
    spring = quiet_windows(None, NEW_YORK, rules, datetime(2027, 3, 13, 12, tzinfo=UTC), days=1).windows
    autumn = quiet_windows(None, NEW_YORK, rules, datetime(2026, 10, 31, 12, tzinfo=UTC), days=1).windows
    assert [one.length for one in spring] == [HOUR]
    assert [one.length for one in autumn] == [2 * HOUR]  # from the second 1 o'clock: inside by any reading
    gone = replace(RULES, quiet_hours=((time(2), time(3)),))
    assert quiet_windows(None, NEW_YORK, gone, datetime(2027, 3, 13, 12, tzinfo=UTC), days=1).windows == ()


def test_hours_all_day_have_no_end_within_sight():
    rules = replace(RULES, quiet_hours=((time(0), time(0)),))
    (window,) = quiet_windows(None, NEW_YORK, rules, NOW).windows
    assert window.start < NOW
    assert window.end > NOW + OUTLOOK_DAYS * DAY


def test_no_hours_and_nothing_learned_is_no_window():
    assert quiet_windows(None, NEW_YORK, replace(RULES, quiet_hours=()), NOW).windows == ()


def test_the_threshold_is_where_the_level_is_at_a_windows_edge():
    for window in outlook().windows[1:4]:
        for edge in (window.start, window.end):
            level = expected_level(curve_of(), NEW_YORK, edge)
            assert level == pytest.approx(threshold_at(curve_of(), NEW_YORK, RULES, edge), rel=0.06)
    assert threshold_at(curve_of(), NEW_YORK, RULES, NOW) == pytest.approx(60, rel=0.02)


moments = st.integers(-60, 14 * 24 * 60).map(lambda minutes: NOW + timedelta(minutes=minutes))
freezes = st.lists(
    st.builds(lambda start, hours: Freeze(start, start + timedelta(hours=hours), "so"), moments, st.floats(0.01, 90)),
    max_size=6,
)
hours = st.lists(st.tuples(st.times(), st.times()), min_size=1, max_size=4).map(tuple)


@settings(deadline=None, max_examples=80)
@given(
    share=st.floats(0.05, 0.99),
    least=st.floats(60, 40 * 3600),
    freezes=freezes,
    hours=hours,
    since=moments,
    peaks=st.sampled_from([3.0, 11.5, 20.0, 23.9]),
    learned=st.booleans(),
)
def test_windows_are_in_order_apart_and_never_in_a_freeze(share, least, freezes, hours, since, peaks, learned):
    calendar = replace(NEW_YORK, freezes=tuple(freezes))
    rules = replace(RULES, below_share=share, least_seconds=least, quiet_hours=hours)
    found = quiet_windows(_CURVES[peaks]() if learned else None, calendar, rules, since, days=8)
    for window in (*found.windows, *found.too_short):
        assert window.start < window.end
        assert window.end > since
        assert window.start < since + 8 * DAY
        assert not any(freeze.start < window.end and freeze.end > window.start for freeze in freezes)
    assert all(one.end < other.start or _freeze_between(one, other, freezes)
               for one, other in zip(found.windows, found.windows[1:], strict=False))  # fmt: skip
    longest = max((one.length for one in found.windows), default=timedelta())
    if longest >= timedelta(seconds=least):
        assert all(one.length >= timedelta(seconds=least) for one in found.windows)
    assert found.why


def _freeze_between(one: Window, other: Window, freezes: list[Freeze]) -> bool:
    return any(one.end <= freeze.start and freeze.end <= other.start for freeze in freezes)


def _at(hour: float):
    def level(at: datetime) -> float:
        return evening(at, hour)

    return lambda: curve_of(level)


_CURVES = {hour: _at(hour) for hour in (3.0, 11.5, 20.0, 23.9)}
