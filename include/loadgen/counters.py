"""What a generator has seen: values that add and subtract, so that an interval is `after - before`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from include.loadgen.histogram import BUCKETS, Histogram, bucket_of

TIMEOUT = "timeout"
SAMPLES = 50
Tally = Mapping[str, int]


@dataclass(frozen=True)
class FailureSample:
    """One failure for a person to look at: `at` is seconds since the epoch, `kind` a status or a transport error."""

    at: float
    path: str
    kind: str
    group: str


@dataclass(frozen=True)
class Counters:
    """Cumulative. sent = ok + failed + abandoned + still under way.

    `statuses`: answers per status. `errors`: requests without an answer by kind (timeout, refused, reset, closed,
    malformed, ...). `served_by`: answers per x-served-by. `latency` is from the intended moment to the answer's last
    byte, a time-out counting as the time-out; `lateness` is the generator's own, from intended to handed over.
    `skipped`: never sent, since the generator itself stood still. `abandoned`: under way when it was stopped.
    """

    sent: int = 0
    statuses: Mapping[int, int] = field(default_factory=dict)
    errors: Tally = field(default_factory=dict)
    served_by: Tally = field(default_factory=dict)
    latency: Histogram = field(default_factory=Histogram)
    lateness: Histogram = field(default_factory=Histogram)
    skipped: int = 0
    abandoned: int = 0

    @property
    def failed(self) -> int:
        """No answer, or one of the 5xx. A 404 is an answer."""
        return sum(self.errors.values()) + sum(count for status, count in self.statuses.items() if status >= 500)

    @property
    def ok(self) -> int:
        return sum(count for status, count in self.statuses.items() if status < 500)

    @property
    def under_way(self) -> int:
        return self.sent - self.ok - self.failed - self.abandoned

    def by_part(self, place: int) -> dict[str, int]:
        """Answers per part of x-served-by `<group>/<instance>/<version>`; place 0 is the group, 2 the version."""
        found: Counter[str] = Counter()
        for name, count in self.served_by.items():
            found[(name.split("/") + ["", ""])[place] or "unknown"] += count
        return dict(found)

    def __add__(self, other: Counters) -> Counters:
        return self._joined(other, 1, self.latency + other.latency, self.lateness + other.lateness)

    def __sub__(self, other: Counters) -> Counters:
        return self._joined(other, -1, self.latency - other.latency, self.lateness - other.lateness)

    def _joined(self, other: Counters, sign: int, latency: Histogram, lateness: Histogram) -> Counters:
        return Counters(
            self.sent + sign * other.sent,
            _joined(self.statuses, other.statuses, sign),
            _joined(self.errors, other.errors, sign),
            _joined(self.served_by, other.served_by, sign),
            latency,
            lateness,
            self.skipped + sign * other.skipped,
            self.abandoned + sign * other.abandoned,
        )

    def to_document(self) -> dict[str, Any]:
        """JSON from which `from_document` makes an equal value."""
        return {
            "sent": self.sent,
            "statuses": {str(status): count for status, count in self.statuses.items()},
            "errors": dict(self.errors),
            "served_by": dict(self.served_by),
            "latency": self.latency.to_document(),
            "lateness": self.lateness.to_document(),
            "skipped": self.skipped,
            "abandoned": self.abandoned,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Counters:
        """KeyError, TypeError or ValueError for what is not such a document."""
        return cls(
            int(document["sent"]),
            {int(status): int(count) for status, count in document["statuses"].items()},
            {str(kind): int(count) for kind, count in document["errors"].items()},
            {str(name): int(count) for name, count in document["served_by"].items()},
            Histogram.from_document(document["latency"]),
            Histogram.from_document(document["lateness"]),
            int(document["skipped"]),
            int(document["abandoned"]),
        )


class Recorder:
    """The generator's own, changing counts; `snapshot()` is the value for everybody else. Times are ms."""

    def __init__(self) -> None:
        self.sent = self.skipped = self.abandoned = 0
        self.samples: list[FailureSample] = []
        self._statuses: Counter[int] = Counter()
        self._errors: Counter[str] = Counter()
        self._served_by: Counter[bytes] = Counter()
        self._latency, self._lateness = [0] * BUCKETS, [0] * BUCKETS
        self._latency_sum = self._lateness_sum = 0.0

    def late(self, value_ms: float) -> None:
        self._lateness[bucket_of(value_ms)] += 1
        self._lateness_sum += value_ms

    def answered(self, status: int, served_by: bytes, latency_ms: float) -> None:
        self._statuses[status] += 1
        self._served_by[served_by] += 1
        self._took(latency_ms)

    def failed(self, kind: str, latency_ms: float | None) -> None:
        """`latency_ms` None: it did not last a time that means something."""
        self._errors[kind] += 1
        if latency_ms is not None:
            self._took(latency_ms)

    def sample(self, sample: FailureSample) -> None:
        """The first SAMPLES are kept."""
        if len(self.samples) < SAMPLES:
            self.samples.append(sample)

    def snapshot(self) -> Counters:
        return Counters(
            self.sent,
            dict(self._statuses),
            dict(self._errors),
            {name.decode("latin-1"): count for name, count in self._served_by.items() if name},
            Histogram(tuple(self._latency), self._latency_sum),
            Histogram(tuple(self._lateness), self._lateness_sum),
            self.skipped,
            self.abandoned,
        )

    def _took(self, value_ms: float) -> None:
        self._latency[bucket_of(value_ms)] += 1
        self._latency_sum += value_ms


def _joined(left: Mapping[Any, int], right: Mapping[Any, int], sign: int) -> dict[Any, int]:
    found = {key: left.get(key, 0) + sign * right.get(key, 0) for key in {**left, **right}}
    return {key: count for key, count in found.items() if count}
