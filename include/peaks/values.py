"""Values of the traffic's week: what was counted, what was learned from it, and when a push may begin.

Moments are tz-aware UTC, levels are requests per second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum

import numpy as np
import numpy.typing as npt

SLOT_MINUTES = 15
SLOTS_PER_DAY = 24 * 60 // SLOT_MINUTES
SLOTS_PER_WEEK = 7 * SLOTS_PER_DAY
PERIOD_SECONDS = SLOT_MINUTES * 60
MOST_REQUESTS = 1e15  # in a period: more is no traffic, and its squares are near what a float can hold


@dataclass(frozen=True, eq=False)
class Counts:
    """What the metric store has of a market: `starts` (int64, seconds since the epoch, ascending, of periods of
    `period_seconds`) and `counts` (float64, requests in each). Periods that it does not have are not there."""

    starts: npt.NDArray[np.int64]
    counts: npt.NDArray[np.float64]
    period_seconds: int = PERIOD_SECONDS


def can_be_counts(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """False where it is no number of requests: not finite, negative, or beyond `MOST_REQUESTS`."""
    return np.asarray(np.isfinite(counts) & (counts >= 0) & (counts <= MOST_REQUESTS))


@dataclass(frozen=True)
class Freeze:
    """No push begins in [start, end)."""

    start: datetime
    end: datetime
    why: str


@dataclass(frozen=True)
class Calendar:
    """How a market counts its days: its time zone (IANA), days that are lived as another weekday (0 = Monday), and
    freezes."""

    time_zone: str = "UTC"
    holidays: Mapping[date, int] = field(default_factory=dict)
    freezes: tuple[Freeze, ...] = ()


@dataclass(frozen=True)
class Rules:
    """What is quiet: below `below_share` (0-1) of the day's peak for at least `least_seconds`, the time a push takes.
    `quiet_hours` (market's own time; an end that is not later is of the next day) stand in where there are less than
    `least_days` of data, or no such window."""

    below_share: float
    least_seconds: float
    least_days: float = 7.0
    quiet_hours: tuple[tuple[time, time], ...] = ()


@dataclass(frozen=True, eq=False)
class Curve:
    """A market's week in its own time: `level` and `spread` (float64, SLOTS_PER_WEEK values, requests per second) of
    each quarter of an hour from Monday 00:00 on. `spread` is a robust standard deviation. `days`: of how many days of
    data it was learned, up to `until`. `error`: standard error of each level (None: not known, taken for 0).
    `growth`: what the logarithm of the level gains in a week; `level` is that of `until`."""

    time_zone: str
    level: npt.NDArray[np.float64]
    spread: npt.NDArray[np.float64]
    days: float
    until: datetime
    error: npt.NDArray[np.float64] | None = None
    growth: float = 0.0


@dataclass(frozen=True)
class Window:
    """A push may begin in [start, end), and should be over by `end`."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        return self.end - self.start


class Source(StrEnum):
    """Where windows come from: the market's own traffic, or the settings' hours."""

    LEARNED = "learned"
    CONFIGURED = "configured"


@dataclass(frozen=True)
class Outlook:
    """The windows of the days to come, in order, without overlap; `why` says where they come from, and what is
    unusual about them, in a sentence. `too_short`: quiet stretches in which no push can be over before they end."""

    source: Source
    why: str
    windows: tuple[Window, ...]
    calendar: Calendar = field(default_factory=Calendar)
    curve: Curve | None = None
    too_short: tuple[Window, ...] = ()


@dataclass(frozen=True)
class Answer:
    """Whether a push may begin now. Open: until `until` it is quiet. Else `opens` is the next moment at which it may
    (None: not within the days looked at), and `why` says what is waited for and until when, in the market's time."""

    is_open: bool
    why: str
    until: datetime | None = None
    opens: datetime | None = None
