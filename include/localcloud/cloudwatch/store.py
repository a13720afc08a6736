"""The metric store: series by account, region, namespace, name and the exact set of dimensions.

One lock per (account, region, namespace) partition, held for appending a request's rows or for taking references
and copies, never for arithmetic. Memory is bounded: high-resolution samples are rolled up to minutes after
`HIGH_RESOLUTION_SECONDS`, and above `max_samples` the oldest high-resolution data go first (a laptop keeps hours
where AWS keeps 15 days).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from include.localcloud.cloudwatch.aggregate import StatisticSet
from include.localcloud.cloudwatch.chunks import SAMPLES_PER_CHUNK, Chunk, Head, Samples, join_samples, roll_up

HIGH_RESOLUTION_SECONDS = 3 * 3600
FORGET_SERIES_SECONDS = 15 * 86400
DEFAULT_MAX_SAMPLES = 64_000_000
SWEEP_SECONDS = 5.0
CHUNKS_PER_SWEEP = 500  # some 0.1 s of work, in a request of whoever comes first

Dimensions = tuple[tuple[str, str], ...]
SeriesKey = tuple[str, Dimensions]
PartitionKey = tuple[str, str, str]


def sort_dimensions(dimensions: Mapping[str, str]) -> Dimensions:
    return tuple(sorted(dimensions.items()))


class Row:
    """One validated datum: `counts` None means once each; `statistic_set` replaces values."""

    __slots__ = ("counts", "is_high_resolution", "key", "statistic_set", "time", "unit", "values")

    def __init__(
        self,
        key: SeriesKey,
        time: int,
        values: Sequence[float],
        counts: Sequence[float] | None,
        unit: str,
        is_high_resolution: bool,
        statistic_set: StatisticSet | None = None,
    ) -> None:
        self.key, self.time, self.values, self.counts = key, time, values, counts
        self.unit, self.is_high_resolution, self.statistic_set = unit, is_high_resolution, statistic_set


class Series:
    """`unit` is that of its first datum; `last_time` the newest sample's, in seconds since the epoch."""

    __slots__ = ("chunks", "head", "is_high_resolution", "last_time", "sets", "unit")

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self.head = Head()
        self.chunks: list[Chunk] = []
        self.sets: list[StatisticSet] = []
        self.last_time = 0
        self.is_high_resolution = False

    @property
    def size(self) -> int:
        return len(self.head) + len(self.sets) + sum(chunk.size for chunk in self.chunks)


@dataclass(frozen=True)
class Reading:
    """What a query needs of one series; safe to use without a lock."""

    samples: Samples
    sets: list[StatisticSet]
    unit: str


class Partition:
    """The series of one namespace in one account and region."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.series: dict[SeriesKey, Series] = {}

    def append(self, rows: Sequence[Row]) -> None:
        with self.lock:
            table = self.series
            for row in rows:
                series = table.get(row.key)
                if series is None:
                    series = table[row.key] = Series(row.unit)
                time = row.time
                if time > series.last_time:
                    series.last_time = time
                if row.is_high_resolution:
                    series.is_high_resolution = True
                head = series.head
                if row.statistic_set is not None:
                    series.sets.append(row.statistic_set)
                elif row.counts is None:
                    for value in row.values:
                        head.append(time, value)
                else:
                    for value, count in zip(row.values, row.counts, strict=True):
                        head.append_counted(time, value, count)
                if len(head) >= SAMPLES_PER_CHUNK:
                    series.chunks.append(Chunk(head.samples()))
                    series.head = Head()

    def read(self, key: SeriesKey, start: int, end: int) -> Reading | None:
        """Samples that may lie in [start, end), and some that do not; None for an unknown series."""
        with self.lock:
            series = self.series.get(key)
            if series is None:
                return None
            chunks = [chunk for chunk in series.chunks if chunk.first < end and chunk.last >= start]
            head = series.head.samples() if len(series.head) else None
            sets = list(series.sets)
            unit = series.unit
        parts = [chunk.samples() for chunk in chunks]
        return Reading(join_samples([*parts, head] if head is not None else parts), sets, unit)

    def list_series(self, *, active_since: float) -> list[SeriesKey]:
        """Keys of series with a sample at or after `active_since`, in the order in which they appeared."""
        with self.lock:
            return [key for key, series in self.series.items() if series.last_time >= active_since]


class MetricStore:
    """All partitions, and the sweep that keeps them small."""

    def __init__(self, *, max_samples: int = DEFAULT_MAX_SAMPLES) -> None:
        self.max_samples = max_samples
        self._partitions: dict[PartitionKey, Partition] = {}
        self._lock = threading.Lock()
        self._sweeping = threading.Lock()
        self._next_sweep = 0.0

    def partition(self, account: str, region: str, namespace: str) -> Partition:
        key = (account, region, namespace)
        partition = self._partitions.get(key)
        if partition is None:
            with self._lock:
                partition = self._partitions.setdefault(key, Partition())
        return partition

    def find_partition(self, account: str, region: str, namespace: str) -> Partition | None:
        return self._partitions.get((account, region, namespace))

    def list_namespaces(self, account: str, region: str) -> list[str]:
        with self._lock:
            return [key[2] for key in self._partitions if key[:2] == (account, region)]

    def count_samples(self) -> int:
        return sum(series.size for _, _, series in self._all_series())

    def reset(self) -> None:
        with self._lock:
            self._partitions = {}
            self._next_sweep = 0.0

    def sweep_if_due(self, now: float) -> None:
        """Keep the store small; at most one thread does it, and only every `SWEEP_SECONDS`."""
        if now < self._next_sweep or not self._sweeping.acquire(blocking=False):
            return
        try:
            self._next_sweep = now + SWEEP_SECONDS
            self.sweep(now)
        finally:
            self._sweeping.release()

    def sweep(self, now: float, *, max_chunks: int = CHUNKS_PER_SWEEP) -> None:
        """Roll up at most `max_chunks` chunks (queries hide unrolled old data anyway), forget, keep the budget."""
        horizon = now - HIGH_RESOLUTION_SECONDS
        total = 0
        for partition, key, series in self._all_series():
            if series.is_high_resolution:
                if max_chunks > 0:
                    max_chunks -= _roll_up_chunks(partition, series, horizon, max_chunks)
                if series.last_time < now - FORGET_SERIES_SECONDS:
                    with partition.lock:
                        partition.series.pop(key, None)
            total += series.size
        if total > self.max_samples:
            self._drop_oldest(total - self.max_samples * 9 // 10)

    def _drop_oldest(self, excess: int) -> None:
        chunks = [
            (chunk.last, chunk.size)
            for _, _, series in self._all_series()
            if series.is_high_resolution
            for chunk in list(series.chunks)
        ]
        cutoff = 0
        for last, size in sorted(chunks):
            if excess <= 0:
                break
            cutoff, excess = last, excess - size
        for partition, _, series in self._all_series():
            if series.is_high_resolution:
                with partition.lock:
                    series.chunks = [chunk for chunk in series.chunks if chunk.last > cutoff]

    def _all_series(self) -> Iterator[tuple[Partition, SeriesKey, Series]]:
        with self._lock:
            partitions = list(self._partitions.values())
        for partition in partitions:
            with partition.lock:
                entries = list(partition.series.items())
            for key, series in entries:
                yield partition, key, series


def _roll_up_chunks(partition: Partition, series: Series, horizon: float, limit: int) -> int:
    due = [chunk for chunk in list(series.chunks) if chunk.last < horizon and not chunk.is_rolled_up][:limit]
    if not due:
        return 0
    small = {id(chunk): Chunk(roll_up(chunk.samples()), is_rolled_up=True) for chunk in due}
    with partition.lock:
        series.chunks = [small.get(id(chunk), chunk) for chunk in series.chunks]
    return len(due)
