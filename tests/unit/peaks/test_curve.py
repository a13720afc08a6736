"""The curve of a market's week: what it is learned from, and what it is not misled by."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.peaks import Calendar, Counts, Curve, expected_level, expected_spread, learn_curve, quiet_windows
from include.peaks.values import SLOTS_PER_DAY, SLOTS_PER_WEEK
from tests.support.one_market import NEW_YORK, NOW, RULES, changed, counted, evening, without

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def learned(counts: Counts, calendar: Calendar = NEW_YORK, now: datetime = NOW) -> Curve:
    curve = learn_curve(counts, calendar, now)
    assert curve is not None
    return curve


def true_week(level=evening) -> np.ndarray:
    monday = datetime(2026, 11, 16, 0, 7, 30, tzinfo=UTC)
    return np.asarray([level(monday + timedelta(minutes=15 * slot)) for slot in range(SLOTS_PER_WEEK)])


def worst_share(curve: Curve, truth: np.ndarray) -> float:
    return float(np.max(np.abs(curve.level / truth - 1)))


def test_a_market_that_never_changes_is_learned_as_it_is():
    curve = learned(counted())
    assert worst_share(curve, true_week()) < 0.01
    assert (curve.days, curve.until, curve.time_zone) == (28.0, NOW, "America/New_York")
    assert curve.growth == pytest.approx(0, abs=1e-9)


def test_nothing_counted_is_no_curve():
    nothing = Counts(np.array([], dtype=np.int64), np.array([]))
    assert learn_curve(nothing, NEW_YORK, NOW) is None
    assert learn_curve(counted(days=2), NEW_YORK, NOW - 3 * DAY) is None


def test_the_period_under_way_and_the_future_are_not_looked_at():
    curve = learned(counted(now=NOW + DAY), now=NOW - timedelta(minutes=1))
    assert curve.days == pytest.approx(27 - 1 / 96)


def test_days_are_those_with_data():
    assert learned(without(counted(), NOW - 10 * DAY, 3.5 * DAY)).days == pytest.approx(24.5)


@pytest.mark.parametrize(("hours", "days"), [(24, 28), (10, 28), (6, 28), (3, 14), (0.25, 28 / 24)])
def test_a_market_counted_in_some_hours_of_its_day_has_whole_days_of_data(hours, days):
    """Holes at night are not days that are missing; a few minutes a day are no day."""
    whole = counted()
    kept = (whole.starts - whole.starts[0]) % 86_400 < hours * 3600
    assert learned(Counts(whole.starts[kept], whole.counts[kept])).days == pytest.approx(days)


def test_single_holes_take_nothing_from_a_day_and_whole_days_are_missed():
    whole = counted()
    kept = np.random.default_rng(3).random(whole.starts.size) >= 0.1
    some = Counts(whole.starts[kept], whole.counts[kept])
    assert 27 < learned(some).days <= 28
    assert 19 < learned(without(some, NOW - 10 * DAY, 8 * DAY)).days <= 20


def test_hours_are_those_of_the_market_on_both_sides_of_a_change_of_the_clock():
    """28 days back from 18 November, New York still had its summer time."""
    assert worst_share(learned(counted()), true_week()) < 0.01
    now = datetime(2026, 10, 20, tzinfo=UTC)
    curve = learned(counted(zone="Australia/Sydney", now=now), Calendar("Australia/Sydney"), now)
    assert int(np.argmax(curve.level[:SLOTS_PER_DAY])) in {79, 80}


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns"])
@pytest.mark.parametrize("period", [900, 3600])
def test_zones_that_are_not_whole_hours_away(zone, period):
    now = datetime(2026, 10, 20, tzinfo=UTC)
    curve = learned(counted(zone=zone, now=now, period=period), Calendar(zone), now)
    assert worst_share(curve, true_week()) < 0.04


def test_hourly_counts_give_quarters_of_an_hour():
    curve = learned(counted(period=3600))
    assert worst_share(curve, true_week()) < 0.02
    assert curve.days == 28.0


def test_short_periods_are_averaged():
    quarter = counted(days=14)
    starts = np.concatenate([quarter.starts + 300 * part for part in range(3)])
    order = np.argsort(starts)
    thirds = Counts(starts[order], np.tile(quarter.counts / 3, 3)[order], 300)
    assert worst_share(learned(thirds), true_week()) < 0.01


def test_one_week_with_ten_times_the_traffic_for_an_hour_changes_nothing():
    spiked = changed(counted(), NOW - 9 * DAY, HOUR, 10)
    assert worst_share(learned(spiked), true_week()) < 0.02


def test_spikes_in_two_of_four_weeks_at_the_same_hour_are_seen_through():
    spiked = changed(changed(counted(), NOW - 9 * DAY, HOUR, 10), NOW - 16 * DAY, HOUR, 10)
    assert worst_share(learned(spiked), true_week()) < 0.05


def test_a_day_of_outage_is_no_quiet_day():
    assert worst_share(learned(changed(counted(), NOW - 8 * DAY, DAY, 0.0)), true_week()) < 0.02


def test_an_outage_is_not_believed_where_only_one_other_week_contradicts_it():
    counts = without(without(counted(), NOW - 22 * DAY, DAY), NOW - 15 * DAY, DAY)
    assert worst_share(learned(changed(counts, NOW - 8 * DAY, DAY, 0.03)), true_week()) < 0.05


def test_a_weekend_with_a_tenth_of_the_traffic_is_no_outage():
    def business(at: datetime) -> float:
        return evening(at, 13.0) * (0.1 if at.weekday() >= 5 else 1)

    curve = learned(counted(business))
    assert expected_level(curve, NEW_YORK, datetime(2026, 11, 21, 18, tzinfo=UTC)) == pytest.approx(10, rel=0.05)
    assert expected_level(curve, NEW_YORK, datetime(2026, 11, 20, 18, tzinfo=UTC)) == pytest.approx(100, rel=0.05)


def test_a_weekday_that_no_week_knows_is_taken_from_the_others():
    counts = counted()
    for weeks in range(5):
        counts = without(counts, datetime(2026, 11, 17, 5, tzinfo=UTC) - weeks * 7 * DAY, DAY)
    assert worst_share(learned(counts), true_week()) < 0.1


@pytest.mark.parametrize("growth", [-0.2, 0.15])
def test_growth_is_told_apart_from_the_week(growth):
    def growing(at: datetime) -> float:
        return evening(at) * float(np.exp(growth * (at - NOW) / timedelta(days=7)))

    curve = learned(counted(growing))
    assert curve.growth == pytest.approx(growth, abs=0.005)
    assert worst_share(curve, true_week()) < 0.03


def test_a_market_that_doubled_a_week_ago_has_its_new_level_and_no_growth():
    def doubled(at: datetime) -> float:
        return evening(at) * (2 if at >= NOW - 7 * DAY else 1)

    curve = learned(counted(doubled))
    assert abs(curve.growth) < 0.01
    assert worst_share(curve, 2 * true_week()) < 0.03


def test_a_holiday_of_the_past_is_left_out():
    thursday = date(2026, 11, 12)

    def with_holiday(at: datetime) -> float:
        return 0.2 * evening(at) if at.date() == thursday else evening(at)

    counts = without(counted(with_holiday), NOW - 20 * DAY, 2 * DAY)
    assert worst_share(learned(counts, replace(NEW_YORK, holidays={thursday: 6})), true_week()) < 0.02


def test_a_holiday_is_kept_where_it_is_nearly_all_that_is_known_of_its_weekday():
    thursday = date(2026, 11, 12)
    curve = learned(counted(days=8), replace(NEW_YORK, holidays={thursday: 6}))
    assert worst_share(curve, true_week()) < 0.02


def test_on_a_holiday_the_busier_of_both_weekdays_is_usual():
    def weekdays(at: datetime) -> float:
        return evening(at) * (2 if at.weekday() == 6 else 1)

    curve = learned(counted(weekdays))
    noon = datetime(2026, 11, 26, 12, tzinfo=ZoneInfo("America/New_York"))
    usual, sunday = (
        expected_level(curve, calendar, noon)
        for calendar in (NEW_YORK, replace(NEW_YORK, holidays={date(2026, 11, 26): 6}))
    )
    assert sunday == pytest.approx(2 * usual, rel=0.05)
    quiet_like = replace(NEW_YORK, holidays={date(2026, 11, 22): 0})
    assert expected_level(curve, quiet_like, noon - 4 * DAY) == expected_level(curve, NEW_YORK, noon - 4 * DAY)


def test_spread_is_that_of_the_counts():
    rng = np.random.default_rng(3)
    counts = counted(lambda at: 100.0)
    noisy = replace(counts, counts=counts.counts * np.exp(rng.normal(0, 0.08, counts.counts.size)))
    curve = learned(noisy)
    assert float(np.median(curve.spread / curve.level)) == pytest.approx(0.08, rel=0.15)
    assert expected_spread(curve, NEW_YORK, NOW) == pytest.approx(8, rel=0.4)
    assert curve.error is not None
    assert 0.002 < float(np.median(curve.error / curve.level)) < 0.03


def test_a_market_asleep_has_a_curve_of_nothing():
    curve = learned(counted(lambda at: 0.0))
    assert float(np.abs(curve.level).max()) == 0
    assert np.isfinite(curve.spread).all()


@pytest.mark.parametrize("days", [0.02, 0.5, 1, 6.9, 60, 100])
def test_any_length_of_history_gives_a_whole_week_of_numbers(days):
    curve = learned(counted(days=days, period=3600 if days > 60 else 900), now=NOW)
    assert curve.level.shape == curve.spread.shape == (SLOTS_PER_WEEK,)
    assert np.isfinite(curve.level).all()
    assert np.isfinite(curve.spread).all()
    assert curve.error is not None
    assert np.isfinite(curve.error).all()


@pytest.mark.parametrize("odd", [1e300, 1e16, float("inf"), float("-inf"), float("nan"), -7.0])
def test_what_cannot_be_a_count_is_as_if_it_were_not_there(odd):
    whole = counted()
    some = np.arange(whole.starts.size) % 7 == 0
    curve = learned(Counts(whole.starts, np.where(some, odd, whole.counts)))
    assert worst_share(curve, true_week()) < 0.02
    assert learn_curve(Counts(whole.starts, np.full(whole.starts.size, odd)), NEW_YORK, NOW) is None


@pytest.mark.filterwarnings("error")
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.lists(
        st.sampled_from([0.0, 5e-324, 1e-9, 1.0, 1e6, 1e15, 1e16, -1.0, float("nan")]), min_size=1, max_size=4
    ),
    known=st.floats(0.01, 1),
)
def test_whatever_is_counted_something_or_nothing_is_learned(seed, sizes, known):
    rng, whole = np.random.default_rng(seed), counted()
    kept = rng.random(whole.starts.size) < known
    odd = rng.choice(sizes, whole.starts.size) * rng.random(whole.starts.size)
    curve = learn_curve(Counts(whole.starts[kept], odd[kept]), NEW_YORK, NOW)
    assert curve is None or (np.isfinite(curve.level).all() and (curve.level >= 0).all())
    for window in quiet_windows(curve, NEW_YORK, RULES, NOW).windows:
        assert window.start < window.end
