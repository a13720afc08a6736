"""Stretches of time: quiet ones by a curve, those of the settings' hours, and what freezes leave of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from include.peaks.clock import Ints, local_slots, moment_of, slots_of_week
from include.peaks.curve import columns_at, columns_like, grown
from include.peaks.values import PERIOD_SECONDS, SLOT_MINUTES, SLOTS_PER_DAY, Calendar, Curve, Freeze, Rules, Window
from include.peaks.weeks import Floats

BUSY_SHARE = 2 / 3
BUSIEST_HOURS = 8
SILENT_SHARE = 0.001  # of the week's highest level: less is as good as no request at all
ERRORS_OF_SHARE = 0.5
ERRORS_OF_BUSIEST = 1.75
AWAY_FROM_BUSIEST = 0.67  # slots
_HALF_DAY = SLOTS_PER_DAY // 2
_BUSIEST_MINUTES = BUSIEST_HOURS * 60


def quiet_stretches(
    curve: Curve, calendar: Calendar, below_share: float, begin: datetime, end: datetime
) -> list[Window]:
    """What the curve shows as quiet between two moments, to the second: between the middles of two quarters of an
    hour level and threshold are straight lines.

    A moment is quiet where the usual level is below `below_share` of the day's peak, below 2/3 of it, and below the
    busiest 8 hours of that day by the market's clock. The day's peak is the lesser of two: the peak of that day, and
    of the 12 hours before and after. Levels are taken above what was learned, peaks and busiest hours below it: by half
    a standard error against the share, by one and three quarters against the busiest hours, and 10 minutes from those.
    """
    moments = _moments(begin - timedelta(days=2), end + timedelta(days=2))
    level, threshold = levels_and_thresholds(curve, calendar, below_share, moments)
    days = local_slots(calendar.time_zone, moments) // SLOTS_PER_DAY
    inside = (moments >= begin.timestamp()) & (moments < end.timestamp())
    return _runs(moments[inside], (level - threshold)[inside], days[inside])


def levels_and_thresholds(curve: Curve, calendar: Calendar, below_share: float, moments: Ints) -> tuple[Floats, Floats]:
    """Of quarters of an hour one after the other (UTC seconds of their beginnings): the usual level, and the level
    below which the moment is quiet. Those of the first and the last day see only a part of their day.

    Nobody knows how much of a holiday will be lived as the other weekday: the more of both is held against the peak and
    the busiest hours of the less.
    """
    slots = local_slots(calendar.time_zone, moments)
    own, like = slots_of_week(slots), columns_like(calendar, slots)
    times = grown(curve, moments)
    error = curve.error if curve.error is not None else np.zeros_like(curve.level)

    def more_and_less(errors: float) -> tuple[Floats, Floats]:
        above, under = curve.level + errors * error, curve.level - errors * error
        return np.maximum(above[own], above[like]) * times, np.minimum(under[own], under[like]) * times

    level, _ = more_and_less(0.0)
    high, low = more_and_less(ERRORS_OF_SHARE)
    days = slots // SLOTS_PER_DAY
    quiet_below = below_share * _peaks(low, days) - (high - level)
    high, low = more_and_less(ERRORS_OF_BUSIEST)
    busy_above = np.minimum(BUSY_SHARE * _peaks(low, days), _by_day(low, days)[1]) - (_most_around(high) - level)
    silent_below = SILENT_SHARE * float(curve.level.max()) * times  # a day without requests has no peak to be below of
    return level, np.maximum(np.minimum(quiet_below, busy_above), silent_below)


def threshold_at(curve: Curve, calendar: Calendar, rules: Rules, moment: datetime) -> float:
    """The level below which a moment is quiet (requests per second); below 0 where none could be."""
    moments = _moments(moment - timedelta(days=1.5), moment + timedelta(days=1.5))
    _, thresholds = levels_and_thresholds(curve, calendar, rules.below_share, moments)
    return float(thresholds[np.searchsorted(moments, int(moment.timestamp()), side="right") - 1])


def peak_at(curve: Curve, calendar: Calendar, moment: datetime) -> float:
    """The usual peak of a moment's day (requests per second): the lesser of the two that `quiet_stretches` names."""
    moments = _moments(moment - timedelta(days=1.5), moment + timedelta(days=1.5))
    slots = local_slots(calendar.time_zone, moments)
    level = curve.level[columns_at(curve.level, calendar, slots)] * grown(curve, moments)
    peaks, _ = _by_day(level, slots // SLOTS_PER_DAY)
    here = int(np.searchsorted(moments, int(moment.timestamp()), side="right")) - 1
    return float(min(peaks[here], _peak_around(level)[here]))


def hours_between(rules: Rules, calendar: Calendar, begin: datetime, end: datetime) -> list[Window]:
    """The settings' hours of each day by the market's clock. Where the clock changes within them, what is inside by
    any reading of it."""
    zone = ZoneInfo(calendar.time_zone)
    first = begin.astimezone(zone).date() - timedelta(days=1)
    days = (first + timedelta(days=ahead) for ahead in range((end - begin).days + 4))
    found = [_hours_of(day, hours, zone) for day in days for hours in rules.quiet_hours]
    return merged(window for window in found if window.start < end and window.end > begin)


def merged(windows: Iterable[Window]) -> list[Window]:
    """In order and without overlap; what touches becomes one."""
    found: list[Window] = []
    for window in sorted(windows, key=lambda one: one.start):
        if window.end <= window.start:
            continue
        if found and window.start <= found[-1].end:
            found[-1] = Window(found[-1].start, max(found[-1].end, window.end))
        else:
            found.append(window)
    return found


def without_freezes(windows: Sequence[Window], freezes: Sequence[Freeze]) -> list[Window]:
    """What freezes leave of windows: one in the middle makes two of it."""
    left = list(windows)
    for freeze in freezes:
        left = [piece for window in left for piece in _around(window, freeze)]
    return left


def _around(window: Window, freeze: Freeze) -> list[Window]:
    if freeze.end <= window.start or freeze.start >= window.end:
        return [window]
    pieces = (Window(window.start, freeze.start), Window(freeze.end, window.end))
    return [piece for piece in pieces if piece.end > piece.start]


def _moments(begin: datetime, end: datetime) -> Ints:
    first, last = int(begin.timestamp()) // PERIOD_SECONDS, -(-int(end.timestamp()) // PERIOD_SECONDS)
    return np.arange(first, last, dtype=np.int64) * PERIOD_SECONDS


def _by_day(low: Floats, days: Ints) -> tuple[Floats, Floats]:
    """At each moment: its day's peak, and the least level of its day's busiest hours, minute by minute."""
    peaks, busiest = np.empty_like(low), np.empty_like(low)
    minutes = _by_minute(low)
    edges = np.flatnonzero(np.diff(days, prepend=days[0] - 1, append=days[-1] + 1)).tolist()
    for first, last in zip(edges, edges[1:], strict=False):
        of_day = minutes[first:last].ravel()
        peaks[first:last] = low[first:last].max()
        least = max(of_day.size - _BUSIEST_MINUTES, 0)
        busiest[first:last] = np.partition(of_day, least)[least]
    return peaks, busiest


def _by_minute(level: Floats) -> Floats:
    """Straight lines between the middles of slots: a row of minutes for each."""
    away = (np.arange(SLOT_MINUTES) + 0.5) / SLOT_MINUTES - 0.5
    before, after = np.diff(level, prepend=level[0]), np.diff(level, append=level[-1])
    return level[:, None] + np.where(away < 0, before[:, None], after[:, None]) * away


def _most_around(level: Floats) -> Floats:
    """The most of a level and of what it is `AWAY_FROM_BUSIEST` slots earlier and later."""
    step = AWAY_FROM_BUSIEST * np.diff(level)
    most = level.copy()
    most[1:] = np.maximum(most[1:], level[1:] - step)
    most[:-1] = np.maximum(most[:-1], level[:-1] + step)
    return most


def _peaks(low: Floats, days: Ints) -> Floats:
    return np.minimum(_by_day(low, days)[0], _peak_around(low))


def _peak_around(low: Floats) -> Floats:
    padded = np.pad(low, _HALF_DAY, constant_values=-np.inf)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, 2 * _HALF_DAY + 1).max(axis=1))


def _runs(moments: Ints, excess: Floats, days: Ints) -> list[Window]:
    """Where `excess` is below 0. A stretch that ends or begins with a day does so at midnight."""
    turns = np.flatnonzero(np.diff((excess < 0).astype(np.int8), prepend=0, append=0))
    crossings = [_crossing(moments, excess, days, at) for at in turns.tolist()]
    return [
        Window(moment_of(np.ceil(start)), moment_of(np.floor(end)))
        for start, end in zip(crossings[::2], crossings[1::2], strict=True)
    ]


def _crossing(moments: Ints, excess: Floats, days: Ints, at: int) -> float:
    """Seconds at which `excess` is 0 between the middles of a slot and of the one before it."""
    if at == len(moments):
        return float(moments[-1] + PERIOD_SECONDS)
    if at == 0 or days[at - 1] != days[at]:
        return float(moments[at])
    before, after = excess[at - 1], excess[at]
    return float(moments[at] - PERIOD_SECONDS / 2 + PERIOD_SECONDS * before / (before - after))


def _hours_of(day: date, hours: tuple[time, time], zone: ZoneInfo) -> Window:
    first, last = hours
    until = day if last > first else day + timedelta(days=1)
    begins = (datetime.combine(day, first, zone).replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    ends = (datetime.combine(until, last, zone).replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    return Window(max(begins), min(ends))
