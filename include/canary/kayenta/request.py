"""The series in Kayenta's request: lists of numbers -> one grid, whatever their lengths."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from include.canary.kayenta.lookup import is_finite, is_number, lookup
from include.canary.series import Floats, MetricPairs
from include.errors import ConfigError

_WORDS = {"NaN": math.nan, "Infinity": math.inf, "+Infinity": math.inf, "-Infinity": -math.inf}
_NUMBERS = {int, float, type(None)}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STEP_SECONDS = 60
_LONGEST_STEP_SECONDS = 366 * 24 * 3600


@dataclass(frozen=True)
class Pair:
    """One entry of `metricSetPairList`: both sides as they were measured, NaN for gaps, of any two lengths."""

    name: str
    baseline: Floats
    canary: Floats
    tags: Mapping[str, str] = field(default_factory=dict)
    id: str = ""
    start: datetime | None = None
    step_seconds: int | None = None
    attributes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def _number(value: Any) -> float | None:
    """NaN for a gap, None for what is no number."""
    if value is None:
        return math.nan
    if is_number(value):
        return float(value)
    return _WORDS.get(value) if isinstance(value, str) else None


def read_values(values: Any, *, source: str, place: str) -> Floats:
    """float64 [n] of JSON numbers, null or "NaN" for gaps, "Infinity". Raises ConfigError with the place."""
    if not isinstance(values, list):
        raise ConfigError("must be a list of numbers", source=source, key=place, value=values)
    if set(map(type, values)) <= _NUMBERS:
        try:
            return np.array(values, dtype=np.float64)
        except OverflowError:
            pass  # a whole number beyond all floats: named below
    numbers = [_number(value) for value in values]
    for number, value in zip(range(len(values)), values, strict=True):
        if numbers[number] is None:
            raise ConfigError("is no number", source=source, key=f"{place}.{number}", value=value)
    return np.array(numbers, dtype=np.float64)


def _tags(body: Mapping[str, Any], *, source: str, place: str) -> dict[str, str]:
    tags = body.get("tags")
    if tags is None:
        return {}
    if not isinstance(tags, Mapping):
        raise ConfigError("must be an object of strings", source=source, key=f"{place}.tags", value=tags)
    for key, value in tags.items():
        if not isinstance(value, str):
            raise ConfigError("must be a string", source=source, key=f"{place}.tags.{key}", value=value)
    return dict(tags)


def read_moment(text: Any, *, source: str, place: str) -> datetime:
    """A tz-aware moment from ISO 8601 text; without an offset it is UTC. Raises ConfigError."""
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise ConfigError("is no ISO 8601 time", source=source, key=place, value=text) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _of_millis(value: Any, *, source: str, place: str) -> datetime:
    try:
        return _EPOCH + timedelta(milliseconds=value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigError("is no time in milliseconds", source=source, key=place, value=value) from error


def read_step(value: Any, *, source: str, place: str, per_second: float = 1.0) -> int:
    """Whole seconds, at least one, from a number of 1 / `per_second` seconds. Raises ConfigError."""
    if not is_finite(value) or not 0 < value / per_second <= _LONGEST_STEP_SECONDS:
        raise ConfigError("must be a number over 0, and a year at most", source=source, key=place, value=value)
    return max(round(value / per_second), 1)


def _start(body: Mapping[str, Any], *, source: str, place: str) -> datetime | None:
    found = lookup(body, ("scopes", "control", "startTimeIso"))
    if found is not None:
        return read_moment(found, source=source, place=f"{place}.scopes.control.startTimeIso")
    millis = lookup(body, ("scopes", "control", "startTimeMillis"))
    if millis is not None:
        return _of_millis(millis, source=source, place=f"{place}.scopes.control.startTimeMillis")
    # Attributes are the metric store's own words: no fault of the request if they are no time.
    try:
        return read_moment(lookup(body, ("attributes", "control", "start")), source=source, place=place)
    except ConfigError:
        return None


def _step(body: Mapping[str, Any], *, source: str, place: str) -> int | None:
    millis = lookup(body, ("scopes", "control", "stepMillis"))
    if millis is not None:
        return read_step(millis, source=source, place=f"{place}.scopes.control.stepMillis", per_second=1000.0)
    seconds = lookup(body, ("attributes", "control", "step"))
    return read_step(float(seconds), source=source, place=place) if str(seconds).isdecimal() else None


def read_pair(body: Any, *, source: str, place: str) -> Pair:
    """One entry of `metricSetPairList`. Raises ConfigError with the place and the value."""
    if not isinstance(body, Mapping):
        raise ConfigError("must be an object", source=source, key=place, value=body)
    name, values = body.get("name"), body.get("values")
    if not isinstance(name, str) or not name:
        raise ConfigError("must be a name", source=source, key=f"{place}.name", value=name)
    if not isinstance(values, Mapping):
        raise ConfigError("must hold control and experiment", source=source, key=f"{place}.values", value=values)
    control, experiment = (
        read_values(values.get(side), source=source, place=f"{place}.values.{side}")
        for side in ("control", "experiment")
    )
    return Pair(
        name=name,
        baseline=control,
        canary=experiment,
        tags=_tags(body, source=source, place=place),
        id=body["id"] if isinstance(body.get("id"), str) else "",
        start=_start(body, source=source, place=place),
        step_seconds=_step(body, source=source, place=place),
    )


@dataclass(frozen=True)
class RequestedPairs(MetricPairs):
    """Metric pairs that remember the id which the request gave each, "" where it gave none."""

    ids: tuple[str, ...] = ()


def _grid(sides: Sequence[Floats], points: int) -> Floats:
    grid = np.full((len(sides), points), np.nan)
    for row, side in enumerate(sides):
        grid[row, : len(side)] = side
    return grid


def gather_pairs(pairs: Sequence[Pair]) -> RequestedPairs:
    """All pairs on one grid that begins, and steps, as the first pair that says so (else 1970, 60 s)."""
    lengths = np.array([(len(pair.baseline), len(pair.canary)) for pair in pairs], dtype=np.int64).reshape(-1, 2)
    points = int(lengths.max(initial=0))
    return RequestedPairs(
        names=tuple(pair.name for pair in pairs),
        baseline=_grid([pair.baseline for pair in pairs], points),
        canary=_grid([pair.canary for pair in pairs], points),
        start=next((pair.start for pair in pairs if pair.start), _EPOCH),
        step_seconds=next((pair.step_seconds for pair in pairs if pair.step_seconds), _STEP_SECONDS),
        tags=tuple(pair.tags for pair in pairs) if any(pair.tags for pair in pairs) else (),
        lengths=None if (lengths == points).all() else lengths,
        ids=tuple(pair.id for pair in pairs),
    )
