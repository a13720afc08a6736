"""An outlook as JSON: what the ledger keeps of it, and what is still read when the metric store is away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from include.errors import ConfigError
from include.peaks.values import SLOTS_PER_WEEK, Calendar, Curve, Freeze, Outlook, Source, Window

SCHEMA = 1
HOURS_PER_WEEK = 7 * 24
SLOTS_PER_HOUR = SLOTS_PER_WEEK // HOURS_PER_WEEK
DIGITS = 4
"""Significant ones, of a level."""
EDGE = timedelta(minutes=15)
TOLD_AGAIN = timedelta(days=1)


def outlook_data(outlook: Outlook) -> dict[str, Any]:
    """Plain JSON under a schema number; of the curve the means of its 168 hours."""
    calendar = outlook.calendar
    return {
        "schema": SCHEMA,
        "source": outlook.source.value,
        "why": outlook.why,
        "windows": _edges(outlook.windows),
        "too_short": _edges(outlook.too_short),
        "time_zone": calendar.time_zone,
        "holidays": {day.isoformat(): like for day, like in sorted(calendar.holidays.items())},
        "freezes": [[_iso(one.start), _iso(one.end), one.why] for one in calendar.freezes],
        "curve": None if outlook.curve is None else _curve_data(outlook.curve),
    }


def outlook_of(data: Mapping[str, Any]) -> Outlook:
    """What `outlook_data` told; each quarter of an hour has its hour's level. ConfigError for what this version cannot
    read."""
    if data.get("schema") != SCHEMA:
        raise _unreadable("schema", data.get("schema"))
    try:
        windows, too_short = (_windows_of(data[name]) for name in ("windows", "too_short"))
        curve = None if data["curve"] is None else _curve_of(data["curve"])
        return Outlook(Source(data["source"]), str(data["why"]), windows, _calendar_of(data), curve, too_short)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unreadable("outlook", str(error)) from error


def has_changed(kept: Mapping[str, Any], data: Mapping[str, Any], kept_at: datetime, now: datetime) -> bool:
    """Whether `data` is news beside what was kept at `kept_at`: other days, another source, or a window of the time
    that both see whose edge has moved by more than a quarter of an hour. What is a day old is told again."""
    if kept.get("schema") != data["schema"] or now - kept_at >= TOLD_AGAIN:
        return True
    if any(kept.get(name) != data[name] for name in ("source", "time_zone", "holidays", "freezes")):
        return True
    old, new = _ahead(kept, now), _ahead(data, now)
    if not old or not new:
        return bool(old) != bool(new)
    seen_until = min(max(end for _, end in edges) for edges in (old, new))
    old, new = ([one for one in edges if one[1] <= seen_until + EDGE] for edges in (old, new))
    if len(old) != len(new):
        return True
    pairs = zip(old, new, strict=True)
    return any(
        abs(a - b) > EDGE for one, other in pairs for a, b in zip(_clipped(one, now), _clipped(other, now), strict=True)
    )


def _ahead(data: Mapping[str, Any], now: datetime) -> list[tuple[datetime, datetime]]:
    edges = [(_moment(start), _moment(end)) for start, end in data["windows"]]
    return [one for one in edges if one[1] > now + EDGE]


def _clipped(edges: tuple[datetime, datetime], now: datetime) -> tuple[datetime, datetime]:
    """When a window under way began is no news."""
    return max(edges[0], now), edges[1]


def _calendar_of(data: Mapping[str, Any]) -> Calendar:
    return Calendar(
        time_zone=str(data["time_zone"]),
        holidays={date.fromisoformat(day): int(like) for day, like in data["holidays"].items()},
        freezes=tuple(Freeze(_moment(start), _moment(end), str(why)) for start, end, why in data["freezes"]),
    )


def _windows_of(edges: Sequence[Sequence[str]]) -> tuple[Window, ...]:
    return tuple(Window(_moment(start), _moment(end)) for start, end in edges)


def _unreadable(key: str, value: object) -> ConfigError:
    return ConfigError("this version cannot read it", source="windows in the ledger", key=key, value=value)


def _edges(windows: Sequence[Window]) -> list[list[str]]:
    return [[_iso(one.start), _iso(one.end)] for one in windows]


def _curve_data(curve: Curve) -> dict[str, Any]:
    return {
        "time_zone": curve.time_zone,
        "level_rps": _by_the_hour(curve.level),
        "spread_rps": _by_the_hour(curve.spread),
        "error_rps": None if curve.error is None else _by_the_hour(curve.error),
        "days": round(curve.days, 2),
        "until": _iso(curve.until),
    }


def _curve_of(data: Mapping[str, Any]) -> Curve:
    level, spread = (_by_the_slot(data[name]) for name in ("level_rps", "spread_rps"))
    error = None if data["error_rps"] is None else _by_the_slot(data["error_rps"])
    return Curve(str(data["time_zone"]), level, spread, float(data["days"]), _moment(data["until"]), error)


def _by_the_hour(values: npt.NDArray[np.float64]) -> list[float | None]:
    """Hours of which nothing is known are null: JSON has no other word for it."""
    rows = values.reshape(HOURS_PER_WEEK, SLOTS_PER_HOUR)
    known = np.isfinite(rows)
    sums, numbers = np.where(known, rows, 0.0).sum(axis=1), known.sum(axis=1)
    return [
        float(f"{total / number:.{DIGITS}g}") if number else None for total, number in zip(sums, numbers, strict=True)
    ]


def _by_the_slot(hours: list[float | None]) -> npt.NDArray[np.float64]:
    known = np.array([np.nan if one is None else float(one) for one in hours], dtype=np.float64)
    if known.shape != (HOURS_PER_WEEK,):
        raise ValueError(f"a week has {HOURS_PER_WEEK} hours, found {len(hours)}")
    return np.repeat(known, SLOTS_PER_HOUR)


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
