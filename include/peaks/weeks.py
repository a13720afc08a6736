"""Counts laid out as weeks of a market's own time, on top of each other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from include.peaks.clock import Ints, day_number, local_slots, slots_of_week
from include.peaks.values import PERIOD_SECONDS, SLOTS_PER_DAY, SLOTS_PER_WEEK, Calendar, Counts, can_be_counts

Floats = npt.NDArray[np.float64]
ENOUGH_OTHER_DAYS = 2
DAY_SECONDS = 86_400
LEAST_OF_DAY_SECONDS = DAY_SECONDS // 4


@dataclass(frozen=True, eq=False)
class Weeks:
    """`rates` (weeks x SLOTS_PER_WEEK, requests per second, nan where nothing is known; row 0 is the newest week),
    `age_weeks` (the same shape, 0 is now), and of how many days there are counts."""

    rates: Floats
    age_weeks: Floats
    days: float


def week_rows(counts: Counts, calendar: Calendar, now: datetime) -> Weeks | None:
    """The periods that are over, as weeks back from `now`; None where there are none.

    Shorter periods than a slot are averaged, longer ones become slots with the same sum. An hour that the clock counted
    twice is averaged, one that it skipped is a hole. Holidays are holes where enough other days of their weekday are
    known.
    """
    over = (counts.starts + counts.period_seconds <= now.timestamp()) & can_be_counts(counts.counts)
    starts, rates = counts.starts[over], counts.counts[over] / counts.period_seconds
    if not starts.size:
        return None
    days = _days_known(starts, counts.period_seconds, now)
    starts, rates = _in_slots(starts, rates, counts.period_seconds)
    slots = local_slots(calendar.time_zone, starts)
    here = int(local_slots(calendar.time_zone, np.asarray([int(now.timestamp())], dtype=np.int64))[0])
    kept = _is_ordinary(slots // SLOTS_PER_DAY, calendar)
    rows, ages = _laid_out(slots[kept], rates[kept], here)
    return Weeks(rows, ages, days)


def _days_known(starts: Ints, period_seconds: int, now: datetime) -> float:
    """Days of 24 hours back from `now`, each by how much is known of it. A market that is counted in its business hours
    only has whole days all the same: whole is what at least half of its days have, but not less than 6 hours."""
    ages = np.maximum(now.timestamp() - period_seconds - np.unique(starts), 0) // DAY_SECONDS
    seconds = np.bincount(ages.astype(np.int64)) * period_seconds
    whole = max(float(np.median(seconds[seconds > 0])), LEAST_OF_DAY_SECONDS)
    return float(np.minimum(seconds / whole, 1.0).sum())


def _in_slots(starts: Ints, rates: Floats, period_seconds: int) -> tuple[Ints, Floats]:
    """Long periods as straight lines with their mean, as steep as their neighbours allow without making a valley or a
    hill (van Leer 1977); flat beside a hole."""
    width = -(-period_seconds // PERIOD_SECONDS)
    if width <= 1:
        return starts, rates
    rises = np.diff(rates)
    rises = np.where(np.diff(starts) == period_seconds, rises, 0.0)
    before, after = np.concatenate([[0.0], rises]), np.concatenate([rises, [0.0]])
    least = np.minimum(np.abs(before), np.abs(after))
    slope = np.where(before * after > 0, np.sign(after) * np.minimum(np.abs(before + after) / 2, 2 * least), 0.0)
    within = np.arange(width, dtype=np.int64)
    fine = rates[:, None] + slope[:, None] * ((within + 0.5) / width - 0.5)[None, :]
    return (starts[:, None] + within[None, :] * PERIOD_SECONDS).ravel(), np.maximum(fine, 0.0).ravel()


def _laid_out(slots: Ints, rates: Floats, here: int) -> tuple[Floats, Floats]:
    age = np.maximum(here - 1 - slots, 0)
    cells = (age // SLOTS_PER_WEEK) * SLOTS_PER_WEEK + slots_of_week(slots)
    weeks = int(age.max()) // SLOTS_PER_WEEK + 1
    size = weeks * SLOTS_PER_WEEK
    known = np.bincount(cells, minlength=size)
    total = np.bincount(cells, weights=rates, minlength=size)
    rows = np.divide(total, known, out=np.full(size, np.nan), where=known > 0).reshape(weeks, SLOTS_PER_WEEK)
    newest = np.mod(
        slots_of_week(np.asarray([here - 1], dtype=np.int64))[0] - np.arange(SLOTS_PER_WEEK), SLOTS_PER_WEEK
    )
    ages = np.arange(weeks)[:, None] + newest[None, :] / SLOTS_PER_WEEK
    return rows, ages


def _is_ordinary(days: Ints, calendar: Calendar) -> npt.NDArray[np.bool_]:
    """False on holidays that can be left out."""
    holidays = np.asarray([day_number(day) for day in calendar.holidays], dtype=np.int64)
    is_holiday = np.isin(days, holidays)
    ordinary = np.unique(days[~is_holiday])
    kept = ~is_holiday
    for day in np.unique(days[is_holiday]):
        others = np.count_nonzero(ordinary % 7 == day % 7)
        if others < ENOUGH_OTHER_DAYS:
            kept |= days == day
    return kept
