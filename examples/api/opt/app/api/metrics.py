"""What is counted and measured between two ticks of the clock, and the series that come of it.

Counts are 0 where nothing happened. A latency or a size of nothing is not 0: such a series has no value then.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

Series = Iterator[tuple[str, float]]
QUANTILES = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))


class RequestTally:
    """Requests of one endpoint, or of all, in one period."""

    __slots__ = ("bytes", "classes", "exceptions", "latencies_ms")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.classes = [0, 0, 0, 0, 0, 0]
        self.exceptions = 0
        self.bytes = 0
        self.latencies_ms: list[float] = []

    def add(self, status: int, latency_ms: float, size_bytes: int) -> None:
        self.classes[status // 100] += 1
        self.latencies_ms.append(latency_ms)
        self.bytes += size_bytes

    def series(self, prefix: str) -> Series:
        requests = len(self.latencies_ms)
        yield f"{prefix}.requests", requests
        for family in (2, 4, 5):
            yield f"{prefix}.{family}xx", self.classes[family]
        yield f"{prefix}.exceptions", self.exceptions
        if requests:
            yield f"{prefix}.response_bytes", self.bytes / requests
            yield from latency_series(prefix, self.latencies_ms)


class CallTally:
    """Calls of one backing service in one period."""

    __slots__ = ("errors", "fallbacks", "latencies_ms", "timeouts")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.errors = self.timeouts = self.fallbacks = 0
        self.latencies_ms: list[float] = []

    def series(self, prefix: str) -> Series:
        yield f"{prefix}.calls", len(self.latencies_ms)
        yield f"{prefix}.errors", self.errors
        yield f"{prefix}.timeouts", self.timeouts
        yield f"{prefix}.fallbacks", self.fallbacks
        if self.latencies_ms:
            yield from latency_series(prefix, self.latencies_ms)


def latency_series(prefix: str, latencies_ms: list[float]) -> Series:
    """Nearest-rank quantiles, mean and maximum of a list that is not empty (it is sorted in place)."""
    latencies_ms.sort()
    for name, level in QUANTILES:
        yield f"{prefix}.latency_{name}_ms", quantile(latencies_ms, level)
    yield f"{prefix}.latency_mean_ms", sum(latencies_ms) / len(latencies_ms)
    yield f"{prefix}.latency_max_ms", latencies_ms[-1]


def quantile(ordered: list[float], level: float) -> float:
    """Nearest rank: the smallest value that at least `level` of all values do not exceed."""
    return ordered[max(ceil(level * len(ordered)) - 1, 0)]
