"""What a page or a terminal shows of windows: the regions' outlooks, and in which words and numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from include.peaks import Answer, Counts, Freeze, Outlook, Source, Window
from include.peaks.clock import local_slots
from include.peaks.curve import columns_at
from include.peaks.stretches import levels_and_thresholds
from include.peaks.values import PERIOD_SECONDS, SLOT_MINUTES

SCHEMA = 1
HOUR = timedelta(hours=1)
SLOT = timedelta(minutes=SLOT_MINUTES)
MARGIN = timedelta(days=2)
"""What is quiet depends on the day before and after."""
COUNTED_HOURS = 24


class State(StrEnum):
    """How a region stands at a moment."""

    QUIET = "quiet"
    OVERRIDDEN = "overridden"
    FROZEN = "frozen"
    BUSY = "busy"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Overruled:
    """On-call's word that a region may be pushed until `until`, whatever its windows and freezes say."""

    who: str
    why: str
    until: datetime


@dataclass(frozen=True, eq=False)
class RegionWindows:
    """A region, and what is known of its windows.

    `outlook` and `answer` are None where nothing is. `below_share` (0-1) of the day's peak is quiet; a push takes
    `push_seconds` (0: not known). `learned_at`: when the ledger was told; None where it was computed just now. `wave`
    counts from 1; 0 where the order is not known. `counted`: requests as they were counted lately.
    """

    region: str
    market: str
    time_zone: str
    outlook: Outlook | None = None
    answer: Answer | None = None
    below_share: float = 0.0
    push_seconds: float = 0.0
    learned_at: datetime | None = None
    wave: int = 0
    override: Overruled | None = None
    counted: Counts | None = None

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    @property
    def windows(self) -> tuple[Window, ...]:
        return () if self.outlook is None else self.outlook.windows

    @property
    def freezes(self) -> tuple[Freeze, ...]:
        return () if self.outlook is None else self.outlook.calendar.freezes

    @property
    def is_learned(self) -> bool:
        return self.outlook is not None and self.outlook.source is Source.LEARNED

    def state(self, now: datetime) -> State:
        if self.override is not None and now < self.override.until:
            return State.OVERRIDDEN
        if self.answer is None:
            return State.UNKNOWN
        if self.answer.is_open:
            return State.QUIET
        return State.FROZEN if self.freeze(now) else State.BUSY

    def freeze(self, now: datetime) -> Freeze | None:
        """The freeze in force."""
        return next((one for one in self.freezes if one.start <= now < one.end), None)


def printable(region: RegionWindows) -> RegionWindows:
    """Without what would be a control character to a terminal or a page: reasons and names are other people's."""
    answer, override, outlook = region.answer, region.override, region.outlook
    if outlook is not None:
        freezes = tuple(replace(one, why=_line(one.why)) for one in outlook.calendar.freezes)
        outlook = replace(outlook, why=_line(outlook.why), calendar=replace(outlook.calendar, freezes=freezes))
    return replace(
        region,
        outlook=outlook,
        answer=replace(answer, why=_line(answer.why)) if answer is not None else None,
        override=replace(override, who=_line(override.who), why=_line(override.why)) if override is not None else None,
    )


def _line(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


@dataclass(frozen=True)
class Usual:
    """What is usual around `at`: requests per second, their spread, and `limit`, below which it is quiet. nan where
    nothing is known of that time; there is no limit where windows are the settings' hours."""

    at: datetime
    level: float
    spread: float
    limit: float

    @property
    def is_known(self) -> bool:
        return math.isfinite(self.level) and math.isfinite(self.spread)


def usual_traffic(region: RegionWindows, start: datetime, end: datetime, step: timedelta = HOUR) -> list[Usual]:
    """A value for every `step` of [start, end), which are quarters of an hour; none where there is no curve."""
    outlook = region.outlook
    if outlook is None or outlook.curve is None:
        return []
    curve, calendar, slots = outlook.curve, outlook.calendar, round(step / SLOT)
    number = math.ceil((end - start) / step)
    first, length = int((start - MARGIN).timestamp()), round((2 * MARGIN + number * step) / SLOT)
    moments = first + PERIOD_SECONDS * np.arange(length, dtype=np.int64)
    level, limit = levels_and_thresholds(curve, calendar, region.below_share, moments)
    spread = curve.spread[columns_at(curve.level, calendar, local_slots(calendar.time_zone, moments))]
    skipped = round(MARGIN / SLOT)
    inside = slice(skipped, skipped + number * slots)
    rows = [_means(values[inside], slots) for values in (level, spread, limit)]
    middles = [start + (place + 0.5) * step for place in range(number)]
    found = [Usual(at, *values) for at, *values in zip(middles, *rows, strict=True)]
    return found if region.is_learned else [replace(one, limit=math.nan) for one in found]


def _means(values: npt.NDArray[np.float64], slots: int) -> list[float]:
    """Of each `slots` values those that are known; nan where none is."""
    rows = values.reshape(-1, slots)
    known = np.isfinite(rows)
    sums, numbers = np.where(known, rows, 0.0).sum(axis=1), known.sum(axis=1)
    return [float(total / number) if number else math.nan for total, number in zip(sums, numbers, strict=True)]


def counted_traffic(region: RegionWindows, now: datetime) -> list[tuple[datetime, float]]:
    """The last 24 h as they were: the middle of each period, and requests per second."""
    counts = region.counted
    if counts is None:
        return []
    since, period = (now - timedelta(hours=COUNTED_HOURS)).timestamp(), counts.period_seconds
    return [
        (datetime.fromtimestamp(int(start) + period / 2, UTC), float(count) / period)
        for start, count in zip(counts.starts, counts.counts, strict=True)
        if since <= start <= now.timestamp() - period
    ]


def local_days(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[tuple[date, datetime, datetime]]:
    """The market's days that [start, end) touches: day, begin and end as UTC."""
    day = start.astimezone(zone).date()
    while (begin := midnight(zone, day)) < end:
        yield day, begin, midnight(zone, day + timedelta(days=1))
        day += timedelta(days=1)


def midnight(zone: ZoneInfo, day: date) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def windows_between(region: RegionWindows, start: datetime, end: datetime) -> list[Window]:
    """Cut to [start, end)."""
    cut = [Window(max(one.start, start), min(one.end, end)) for one in region.windows]
    return [one for one in cut if one.start < one.end]


def windows_json(app: str, regions: Sequence[RegionWindows], now: datetime) -> dict[str, Any]:
    """Plain JSON values under a schema number; moments are ISO 8601 in UTC."""
    return {
        "schema": SCHEMA,
        "app": app,
        "at": _iso(now),
        "regions": [_region_json(one, now) for one in regions],
    }


def _region_json(region: RegionWindows, now: datetime) -> dict[str, Any]:
    answer, override, outlook = region.answer, region.override, region.outlook
    return {
        "region": region.region,
        "market": region.market,
        "time_zone": region.time_zone,
        "wave": region.wave or None,
        "state": region.state(now).value,
        "may_be_pushed": region.state(now) in (State.QUIET, State.OVERRIDDEN),
        "why": "" if answer is None else answer.why,
        "until": None if answer is None else _iso(answer.until),
        "opens": None if answer is None else _iso(answer.opens),
        "source": None if outlook is None else outlook.source.value,
        "learned": "" if outlook is None else outlook.why,
        "learned_at": _iso(region.learned_at),
        "push_seconds": region.push_seconds or None,
        "windows": [{"start": _iso(one.start), "end": _iso(one.end)} for one in region.windows],
        "freezes": [{"start": _iso(one.start), "end": _iso(one.end), "why": one.why} for one in region.freezes],
        "override": None
        if override is None
        else {"who": override.who, "why": override.why, "until": _iso(override.until)},
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds")
