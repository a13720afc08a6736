"""Three markets whose traffic is known: their regions' windows, learned as the product learns them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from include.peaks import Calendar, Counts, Freeze, Rules, answer_at, learn_curve, quiet_windows
from include.peaks.values import PERIOD_SECONDS, SLOTS_PER_DAY
from include.reports.windows_facts import Overruled, RegionWindows

NOW = datetime(2026, 11, 24, 5, 20, tzinfo=UTC)
"""A Tuesday: 21:20 of Monday in Los Angeles, 00:20 in New York, 05:20 in Dublin."""
MARKETS = {
    "us-east-1": ("Americas, east", "America/New_York", 410.0),
    "us-west-2": ("Americas, west", "America/Los_Angeles", 290.0),
    "eu-west-1": ("Europe", "Europe/Dublin", 180.0),
}
RULES = Rules(0.6, 1500.0, 7.0, ((time(1), time(7)),))
FREEZE = Freeze(
    datetime(2026, 11, 26, 12, tzinfo=UTC), datetime(2026, 11, 28, 5, tzinfo=UTC), "nobody is in the office"
)


def evening_traffic(zone: str, peak_rps: float, seed: int = 1, days: int = 28, now: datetime = NOW) -> Counts:
    """Requests of people who watch in the evening, and longer at weekends; with noise, holes and a spike."""
    chance, here = np.random.default_rng(seed), ZoneInfo(zone)
    last = int(now.timestamp()) // PERIOD_SECONDS * PERIOD_SECONDS
    starts = np.arange(last - days * 86_400, last, PERIOD_SECONDS, dtype=np.int64)
    levels = np.array([_level(datetime.fromtimestamp(int(one), here)) for one in starts]) * peak_rps
    of_day = np.repeat(np.exp(chance.normal(0, 0.09, days + 1)), SLOTS_PER_DAY)[: starts.size]
    means = levels * of_day * PERIOD_SECONDS * np.exp(chance.normal(0, 0.03, starts.size))
    counts = chance.poisson(means).astype(float)
    counts[chance.integers(0, starts.size, 3)] *= 8
    kept = chance.random(starts.size) > 0.03
    return Counts(starts[kept], counts[kept])


def _level(local: datetime) -> float:
    hour = local.hour + local.minute / 60
    evening = np.exp(-((((hour - 20.3) + 12) % 24 - 12) ** 2) / 14)
    day = 0.7 * np.exp(-((hour - 13.5) ** 2) / 20)
    weekend = 1.16 if local.weekday() >= 5 else 1.0
    return float(0.1 + 0.76 * (evening + day * weekend) * weekend)


def region(
    name: str = "us-west-2",
    *,
    freezes: tuple[Freeze, ...] = (),
    override: Overruled | None = None,
    wave: int = 1,
    counted: bool = True,
    days: int = 28,
    now: datetime = NOW,
    words: Callable[[str], str] = str,
) -> RegionWindows:
    """A region as of `now`. `words` makes of each name and reason what is to be shown."""
    market, zone, peak = MARKETS[name]
    counts = evening_traffic(zone, peak, days=days, now=now)
    calendar = Calendar(zone, {date(2026, 11, 26): 6} if name != "eu-west-1" else {}, freezes)
    outlook = quiet_windows(learn_curve(counts, calendar, now), calendar, RULES, now)
    return RegionWindows(
        region=words(name),
        market=words(market),
        time_zone=zone,
        outlook=outlook,
        answer=answer_at(outlook, RULES, now),
        below_share=RULES.below_share,
        push_seconds=RULES.least_seconds,
        learned_at=now - timedelta(hours=1, minutes=13),
        wave=wave,
        override=override,
        counted=counts if counted else None,
    )


def three_regions(**more: object) -> list[RegionWindows]:
    """In the order of the settings; Europe, which has the least traffic, comes first."""
    return [
        region("us-east-1", wave=3, **more),  # type: ignore[arg-type]
        region("us-west-2", wave=2, **more),  # type: ignore[arg-type]
        region("eu-west-1", wave=1, **more),  # type: ignore[arg-type]
    ]
