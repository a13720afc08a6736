"""Faults on demand: which calls are refused, delayed, or done without an answer. The dice are seeded."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from include.errors import ConfigError

SERVICES = {"elasticloadbalancing": "elbv2", "monitoring": "cloudwatch"}
"""Signing name -> boto3's name, where they differ."""


@dataclass
class Fault:
    """Empty `region`, `service` or `action` means any; `times` None means until cleared.

    Without `code` or `page` nothing is refused: the fault only delays, or (`lost_reply`) lets the call be done and
    closes the connection without an answer. `page` is a body in place of AWS's own error, as a gateway sends it.
    """

    region: str = ""
    service: str = ""
    action: str = ""
    code: str = ""
    status: int = 400
    latency_seconds: float = 0.0
    times: int | None = None
    probability: float = 1.0
    lost_reply: bool = False
    page: str = ""
    fired: int = field(default=0)

    @property
    def is_refusal(self) -> bool:
        return bool(self.code or self.page)

    def fits(self, region: str, service: str, action: str) -> bool:
        wanted = ((self.region, region), (self.service, service), (self.action.lower(), action.lower()))
        return all(wish in {"", found} for wish, found in wanted) and (self.times is None or self.fired < self.times)


class Faults:
    """All faults that are set. Safe to use from many threads."""

    def __init__(self, seed: int = 1) -> None:
        self._seed = seed
        self._lock = threading.Lock()
        self.clear()

    def add(self, given: Iterable[Mapping[str, Any]]) -> None:
        """ConfigError names a key that no fault has; then none of `given` is set."""
        made = []
        for one in given:
            unknown = set(one) - (set(Fault.__dataclass_fields__) - {"fired"})
            if unknown:
                raise ConfigError("a fault has no such key", source="fault", key=sorted(unknown)[0])
            fault = Fault(**one)
            fault.service = SERVICES.get(fault.service, fault.service)
            fault.action = fault.action.replace("_", "")
            made.append(fault)
        with self._lock:
            self._all += made

    def draw(self, region: str, service: str, action: str) -> list[Fault]:
        """Those that strike this call; they count as fired. At most one of them refuses."""
        with self._lock:
            struck: list[Fault] = []
            for fault in self._all:
                if fault.is_refusal and any(one.is_refusal for one in struck):
                    continue
                if fault.fits(region, service, action) and self._dice.random() < fault.probability:
                    fault.fired += 1
                    struck.append(fault)
            return struck

    def listed(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(fault) for fault in self._all]

    def clear(self) -> None:
        with self._lock:
            self._all: list[Fault] = []
            self._dice = random.Random(self._seed)  # noqa: S311 - chance, not secrecy


class CallCounts:
    """How often each region, service and action was called, by the second of the machine's clock."""

    KEPT_SECONDS = 24 * 3600

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[int, dict[tuple[str, str, str], int]] = {}

    def note(self, at: float, region: str, service: str, action: str) -> None:
        with self._lock:
            second = self._counts.setdefault(int(at), {})
            second[region, service, action] = second.get((region, service, action), 0) + 1
            if len(self._counts) > self.KEPT_SECONDS:
                del self._counts[min(self._counts)]

    def since(self, at: float) -> list[dict[str, Any]]:
        totals: dict[tuple[str, str, str], int] = {}
        with self._lock:
            for second, counts in self._counts.items():
                if second >= at:
                    for key, count in counts.items():
                        totals[key] = totals.get(key, 0) + count
        return [
            {"region": region, "service": service, "action": action, "count": count}
            for (region, service, action), count in sorted(totals.items())
        ]

    def clear(self) -> None:
        with self._lock:
            self._counts.clear()
