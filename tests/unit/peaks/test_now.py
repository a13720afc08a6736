"""Whether a push may begin now: the sentence that on-call reads while it waits."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import numpy as np
import pytest

from include.peaks import (
    Answer,
    Calendar,
    Counts,
    Curve,
    Freeze,
    Outlook,
    Rules,
    Source,
    Window,
    answer_at,
    learn_curve,
    quiet_windows,
    word_if_busy,
)
from tests.support.one_market import NEW_YORK, NOW, RULES, counted, evening

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
NIGHT = Window(datetime(2026, 11, 19, 5, 20, tzinfo=UTC), datetime(2026, 11, 19, 20, 30, tzinfo=UTC))
NEXT = Window(NIGHT.start + 24 * HOUR, NIGHT.end + 24 * HOUR)
KNOWN = Outlook(Source.LEARNED, "learned from 28 days of requests", (NIGHT, NEXT), NEW_YORK)


def learned(calendar: Calendar = NEW_YORK, rules: Rules = RULES) -> Outlook:
    return quiet_windows(learn_curve(counted(), calendar, NOW), calendar, rules, NOW)


def test_in_a_window_with_time_enough_it_is_open():
    assert answer_at(KNOWN, RULES, NIGHT.start + 2 * HOUR) == Answer(
        True, "quiet until Thu 19 Nov 15:30 (America/New_York, 20:30 UTC)", until=NIGHT.end
    )


def test_it_opens_with_the_window_and_closes_when_a_push_would_run_into_the_peak():
    assert not answer_at(KNOWN, RULES, NIGHT.start - SECOND).is_open
    assert answer_at(KNOWN, RULES, NIGHT.start).is_open
    assert answer_at(KNOWN, RULES, NIGHT.end - HOUR).is_open
    late = answer_at(KNOWN, RULES, NIGHT.end - HOUR + SECOND)
    assert (late.is_open, late.opens) == (False, NEXT.start)


def test_waking_a_little_late_in_a_window_that_just_fits_is_in_time():
    """A wait ends some seconds after the window's start: it must not then wait for tomorrow."""
    rules = replace(RULES, least_seconds=NIGHT.length.total_seconds())
    assert answer_at(KNOWN, rules, NIGHT.start + 4 * MINUTE).is_open
    assert answer_at(KNOWN, rules, NIGHT.start + 6 * MINUTE).opens == NEXT.start


def test_at_the_peak_it_says_so_and_when_it_opens():
    answer = answer_at(learned(), RULES, datetime(2026, 11, 19, 1, 0, tzinfo=UTC))
    assert not answer.is_open
    assert answer.opens is not None
    assert answer.opens in {one.start for one in learned().windows}
    assert answer.why.startswith(
        "the market is at its peak (usually 100 % of the day's highest at this time); "
        "a push may begin at Thu 19 Nov 00:1"
    )
    assert answer.why.endswith(f"(America/New_York, {answer.opens:%H:%M} UTC)")


def test_an_outlook_from_the_ledger_without_a_curve_says_it_too():
    answer = answer_at(KNOWN, RULES, NIGHT.start - HOUR)
    assert answer.why == (
        "the market is at its peak; a push may begin at Thu 19 Nov 00:20 (America/New_York, 05:20 UTC)"
    )


def test_too_late_in_a_window_it_says_how_much_is_missing():
    rules = replace(RULES, least_seconds=45 * 60)
    assert answer_at(KNOWN, rules, NIGHT.end - 20 * MINUTE).why == (
        "20 min are left before the peak, and a push takes 45 min; "
        "a push may begin at Fri 20 Nov 00:20 (America/New_York, 05:20 UTC)"
    )


def test_in_a_quiet_stretch_that_is_too_short_it_says_so():
    noon = Window(NIGHT.start - 5 * HOUR, NIGHT.start - 4.5 * HOUR)
    answer = answer_at(replace(KNOWN, too_short=(noon,)), RULES, noon.start + 5 * MINUTE)
    assert answer.why.startswith("25 min are left before the peak, and a push takes 1 h; ")
    assert answer.opens == NIGHT.start


def test_a_freeze_is_named_with_its_end_and_the_next_window_after_it():
    freeze = Freeze(NOW - HOUR, NOW + 30 * HOUR, "Black Friday")
    answer = answer_at(learned(replace(NEW_YORK, freezes=(freeze,))), RULES, NOW)
    assert not answer.is_open
    assert answer.opens is not None
    assert answer.opens == freeze.end
    assert answer.why == (
        'freeze "Black Friday" until Thu 19 Nov 13:00 (America/New_York, 18:00 UTC); '
        "a push may begin at Thu 19 Nov 13:00 (America/New_York, 18:00 UTC)"
    )


def test_before_a_freeze_the_freeze_is_what_it_would_run_into():
    freeze = Freeze(NOW + 30 * MINUTE, NOW + 9 * HOUR, "the final")
    why = answer_at(learned(replace(NEW_YORK, freezes=(freeze,))), RULES, NOW).why
    assert why.startswith('30 min are left before the freeze "the final", and a push takes 1 h; ')


def test_outside_the_settings_hours():
    outlook = quiet_windows(None, Calendar(), RULES, NOW)
    assert answer_at(outlook, RULES, NOW).why == (
        "outside the settings' hours; a push may begin at Thu 19 Nov 01:00 UTC"
    )
    assert answer_at(outlook, RULES, datetime(2026, 11, 19, 6, 30, tzinfo=UTC)).why.startswith(
        "30 min are left before the settings' hours end, and a push takes 1 h; "
    )


def test_without_any_window_it_does_not_promise_one():
    answer = answer_at(replace(KNOWN, windows=()), RULES, NOW)
    assert (answer.is_open, answer.opens) == (False, None)
    assert answer.why.endswith("; no window is known yet in which a push may begin")


def test_a_push_too_long_for_any_window_begins_in_the_first_quarter_of_the_longest():
    rules = replace(RULES, least_seconds=20 * 3600)
    assert answer_at(KNOWN, rules, NIGHT.start + 3 * HOUR).is_open
    late = answer_at(KNOWN, rules, NIGHT.start + 4 * HOUR)
    assert (late.is_open, late.opens) == (False, NEXT.start)


def test_a_window_that_is_too_short_by_now_is_passed_over_where_another_is_long_enough():
    """Pushes take longer than they did when the outlook was noted."""
    short = Window(NIGHT.start, NIGHT.start + HOUR)
    rules = replace(RULES, least_seconds=2 * 3600)
    answer = answer_at(replace(KNOWN, windows=(short, NEXT)), rules, NIGHT.start)
    assert (answer.is_open, answer.opens) == (False, NEXT.start)


def test_the_day_is_named_in_utc_too_where_it_is_another():
    window = Window(datetime(2026, 11, 19, 1, 0, tzinfo=UTC), datetime(2026, 11, 19, 5, 0, tzinfo=UTC))
    why = answer_at(replace(KNOWN, windows=(window,)), RULES, NOW).why
    assert why.endswith("a push may begin at Wed 18 Nov 20:00 (America/New_York, Thu 01:00 UTC)")


def recent(rate: float, *, period: int = 60, minutes: int = 15, now: datetime = NOW) -> Counts:
    last = int(now.timestamp()) // period * period
    starts = np.arange(last - minutes * 60, last, period, dtype=np.int64)
    return Counts(starts, np.full(starts.size, rate * period), period)


@pytest.mark.parametrize("period", [60, 300, 900])
def test_traffic_as_usual_is_no_reason_to_wait(period):
    assert word_if_busy(learned(), RULES, recent(evening(NOW - 5 * HOUR), period=period), NOW) == ""


def test_a_live_match_in_the_night_is():
    assert word_if_busy(learned(), RULES, recent(75.0), NOW) == (
        "75 requests/s in the last 15 min, more than 60 (60 % of the day's peak); usual now: 20"
    )


def test_twice_the_usual_is_a_surge_once_it_is_half_of_the_limit():
    assert word_if_busy(learned(), RULES, recent(48.0), NOW) == (
        "48 requests/s in the last 15 min, far more than is usual now (20)"
    )
    assert word_if_busy(learned(), RULES, recent(28.0), NOW) == ""


def test_a_share_above_two_thirds_is_held_to_two_thirds():
    assert "67 % of the day's peak" in word_if_busy(learned(), replace(RULES, below_share=0.9), recent(75.0), NOW)


def test_what_chance_adds_to_a_small_count_is_no_surge():
    small = counted(lambda at: evening(at) / 2000)
    outlook = quiet_windows(learn_curve(small, NEW_YORK, NOW), NEW_YORK, RULES, NOW)
    assert word_if_busy(outlook, RULES, recent(0.033), NOW) == ""
    assert word_if_busy(outlook, RULES, recent(0.06), NOW) != ""


def test_counts_of_before_or_of_later_tell_nothing():
    old = recent(500.0, now=NOW - 20 * MINUTE)
    assert word_if_busy(learned(), RULES, old, NOW) == ""
    assert word_if_busy(learned(), RULES, recent(500.0, now=NOW + HOUR), NOW) == ""
    assert word_if_busy(learned(), RULES, Counts(np.array([], dtype=np.int64), np.array([])), NOW) == ""


def test_without_a_curve_there_is_nothing_to_compare_with():
    assert word_if_busy(quiet_windows(None, NEW_YORK, RULES, NOW), RULES, recent(1e6), NOW) == ""


def flat_market(spread: float = 0.0, growth: float = 0.0) -> Outlook:
    curve = learn_curve(counted(lambda at: 50.0), NEW_YORK, NOW)
    assert curve is not None
    curve = replace(curve, spread=np.maximum(curve.spread, spread), growth=growth)
    return quiet_windows(curve, NEW_YORK, RULES, NOW)


def test_in_the_settings_hours_of_a_flat_market_only_far_more_than_its_peak_is_busy():
    flat = flat_market()
    assert flat.source is Source.CONFIGURED
    assert [word_if_busy(flat, RULES, recent(rate), NOW) for rate in (50.0, 50.5, 60.0)] == ["", "", ""]
    assert word_if_busy(flat, RULES, recent(65.0), NOW) == (
        "65 requests/s in the last 15 min, more than 62 (the day's peak is 50); usual now: 50"
    )


def test_in_the_settings_hours_of_a_market_that_jumps_three_spreads_are_no_reason():
    assert word_if_busy(flat_market(spread=8.0), RULES, recent(70.0), NOW) == ""
    assert word_if_busy(flat_market(spread=8.0), RULES, recent(80.0), NOW) != ""


def test_what_has_grown_since_it_was_learned_is_as_usual():
    later = NOW + timedelta(days=14)
    assert word_if_busy(flat_market(growth=0.2), RULES, recent(70.0, now=later), later) == ""
    assert "usual now: 75" in word_if_busy(flat_market(growth=0.2), RULES, recent(110.0, now=later), later)
    assert word_if_busy(flat_market(), RULES, recent(70.0, now=later), later) != ""


@pytest.mark.parametrize("odd", [-5.0, float("nan"), float("inf"), 1e300])
def test_what_cannot_be_a_count_is_passed_over(odd):
    assert word_if_busy(learned(), RULES, recent(odd), NOW) == ""
    some = recent(75.0)
    mixed = Counts(some.starts, np.where(some.starts % 120, some.counts, odd), some.period_seconds)
    assert word_if_busy(learned(), RULES, mixed, NOW).startswith("75 requests/s in the last 15 min, more than 60 ")


def test_a_short_push_is_told_in_seconds():
    rules = Rules(0.6, 40.0, quiet_hours=((time(1), time(7)),))
    assert (
        "30 s are left before the peak, and a push takes 40 s" in answer_at(KNOWN, rules, NIGHT.end - 30 * SECOND).why
    )


def test_below_the_share_in_the_busiest_third_it_does_not_speak_of_a_peak():
    level = np.full((7, 96), 10.0)
    level[:, 56:92], level[:, 78:84] = 35.0, 100.0
    curve = Curve("UTC", level.ravel(), level.ravel() / 100, 28, NOW)
    afternoon = datetime(2026, 11, 19, 16, 0, tzinfo=UTC)
    answer = answer_at(quiet_windows(curve, Calendar("UTC"), RULES, NOW), RULES, afternoon)
    assert answer.why.startswith("the market is in its busiest hours (usually 35 % of the day's highest at this time)")
