"""The pattern that weeks have in common, whatever a spike, an outage, a hole or growth did to some of them."""

from __future__ import annotations

import numpy as np

from include.peaks.values import SLOTS_PER_DAY
from include.peaks.weeks import Floats, Weeks

LEAST_PAIRS = 3 * SLOTS_PER_DAY
MOST_GROWTH = 0.5
LEAST_OF_WEEK = SLOTS_PER_DAY // 2
OUTAGE_SHARE = 0.2
OUTLIER_SHARE = 0.5
OUTLIER_SPREADS = 5.0
NORMAL_MAD = 1.4826  # the standard deviation of a normal distribution, in its median absolute deviations
OUTLIER_REACH = 8
SPREAD_REACH = 6
BLOCK = 12


def level_weeks(weeks: Weeks) -> tuple[Floats, float]:
    """Rates as if every week had the level of now (weeks x slots): growth taken out slot by slot, then what is left of
    each week's own level. And the growth (of the logarithm, in a week)."""
    growth = _growth(weeks.rates)
    rates = weeks.rates * np.exp(growth * weeks.age_weeks)
    pattern = median_down(rates)
    levels = np.asarray([_log_ratio(row, pattern) for row in rates])
    known = levels[np.isfinite(levels)]
    newest = known[0] if known.size else 0.0
    return rates * np.exp(newest - np.where(np.isfinite(levels), levels, 0.0))[:, None], growth


def median_down(rows: Floats) -> Floats:
    """The median of each column, nan where it has nothing but nan."""
    ordered = np.sort(rows, axis=0)
    known = np.isfinite(rows).sum(axis=0)
    low, high = np.maximum(known - 1, 0) // 2, known // 2
    columns = np.arange(rows.shape[1])
    return (ordered[low, columns] + ordered[np.minimum(high, len(rows) - 1), columns]) / 2


def week_like_others(pattern: Floats) -> Floats:
    """What each slot would be if all days had one shape and only levels of their own: stands in for what is not
    known, and is what single weeks are compared with."""
    days = pattern.reshape(7, SLOTS_PER_DAY)
    known = np.isfinite(days).sum(axis=1, keepdims=True)
    full = np.where(known >= min(LEAST_OF_WEEK, int(known.max())), days, np.nan)
    levels = _usual_of_day(full)[:, None]
    shape = _filled(median_down(np.divide(full, levels, out=np.full_like(days, np.nan), where=levels > 0)))
    levels = median_down(np.divide(days, shape, out=np.full_like(days, np.nan), where=shape > 0).T)
    levels = np.where(np.isfinite(levels), levels, _median(levels))
    return np.nan_to_num(np.outer(levels, shape).ravel())


def _usual_of_day(days: Floats) -> Floats:
    """The median of each day; of one that is silent for most of it, that of its other hours."""
    usual = median_down(days.T)
    heard = median_down(np.where(days > 0, days, np.nan).T)
    return np.where(usual > 0, usual, heard)


def without_outliers(rates: Floats, vote: Floats) -> Floats:
    """Rates with nan in place of those far from what the weeks have in common around them.

    Each week's own course is the running median of what its rates are of `vote`, over two hours on both sides. Common
    is the median of the courses and `vote`; of two, the one nearer to `vote`; a single one below a fifth of it is an
    outage.
    Far is more than half of what is common, and more than 5 times what rates differ from their week's course.
    """
    share = np.divide(rates, vote, out=np.full_like(rates, np.nan), where=vote > 0)
    courses = np.vstack([median_around(row[None, :], OUTLIER_REACH) for row in share])
    common = _filled(_common(courses))
    wobble = NORMAL_MAD * median_around(np.abs(share - courses), SPREAD_REACH)
    allowed = np.maximum(OUTLIER_SHARE * common, OUTLIER_SPREADS * np.where(np.isfinite(wobble), wobble, 0.0))
    return np.where((np.abs(share - common) <= allowed) | (vote <= 0), rates, np.nan)


def _common(courses: Floats) -> Floats:
    known = np.isfinite(courses).sum(axis=0)
    common = np.where(known > 2, median_down(np.vstack([courses, np.ones_like(courses[:1])])), median_down(courses))
    distance = np.where(np.isfinite(courses), np.abs(np.log(np.maximum(courses, 1e-6))), np.inf)
    nearest = courses[np.argmin(distance, axis=0), np.arange(courses.shape[1])]
    common = np.where(known == 2, nearest, common)
    return np.where((known == 1) & (common < OUTAGE_SHARE), np.nan, common)


def median_around(rows: Floats, reach: int) -> Floats:
    """Of each column and `reach` columns on both sides, around the circle of the week."""
    return median_down(np.vstack([np.roll(rows, by, axis=1) for by in range(-reach, reach + 1)]))


def spread_around(rates: Floats, level: Floats) -> Floats:
    """Robust standard deviation of rates around the level of each slot: the median absolute deviation, as a share of
    the level, of all weeks and the slots within an hour and a half."""
    share = np.divide(np.abs(rates - level), level, out=np.full_like(rates, np.nan), where=level > 0)
    spread = NORMAL_MAD * median_around(share, SPREAD_REACH)
    return np.where(np.isfinite(spread), spread, 0.0) * level


def persistence(rates: Floats, level: Floats, spread: Floats) -> float:
    """How many times more three hours on end are off than their slots were on their own: 1 where each slot is by chance
    what it is, more where a quarter of an hour above the usual is followed by another. Within a day: that a day as a
    whole is busier changes neither its peak's hour nor its quiet ones."""
    off = np.divide(rates - level, spread, out=np.full_like(rates, np.nan), where=spread > 0)
    days = off.reshape(-1, SLOTS_PER_DAY)
    blocks = (days - median_down(days.T)[:, None]).reshape(-1, BLOCK)
    known = np.isfinite(blocks).sum(axis=1)
    full = known >= BLOCK // 2
    sums = np.nansum(blocks[full], axis=1) / np.sqrt(known[full])
    return max(1.0, NORMAL_MAD * float(np.median(np.abs(sums)))) if sums.size else 1.0


def _growth(rates: Floats) -> float:
    """Logarithm of the level's growth in a week: the median over all slots known a week apart (Theil-Sen, of
    neighbours only, so that a single step is not taken for growth)."""
    newer, older = rates[:-1], rates[1:]
    both = (newer > 0) & (older > 0)
    if np.count_nonzero(both) < LEAST_PAIRS:
        return 0.0
    return float(np.clip(np.median(np.log(newer[both] / older[both])), -MOST_GROWTH, MOST_GROWTH))


def _log_ratio(row: Floats, pattern: Floats) -> float:
    both = (row > 0) & (pattern > 0)
    if np.count_nonzero(both) < LEAST_OF_WEEK:
        return float("nan")
    return float(np.median(np.log(row[both] / pattern[both])))


def _median(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")


def _filled(shape: Floats) -> Floats:
    """Holes of a circle filled in a straight line."""
    known = np.flatnonzero(np.isfinite(shape))
    if not known.size:
        return np.zeros_like(shape)
    return np.asarray(np.interp(np.arange(shape.size), known, shape[known], period=shape.size))
