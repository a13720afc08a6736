"""One plain market for tests: its level by the hour of its own day, counted without noise."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np

from include.peaks import Calendar, Counts, Rules

NOW = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)  # a Wednesday; New York has left its summer time on the 1st
NEW_YORK = Calendar("America/New_York")
NIGHT = ((time(1), time(7)),)
RULES = Rules(below_share=0.6, least_seconds=3600, quiet_hours=NIGHT)
Level = Callable[[datetime], float]


def evening(at: datetime, peak_hour: float = 20.0, width: float = 3.5) -> float:
    """100 requests per second at 8 in the evening, 20 in the morning."""
    hour = at.hour + at.minute / 60
    away = (hour - peak_hour + 12) % 24 - 12
    return 20 + 80 * float(np.exp(-0.5 * (away / width) ** 2))


@cache
def counted(
    level: Level = evening, *, zone: str = "America/New_York", days: float = 28, now: datetime = NOW, period: int = 900
) -> Counts:
    """What a metric store has of it up to `now`."""
    last = int(now.timestamp()) // period * period
    starts = np.arange(last - int(days * 86_400), last, period, dtype=np.int64)
    parts = period // 900
    rates = [
        np.mean([level(datetime.fromtimestamp(start + 900 * part + 450, ZoneInfo(zone))) for part in range(parts)])
        for start in starts.tolist()
    ]
    return Counts(starts, np.asarray(rates) * period, period)


def changed(counts: Counts, begin: datetime, length: timedelta, factor: float) -> Counts:
    """The counts, `factor` times as many for a while; 0: an outage."""
    on = (counts.starts >= begin.timestamp()) & (counts.starts < (begin + length).timestamp())
    return Counts(counts.starts, np.where(on, counts.counts * factor, counts.counts), counts.period_seconds)


def without(counts: Counts, begin: datetime, length: timedelta) -> Counts:
    """The counts with a hole."""
    kept = (counts.starts < begin.timestamp()) | (counts.starts >= (begin + length).timestamp())
    return Counts(counts.starts[kept], counts.counts[kept], counts.period_seconds)
