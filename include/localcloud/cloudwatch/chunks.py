"""Samples of one series: an open head that grows by append, and sealed chunks that are small and immutable.

A sample is (time, value, count): `count` occurrences of `value` at `time`. Sealing is lossless: a constant chunk
keeps one number, values that float32 holds exactly are kept as float32, times as 16-bit offsets where they fit.
Rolling up (after the high-resolution retention) is not: per minute the smallest and the largest sample stay, and
what lies between becomes a few means with their counts, so SampleCount, Sum, Average, Minimum and Maximum stay
exact and percentiles become approximate, as in CloudWatch itself.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SAMPLES_PER_CHUNK = 512
POINTS_PER_ROLLED_MINUTE = 8

Floats = NDArray[np.float64]
Times = NDArray[np.int64]


@dataclass(frozen=True)
class Samples:
    """Three arrays of equal length: seconds since the epoch (int64), values, counts (None: every count is 1)."""

    times: Times
    values: Floats
    counts: Floats | None

    def __len__(self) -> int:
        return len(self.times)

    def weights(self) -> Floats:
        return np.ones(len(self.times)) if self.counts is None else self.counts


class Head:
    """The growing end of a series; the caller serialises access."""

    __slots__ = ("counts", "times", "values")

    def __init__(self) -> None:
        self.times = array("I")
        self.values = array("d")
        self.counts: array[float] | None = None

    def __len__(self) -> int:
        return len(self.times)

    def append(self, time: int, value: float) -> None:
        self.times.append(time)
        self.values.append(value)
        if self.counts is not None:
            self.counts.append(1.0)

    def append_counted(self, time: int, value: float, count: float) -> None:
        if self.counts is None:
            self.counts = array("d", [1.0]) * len(self.times)
        self.times.append(time)
        self.values.append(value)
        self.counts.append(count)

    def samples(self) -> Samples:
        """A copy, so that the head may grow (an array with a live view of it cannot)."""
        counts = None if self.counts is None else np.array(self.counts, dtype=np.float64)
        return Samples(np.array(self.times, dtype=np.int64), np.array(self.values, dtype=np.float64), counts)


class Chunk:
    """Sealed samples in any order; `first` and `last` are the bounds of their times."""

    __slots__ = ("_counts", "_offsets", "_values", "first", "is_rolled_up", "last", "size")

    def __init__(self, samples: Samples, *, is_rolled_up: bool = False) -> None:
        self.size = len(samples)
        self.first, self.last = int(samples.times.min()), int(samples.times.max())
        self.is_rolled_up = is_rolled_up
        offset_type = np.uint16 if self.last - self.first < 1 << 16 else np.uint32
        self._offsets: NDArray[Any] = (samples.times - self.first).astype(offset_type)
        self._values = _pack(samples.values)
        self._counts = None if samples.counts is None else _pack(samples.counts)

    def samples(self) -> Samples:
        counts = None if self._counts is None else self._unpack(self._counts)
        return Samples(self._offsets.astype(np.int64) + self.first, self._unpack(self._values), counts)

    def _unpack(self, packed: NDArray[Any]) -> Floats:
        return np.full(self.size, packed[0], dtype=np.float64) if len(packed) == 1 else packed.astype(np.float64)


def _pack(values: Floats) -> NDArray[Any]:
    if (values == values[0]).all():
        return values[:1].copy()
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    return narrow if (narrow == values).all() else values


def join_samples(parts: list[Samples]) -> Samples:
    """The samples of all parts; empty for no parts."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return Samples(np.empty(0, np.int64), np.empty(0), None)
    counts = None if all(part.counts is None for part in parts) else np.concatenate([p.weights() for p in parts])
    times = np.concatenate([part.times for part in parts])
    return Samples(times, np.concatenate([part.values for part in parts]), counts)


def roll_up(samples: Samples, points: int = POINTS_PER_ROLLED_MINUTE) -> Samples:
    """At most `points` (>= 3) samples per minute, times floored to the minute; the module says what is kept."""
    minutes, values, counts = _count_equal_values(samples)
    is_start = np.concatenate(([True], minutes[1:] != minutes[:-1]))
    starts = np.flatnonzero(is_start)
    group = np.cumsum(is_start) - 1
    sizes = np.diff(np.append(starts, len(minutes)))[group]
    rank = np.arange(len(minutes)) - starts[group]
    middle = 1 + (rank - 1) * (points - 2) // np.maximum(sizes - 2, 1)
    slot = np.where(rank == 0, 0, np.where(rank == sizes - 1, points - 1, middle))
    slot = np.where(sizes <= points, rank, slot)
    cuts = np.flatnonzero(np.concatenate(([True], (group[1:] != group[:-1]) | (slot[1:] != slot[:-1]))))
    totals = np.add.reduceat(counts, cuts)
    alone = np.diff(np.append(cuts, len(minutes))) == 1
    means = np.where(alone, values[cuts], np.add.reduceat(values * counts, cuts) / totals)
    return Samples(minutes[cuts], means, None if (totals == 1.0).all() else totals)


def _count_equal_values(samples: Samples) -> tuple[Times, Floats, Floats]:
    """Minutes, values and counts, sorted; equal values of a minute are one sample (most counters never move)."""
    minutes = samples.times - samples.times % 60
    order = np.lexsort((samples.values, minutes))
    minutes, values, counts = minutes[order], samples.values[order], samples.weights()[order]
    is_new = np.concatenate(([True], (minutes[1:] != minutes[:-1]) | (values[1:] != values[:-1])))
    cuts = np.flatnonzero(is_new)
    return minutes[cuts], values[cuts], np.add.reduceat(counts, cuts)
