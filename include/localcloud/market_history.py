"""28 days of a market's request counts by the quarter of an hour: what a real account's metric store would remember.

A market lives in one region and keeps its own hours: few requests before dawn, most in the evening, later and fuller
days at the weekend. The shape follows the market's local time, so a change to or from summer time moves it in UTC.
Which hour its evening is at is the market's own: a small world may have it when that suits it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

HISTORY_DAYS = 28
SLOT_SECONDS = 900
_HALF_SLOT = timedelta(seconds=SLOT_SECONDS / 2)
_HALF_DAY = timedelta(hours=12)
_AFTERNOON_HOURS = 5.5  # its busiest moment is so long before the evening's


@dataclass(frozen=True)
class Market:
    """`evening_rps` is the mean rate of a weekday's busiest hour, `peak_hour` that hour's middle in local time.

    `noise` is how far a quarter of an hour is off its shape, relative (one standard deviation). With `all_alike` every
    day is a Wednesday.
    """

    region: str
    time_zone: str
    evening_rps: float
    peak_hour: float = 20.5
    noise: float = 0.04
    all_alike: bool = False


MARKETS: dict[str, Market] = {
    market.region: market
    for market in (
        Market("us-east-1", "America/New_York", 600.0),
        Market("us-west-2", "America/Los_Angeles", 400.0),
        Market("eu-west-1", "Europe/Dublin", 440.0, peak_hour=20.0),
    )
}
# Monday to Sunday, relative to a weekday's evening.
_WEEK = np.array([0.98, 0.97, 0.98, 1.0, 1.08, 1.18, 1.14])


@dataclass(frozen=True)
class SlotRequests:
    """`starts`: int64, starts of full slots in seconds since the epoch, ascending; `counts`: float64, whole numbers."""

    starts: npt.NDArray[np.int64]
    counts: npt.NDArray[np.float64]


def peaking_at(market: Market, moment: datetime) -> Market:
    """The market with its evening's middle at the local time that `moment` (tz-aware) is, on every day."""
    local = moment.astimezone(ZoneInfo(market.time_zone))
    return replace(market, peak_hour=_clock_hour(local))


def make_history(market: Market, until: datetime, *, days: int = HISTORY_DAYS, seed: int = 28) -> SlotRequests:
    """The `days` x 96 full quarters of an hour that end at or before `until` (tz-aware).

    A slot's count depends on the market, the seed and the slot alone, so histories made at different moments agree
    where they overlap; with another evening they differ in their shape, not in their noise.
    """
    last = int(until.timestamp()) // SLOT_SECONDS * SLOT_SECONDS
    starts = np.arange(last - days * 24 * 3600, last, SLOT_SECONDS, dtype=np.int64)
    zone = ZoneInfo(market.time_zone)
    middles = [datetime.fromtimestamp(int(start), UTC).astimezone(zone) + _HALF_SLOT for start in starts]
    clock_hours = np.array([_clock_hour(middle) for middle in middles])
    weekdays = np.full(starts.shape, 2) if market.all_alike else _weekdays(middles, market.peak_hour)
    shape = _day_shape(clock_hours, weekdays >= 5, market.peak_hour) * _WEEK[weekdays]
    noise = np.exp(market.noise * np.array([_deviate(market.region, seed, int(start)) for start in starts]))
    return SlotRequests(starts, np.round(market.evening_rps * SLOT_SECONDS * shape * noise))


def _clock_hour(local: datetime) -> float:
    return local.hour + local.minute / 60 + (local.second + local.microsecond / 1e6) / 3600


def _weekdays(local: Sequence[datetime], peak_hour: float) -> npt.NDArray[np.int64]:
    """0 for Monday: a market's day lies around its evening and ends when least is asked for, not at midnight."""
    day_begins = timedelta(hours=peak_hour) - _HALF_DAY
    return np.array([(moment - day_begins).weekday() for moment in local])


def _day_shape(
    clock_hours: npt.NDArray[np.float64], is_weekend: npt.NDArray[np.bool_], peak_hour: float
) -> npt.NDArray[np.float64]:
    """Share of the evening's rate (0-1): a low floor, a broad afternoon (fuller at weekends), an evening peak."""
    afternoon = np.where(is_weekend, 0.42, 0.28)
    middle = peak_hour - _AFTERNOON_HOURS
    level = 0.10 + afternoon * _bump(clock_hours, middle, 3.5) + 0.80 * _bump(clock_hours, peak_hour, 2.2)
    top = 0.10 + 0.28 * _bump(np.array([peak_hour]), middle, 3.5)[0] + 0.80
    return level / top


def _bump(clock_hours: npt.NDArray[np.float64], middle: float, width: float) -> npt.NDArray[np.float64]:
    distance = (clock_hours - middle + 12) % 24 - 12  # around the clock: 23:30 is near 00:30
    return np.exp(-0.5 * (distance / width) ** 2)


@lru_cache(maxsize=4 * HISTORY_DAYS * 96)
def _deviate(region: str, seed: int, start: int) -> float:
    """Of a standard normal distribution."""
    words = hashlib.sha256(f"{region}/{seed}/{start}".encode()).digest()[:16]
    return float(np.random.default_rng(int.from_bytes(words, "big")).normal())
