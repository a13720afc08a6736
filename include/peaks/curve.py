"""From counts to the curve of a market's week."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from include.peaks.clock import Ints, day_number, local_slots, slots_of_week
from include.peaks.pattern import (
    level_weeks,
    median_down,
    persistence,
    spread_around,
    week_like_others,
    without_outliers,
)
from include.peaks.smooth import shared_by_days, smoothed
from include.peaks.values import PERIOD_SECONDS, SLOTS_PER_DAY, SLOTS_PER_WEEK, Calendar, Counts, Curve
from include.peaks.weeks import Floats, week_rows

MEDIAN_ERROR = 1.2533  # standard error of a median, in those of a mean: sqrt(pi / 2)
WEEK_SECONDS = 7 * 86_400
NIGHT_SLOTS = SLOTS_PER_DAY // 4  # a day's night goes on until 6 o'clock


def learn_curve(counts: Counts, calendar: Calendar, now: datetime) -> Curve | None:
    """The market's week as of `now`; None where nothing at all was counted before it.

    Weeks of the market's own time are laid on top of each other at the level of the last one; what one of them alone
    shows (spikes, outages) is left out; of each slot the median is taken, smoothed around the week, and drawn to what
    other days show that run alike. A slot that no week knows is what the other days' shape would make of its day.
    """
    weeks = week_rows(counts, calendar, now)
    if weeks is None:
        return None
    rates, growth = level_weeks(weeks)
    vote = week_like_others(median_down(rates))
    rates = without_outliers(rates, vote)
    known = np.isfinite(rates).sum(axis=0)
    raw = np.where(known > 0, median_down(rates), vote)
    rough, _ = _smooth_level(raw, _spread(rates, raw), known)
    spread = _spread(rates, rough)
    level, error = _smooth_level(raw, spread, known)
    level, error = shared_by_days(level, error * persistence(rates, rough, spread))
    return Curve(calendar.time_zone, level, spread, weeks.days, now, error, growth)


def _smooth_level(raw: Floats, spread: Floats, known: Floats) -> tuple[Floats, Floats]:
    """A slot of which nothing is known counts as a quarter of a week. A silent one is no surer than the others: as it
    spreads by nothing, a night without a request would pull the morning after it down."""
    spread = np.where(raw > 0, spread, float(spread.max()))
    variances = (MEDIAN_ERROR * spread) ** 2 / np.where(known > 0, known, 0.25)
    level, error = smoothed(raw, np.maximum(variances, 1e-6 * max(float(variances.max()), 1e-12)))
    return np.maximum(level, 0.0), error


def expected_level(curve: Curve, calendar: Calendar, moment: datetime) -> float:
    """Requests per second that are usual at a moment, growth and all; on a holiday, the more of both weekdays'."""
    return _at(curve, curve.level, calendar, moment)


def expected_spread(curve: Curve, calendar: Calendar, moment: datetime) -> float:
    """Robust standard deviation of the level at a moment (requests per second)."""
    return _at(curve, curve.spread, calendar, moment)


def _at(curve: Curve, values: Floats, calendar: Calendar, moment: datetime) -> float:
    moments = np.asarray([int(moment.timestamp())], dtype=np.int64)
    slots = local_slots(calendar.time_zone, moments)
    return float((values[columns_at(curve.level, calendar, slots)] * grown(curve, moments))[0])


def grown(curve: Curve, moments: Ints) -> Floats:
    """How many times the curve's level the market has at `moments` (UTC seconds)."""
    return np.asarray(np.exp(curve.growth * (moments - curve.until.timestamp()) / WEEK_SECONDS))


def columns_at(level: Floats, calendar: Calendar, slots: Ints) -> Ints:
    """The slots of the week that tell what is usual at local `slots`: on a holiday the busier of both weekdays'."""
    own, other = slots_of_week(slots), columns_like(calendar, slots)
    return np.where(level[other] > level[own], other, own)


def columns_like(calendar: Calendar, slots: Ints) -> Ints:
    """The slots of the week at local `slots`; on a holiday, and in the night after it, those of the weekday that it is
    like."""
    columns = slots_of_week(slots)
    for day, like in calendar.holidays.items():
        first = day_number(day) * SLOTS_PER_DAY
        on = (slots >= first) & (slots < first + SLOTS_PER_DAY + NIGHT_SLOTS)
        columns[on] = (like * SLOTS_PER_DAY + slots[on] - first) % SLOTS_PER_WEEK
    return columns


def _spread(rates: Floats, level: Floats) -> Floats:
    """Never below what counting itself spreads (Poisson), else three quiet weeks that agree would be certainty."""
    counted = np.sqrt(np.maximum(level, 0.0) / PERIOD_SECONDS)
    return np.maximum(spread_around(rates, level), counted)
