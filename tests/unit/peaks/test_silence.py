"""Markets that sleep: hours and days without a single request, of which the metric store says 0."""

from __future__ import annotations

from datetime import datetime, time, timedelta

import numpy as np
import pytest

from include.peaks import Calendar, Counts, Outlook, Rules, Source, answer_at, learn_curve, quiet_windows
from tests.support.one_market import NOW, counted

UTC_DAYS = Calendar()
RULES = Rules(below_share=0.6, least_seconds=1800, quiet_hours=((time(1), time(7)),))
NEAR = timedelta(minutes=30)


def flat(at: datetime) -> float:
    """Shop hours: from 8 to 18 o'clock always the same."""
    return 1000.0 if 8 <= at.hour < 18 else 0.0


def hill(at: datetime) -> float:
    """The same hours, with most at noon; below 60 % of that, and out of the busiest 8 hours, before 9 and after 17."""
    hour = at.hour + at.minute / 60
    return 400 + 600 * float(np.sin((hour - 8) / 10 * np.pi)) if 8 <= hour < 18 else 0.0


def weekdays(at: datetime) -> float:
    return flat(at) if at.weekday() < 5 else 0.0


def outlook_of(counts: Counts) -> Outlook:
    return quiet_windows(learn_curve(counts, UTC_DAYS, NOW), UTC_DAYS, RULES, NOW)


def noisy(level) -> Counts:
    exact = counted(level, zone="UTC")
    return Counts(exact.starts, np.random.default_rng(7).poisson(exact.counts).astype(float))


@pytest.mark.parametrize(("level", "closes", "opens"), [(flat, 18, 8), (hill, 17, 9)])
@pytest.mark.parametrize("counts_of", [noisy, lambda level: counted(level, zone="UTC")], ids=["noisy", "exact"])
def test_the_whole_night_of_shop_hours_is_quiet_and_none_of_the_day(level, closes, opens, counts_of):
    found = outlook_of(counts_of(level))
    assert (found.source, found.why) == (Source.LEARNED, "learned from 28 days of requests")
    assert len(found.windows) == 8
    for window in found.windows:
        evening = window.start.replace(hour=closes, minute=0, second=0)
        morning = window.end.replace(hour=opens, minute=0, second=0)
        assert timedelta() <= window.start - evening <= NEAR
        assert timedelta() <= morning - window.end <= NEAR
        assert morning - evening == timedelta(hours=24 - closes + opens)


def test_days_without_a_request_are_quiet_all_day():
    lengths = sorted(round(window.length / timedelta(hours=1)) for window in outlook_of(noisy(weekdays)).windows)
    assert lengths == [13, 13, 13, 13, 13, 61], "from Friday evening to Monday morning"


def test_a_night_that_only_one_day_works_is_not_quiet_on_it():
    """Else what no other day does would be taken for a spike in a silent night."""

    def batch(at: datetime) -> float:
        return 2000.0 if at.weekday() == 5 and 2 <= at.hour < 5 else flat(at)

    saturday = NOW.replace(day=21, hour=3, minute=30)
    assert not answer_at(outlook_of(noisy(batch)), RULES, saturday).is_open
    assert answer_at(outlook_of(noisy(batch)), RULES, saturday + timedelta(days=1)).is_open


def test_a_market_that_never_had_a_request_keeps_the_settings_hours():
    assert outlook_of(counted(lambda at: 0.0, zone="UTC")).source is Source.CONFIGURED
