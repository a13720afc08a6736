"""Time in the local cloud: the machine's clock, or one that tests move."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """Seconds since the epoch, as the machine says."""

    def now(self) -> float:
        return time.time()


class ManualClock:
    """Stands still until it is moved; starts at `at` seconds since the epoch (default: the machine's time)."""

    def __init__(self, at: float | None = None) -> None:
        self._at = float(int(time.time())) if at is None else at

    def now(self) -> float:
        return self._at

    def move(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError(f"the clock cannot go back by {seconds} s")
        self._at += seconds


def utc(seconds: float) -> datetime:
    """Aware UTC time of seconds since the epoch, as moto's records want it."""
    return datetime.fromtimestamp(seconds, UTC)
