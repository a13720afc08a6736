"""Recorded canaries as a metric store: a folder of `*.npz` files, each with one judgement's pairs."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from include.adapters.metric_store import (
    PATIENCE_SECONDS,
    Scope,
    Stat,
    StoreHealth,
    stat_by_name,
    whole_steps,
)
from include.canary.series import MetricGrid, MetricPairs
from include.errors import ConfigError

Floats = npt.NDArray[np.float64]

SUFFIX = ".npz"
SIDES = ("baseline", "canary")
_REDUCE = {"Average": np.add, "Sum": np.add, "Minimum": np.fmin, "Maximum": np.fmax}
# What a file that was cut off, or is something else altogether, makes numpy and the standard library say.
_UNREADABLE = (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile, zlib.error)


def read_pairs(path: Path) -> MetricPairs:
    """The pairs of one recorded canary. Raises ConfigError with the path for a file that cannot be read as such."""
    try:
        with path.open("rb") as file:
            return MetricPairs.from_npz(file)
    except ConfigError as error:
        raise ConfigError(str(error), source=str(path)) from error
    except _UNREADABLE as error:
        raise ConfigError(f"cannot be read as a recorded canary: {error!r}", source=str(path)) from error


def row_name(pairs: MetricPairs, row: int) -> str:
    """A name that tells a row from all others: with its tags where it has some, as Prometheus writes them."""
    tags = ",".join(f"{name}={value}" for name, value in sorted(pairs.tags_of(row).items()))
    return f"{pairs.names[row]}{{{tags}}}" if tags else pairs.names[row]


def to_grid(pairs: MetricPairs) -> MetricGrid:
    """Recorded pairs as the grid of a store: scopes are the groups' names where recorded, else baseline and canary."""
    names = tuple(row_name(pairs, row) for row in range(len(pairs.names)))
    values = np.stack([pairs.baseline, pairs.canary])
    scopes = (group_of(pairs, "baseline"), group_of(pairs, "canary"))
    return MetricGrid(names, scopes, pairs.start, pairs.step_seconds, values, dict(pairs.errors))


def group_of(pairs: MetricPairs, side: str) -> str:
    return pairs.metadata.get(f"{side}_group", side)


class FileMetrics:
    """Reads recorded canaries below `folder`; stands in for a live store wherever one is asked by time and group.

    A scope is any mapping that holds a recorded group's name (or "baseline", "canary") as one of its values. Raises
    ConfigError for a folder that is none.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise ConfigError("is no folder", source="recorded canaries", key="folder", value=str(folder))
        self._folder = folder
        self._health = StoreHealth()

    @property
    def health(self) -> StoreHealth:
        """Files do not throttle: always as new."""
        return self._health

    def list_recordings(self) -> list[Path]:
        """The folder's recordings, and those of the folders below it, by path."""
        return sorted(path for path in self._folder.rglob(f"*{SUFFIX}") if path.is_file())

    def discover(
        self, scope: Scope, start: datetime, end: datetime, *, patience_seconds: float = PATIENCE_SECONDS
    ) -> list[str]:
        """Sorted names that a recording of the group holds data of in [start, end)."""
        del patience_seconds
        found: set[str] = set()
        for pairs in self._recordings(start, end):
            for values in _sides_of(pairs, scope):
                inside = _inside(pairs, start, end)
                rows = np.flatnonzero(~np.isnan(values[:, inside]).all(axis=1))
                found.update(row_name(pairs, int(row)) for row in rows)
        return sorted(found)

    def fetch(
        self,
        names: Sequence[str],
        scopes: Mapping[str, Scope],
        start: datetime,
        end: datetime,
        step_seconds: int,
        stat: Stat = "Average",
        *,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> MetricGrid:
        """As MetricStore.fetch, from every recording that touches [start, end); the later-begun one wins.

        Recorded points that fall into one step are put together by `stat`. An error that was recorded for a name is
        its error here too. Raises ConfigError for a step finer than a recording's, or a file that cannot be read.
        """
        del patience_seconds
        first, points = whole_steps(start, end, step_seconds)
        values = np.full((len(scopes), len(names), points), np.nan)
        errors: dict[str, str] = {}
        stat_of = stat_by_name(stat)
        for pairs in self._recordings(first, first + timedelta(seconds=step_seconds * points)):
            if pairs.step_seconds > step_seconds:
                reason = f"is finer than the {pairs.step_seconds} s of a recording"
                raise ConfigError(reason, source=str(self._folder), key="step_seconds", value=step_seconds)
            steps = _steps_of(pairs, first, step_seconds)
            for place, scope in enumerate(scopes.values()):
                for side in _sides_of(pairs, scope):
                    errors |= {name: words for name, words in pairs.errors.items() if name in names}
                    for row, column in _rows_of(pairs, names):
                        found = _gather(side[row], steps, points, stat_of(names[column]))
                        values[place, column] = np.where(np.isnan(found), values[place, column], found)
        values[:, [column for column, name in enumerate(names) if name in errors]] = np.nan
        return MetricGrid(tuple(names), tuple(scopes), first, step_seconds, values, errors)

    def _recordings(self, start: datetime, end: datetime) -> Iterator[MetricPairs]:
        """Those with a point in [start, end), by their beginning."""
        found = [read_pairs(path) for path in self.list_recordings()]
        touching = (pairs for pairs in found if _inside(pairs, start, end).any())
        yield from sorted(touching, key=lambda pairs: pairs.start)


def _sides_of(pairs: MetricPairs, scope: Scope) -> list[Floats]:
    """The recording's values of every side that the scope means; float64 [names, points]."""
    asked = set(scope.values())
    return [getattr(pairs, side) for side in SIDES if asked & {side, group_of(pairs, side)}]


def _rows_of(pairs: MetricPairs, names: Sequence[str]) -> list[tuple[int, int]]:
    """(row of the recording, place among `names`) of every name that it holds."""
    rows = {row_name(pairs, row): row for row in range(len(pairs.names))}
    return [(rows[name], column) for column, name in enumerate(names) if name in rows]


def _inside(pairs: MetricPairs, start: datetime, end: datetime) -> npt.NDArray[np.bool_]:
    times = pairs.start.timestamp() + pairs.step_seconds * np.arange(pairs.points)
    return (times >= start.timestamp()) & (times < end.timestamp())


def _steps_of(pairs: MetricPairs, first: datetime, step_seconds: int) -> npt.NDArray[np.int64]:
    """The step of the asked grid that each recorded point begins in; below 0 or beyond its end where it has none."""
    times = pairs.start.timestamp() - first.timestamp() + pairs.step_seconds * np.arange(pairs.points)
    return np.floor(times / step_seconds).astype(np.int64)


def _gather(row: Floats, steps: npt.NDArray[np.int64], points: int, stat: str) -> Floats:
    """float64 [points]: the row's values put together step by step; NaN for a step without any."""
    if stat not in _REDUCE:
        raise ConfigError(f"must be one of {', '.join(_REDUCE)}", source="recorded canaries", key="stat", value=stat)
    kept = (steps >= 0) & (steps < points) & ~np.isnan(row)
    counts = np.bincount(steps[kept], minlength=points)
    found = np.full(points, np.nan)
    found[counts > 0] = 0.0 if _REDUCE[stat] is np.add else np.nan
    _REDUCE[stat].at(found, steps[kept], row[kept])
    return found / np.maximum(counts, 1) if stat == "Average" else found
