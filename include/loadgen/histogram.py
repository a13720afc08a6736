"""Latencies in buckets whose bounds grow by 2 %: merged, subtracted and asked for quantiles without the values.

A quantile is at most 2 % above the value it stands for. Values outside LOWEST_MS .. HIGHEST_MS count as the nearest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil, log

LOWEST_MS = 0.01
HIGHEST_MS = 600_000.0
GROWTH = 1.02
_SCALE = 1.0 / log(GROWTH)
BUCKETS = ceil(log(HIGHEST_MS / LOWEST_MS) * _SCALE) + 1


def bucket_of(value_ms: float) -> int:
    """Index of the bucket; bucket i holds what is above LOWEST_MS * GROWTH ** (i - 1) and not above the next."""
    if value_ms <= LOWEST_MS:
        return 0
    return min(ceil(log(value_ms / LOWEST_MS) * _SCALE), BUCKETS - 1)


@dataclass(frozen=True)
class Histogram:
    """Counts per bucket, as many as BUCKETS, and the sum of the values in ms."""

    counts: tuple[int, ...] = (0,) * BUCKETS
    sum_ms: float = 0.0

    @classmethod
    def of(cls, values_ms: Iterable[float]) -> Histogram:
        counts, total = [0] * BUCKETS, 0.0
        for value in values_ms:
            counts[bucket_of(value)] += 1
            total += value
        return cls(tuple(counts), total)

    @classmethod
    def from_document(cls, document: Mapping[str, object]) -> Histogram:
        """What `to_document` gave; ValueError or TypeError for anything else."""
        sparse = document.get("counts")
        if not isinstance(sparse, Mapping):
            raise ValueError("a histogram without counts")
        counts = [0] * BUCKETS
        for place, count in sparse.items():
            counts[min(int(place), BUCKETS - 1)] += int(count)
        return cls(tuple(counts), float(str(document.get("sum_ms", 0.0))))

    def to_document(self) -> dict[str, object]:
        """JSON: only the buckets that hold something."""
        return {"counts": {str(i): count for i, count in enumerate(self.counts) if count}, "sum_ms": self.sum_ms}

    @property
    def count(self) -> int:
        return sum(self.counts)

    @property
    def mean_ms(self) -> float:
        """0.0 without values."""
        return self.sum_ms / self.count if self.count else 0.0

    @property
    def maximum_ms(self) -> float:
        return self.quantile(1.0)

    def quantile(self, level: float) -> float:
        """Upper bound of the bucket with the nearest-rank quantile, in ms; 0.0 without values."""
        wanted, seen = max(ceil(level * self.count), 1), 0
        for place, count in enumerate(self.counts):
            seen += count
            if seen >= wanted:
                return float(LOWEST_MS * GROWTH**place)
        return 0.0

    def __add__(self, other: Histogram) -> Histogram:
        pairs = zip(self.counts, other.counts, strict=True)
        return Histogram(tuple(a + b for a, b in pairs), self.sum_ms + other.sum_ms)

    def __sub__(self, other: Histogram) -> Histogram:
        pairs = zip(self.counts, other.counts, strict=True)
        return Histogram(tuple(a - b for a, b in pairs), self.sum_ms - other.sum_ms)
