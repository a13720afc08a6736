"""A market's own clock, for many moments at once; and moments as people say them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from include.peaks.values import PERIOD_SECONDS, SLOTS_PER_DAY, SLOTS_PER_WEEK

Ints = npt.NDArray[np.int64]
_DAY_SECONDS = 86_400
_FIRST_MONDAY_SLOTS = 3 * SLOTS_PER_DAY  # the epoch was a Thursday


def local_slots(time_zone: str, moments: Ints) -> Ints:
    """Quarters of an hour that the market's clock has counted since its own 1970-01-01 00:00, at `moments` (UTC
    seconds). A change of the clock skips an hour of them, or gives an hour twice."""
    if not moments.size:
        return moments.copy()
    changes, offsets = _offsets(ZoneInfo(time_zone), int(moments.min()), int(moments.max()))
    ahead = offsets[np.searchsorted(changes, moments, side="right")]
    return (moments + ahead) // PERIOD_SECONDS


def slots_of_week(slots: Ints) -> Ints:
    """0 is Monday 00:00 by the market's clock."""
    return (slots + _FIRST_MONDAY_SLOTS) % SLOTS_PER_WEEK


def day_number(day: date) -> int:
    """Days since 1970-01-01; a slot's is `slot // SLOTS_PER_DAY`."""
    return day.toordinal() - date(1970, 1, 1).toordinal()


def moment_of(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def spoken_moment(moment: datetime, time_zone: str) -> str:
    """`Tue 24 Nov 01:15 (America/New_York, 06:15 UTC)`; the day in UTC too where it is another one."""
    here, there = moment.astimezone(ZoneInfo(time_zone)), moment.astimezone(UTC)
    if time_zone == "UTC":
        return f"{here:%a %-d %b %H:%M} UTC"
    other = f"{there:%H:%M}" if here.date() == there.date() else f"{there:%a %H:%M}"
    return f"{here:%a %-d %b %H:%M} ({time_zone}, {other} UTC)"


def spoken_length(seconds: float) -> str:
    """`45 min`, `2 h`, `2 h 30 min`."""
    minutes = round(seconds / 60)
    hours, rest = divmod(minutes, 60)
    if seconds < 60:
        return f"{seconds:.0f} s"
    return " ".join(part for part in (f"{hours} h" if hours else "", f"{rest} min" if rest else "") if part)


def _offsets(zone: ZoneInfo, first: int, last: int) -> tuple[Ints, Ints]:
    """When the zone's offset changes between two moments, and the offsets: one more than changes."""
    days = range(first, last + _DAY_SECONDS, _DAY_SECONDS)
    known = [_offset(zone, day) for day in days]
    changes, offsets = [], [known[0]]
    for day, before, after in zip(days, known, known[1:], strict=False):
        if before != after:
            changes.append(_change(zone, day, day + _DAY_SECONDS))
            offsets.append(after)
    return np.asarray(changes, dtype=np.int64), np.asarray(offsets, dtype=np.int64)


def _change(zone: ZoneInfo, low: int, high: int) -> int:
    before = _offset(zone, low)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
    return high


def _offset(zone: ZoneInfo, seconds: int) -> int:
    offset = datetime.fromtimestamp(seconds, zone).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())
