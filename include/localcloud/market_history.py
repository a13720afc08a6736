"""28 days of hourly request counts per market: what a real account's metric store would remember.

A market lives in one region and keeps its own hours: few requests before dawn, most in the evening, later and fuller
days at the weekend. The shape follows the market's local time, so a change to or from summer time moves it in UTC.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

HISTORY_DAYS = 28
_SECONDS = 3600


@dataclass(frozen=True)
class Market:
    """`evening_rps` is the mean rate of a weekday's busiest hour, `peak_hour` that hour's middle in local time."""

    region: str
    time_zone: str
    evening_rps: float
    peak_hour: float = 20.5


MARKETS: dict[str, Market] = {
    market.region: market
    for market in (
        Market("us-east-1", "America/New_York", 140.0),
        Market("us-west-2", "America/Los_Angeles", 50.0),
        Market("eu-west-1", "Europe/Dublin", 50.0, peak_hour=20.0),
    )
}
# Monday to Sunday, relative to a weekday's evening.
_WEEK = np.array([0.98, 0.97, 0.98, 1.0, 1.08, 1.18, 1.14])


@dataclass(frozen=True)
class HourlyRequests:
    """`hours`: int64, starts of full hours in seconds since the epoch, ascending; `counts`: float64, whole requests."""

    hours: npt.NDArray[np.int64]
    counts: npt.NDArray[np.float64]


def make_history(market: Market, until: datetime, *, days: int = HISTORY_DAYS, seed: int = 28) -> HourlyRequests:
    """The `days` x 24 full hours that end at or before `until` (tz-aware).

    An hour's count depends on the market, the seed and the hour alone, so histories made at different moments agree
    where they overlap.
    """
    last = int(until.timestamp()) // _SECONDS * _SECONDS
    hours = np.arange(last - days * 24 * _SECONDS, last, _SECONDS, dtype=np.int64)
    zone = ZoneInfo(market.time_zone)
    local = [datetime.fromtimestamp(int(hour), UTC).astimezone(zone) + timedelta(minutes=30) for hour in hours]
    clock_hours = np.array([moment.hour + moment.minute / 60 for moment in local])
    weekdays = np.array([moment.weekday() for moment in local])
    shape = _day_shape(clock_hours, weekdays >= 5, market.peak_hour) * _WEEK[weekdays]
    noise = np.array([_noise(market, seed, int(hour)) for hour in hours])
    return HourlyRequests(hours, np.round(market.evening_rps * _SECONDS * shape * noise))


def _day_shape(
    clock_hours: npt.NDArray[np.float64], is_weekend: npt.NDArray[np.bool_], peak_hour: float
) -> npt.NDArray[np.float64]:
    """Share of the evening's rate (0-1): a low floor, a broad afternoon (fuller at weekends), an evening peak."""
    afternoon = np.where(is_weekend, 0.42, 0.28)
    level = 0.10 + afternoon * _bump(clock_hours, 15.0, 3.5) + 0.80 * _bump(clock_hours, peak_hour, 2.2)
    top = 0.10 + 0.28 * _bump(np.array([peak_hour]), 15.0, 3.5)[0] + 0.80
    return level / top


def _bump(clock_hours: npt.NDArray[np.float64], middle: float, width: float) -> npt.NDArray[np.float64]:
    distance = (clock_hours - middle + 12) % 24 - 12  # around the clock: 23:30 is near 00:30
    return np.exp(-0.5 * (distance / width) ** 2)


def _noise(market: Market, seed: int, hour: int) -> float:
    words = hashlib.sha256(f"{market.region}/{seed}/{hour}".encode()).digest()[:16]
    generator = np.random.default_rng(int.from_bytes(words, "big"))
    return float(np.exp(generator.normal(0.0, 0.04)))
