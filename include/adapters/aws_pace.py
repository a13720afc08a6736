"""A cap on calls to AWS per second and region, shared by all clients of the process.

Each attempt counts, so retries and pages do too. Calls over the cap wait their turn, in the order they came.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

CALLS_PER_SECOND = 10.0
BURST = 40
"""A rollback must never wait here: it gives the traffic back with its 21st call, and sees it taken by the 40th."""
_paces: dict[tuple[str, float, int], Pace] = {}


class Pace:
    """A token bucket: `burst` calls at once, then `per_second`. Safe to use from many threads."""

    def __init__(
        self,
        per_second: float,
        burst: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._interval, self._slack = 1.0 / per_second, (burst - 1) / per_second
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._next = clock()

    def wait(self, **_: Any) -> None:
        """Return when one more call may be made. Any arguments: botocore calls it as an event's handler."""
        with self._lock:
            now = self._clock()
            turn = max(self._next, now)
            self._next = turn + self._interval
        delay = turn - self._slack - now
        if delay > 0:
            self._sleep(delay)


def pace_of(region: str, per_second: float = CALLS_PER_SECOND, burst: int = BURST) -> Pace:
    """The process's one pace of a region."""
    return _paces.setdefault((region, per_second, burst), Pace(per_second, burst))


def keep_pace(client: Any, pace: Pace) -> None:
    """From now on `client` waits before it sends anything."""
    client.meta.events.register_first("before-send", pace.wait, unique_id="pace")
