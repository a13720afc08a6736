"""Backing services: each call takes a lognormal time, may fail, may be too late; the caller then falls back.

A service that is asked faster than it answers gets slower: `crowding` is by how much each call that is already
under way from this instance lengthens a new one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from math import exp
from random import Random
from time import perf_counter
from typing import Any

from api.metrics import CallTally

BATCH_SIZE = 50


class Dependency:
    """One backing service as this instance sees it."""

    def __init__(self, name: str, settings: Mapping[str, Any], chance: Random) -> None:
        self.name = name
        self.tally = CallTally()
        self.batch_size = int(settings.get("batch_size", BATCH_SIZE))
        self._median_seconds = settings["median_ms"] / 1000
        self._sigma = float(settings["sigma"])
        self._error_rate = settings["error_pct"] / 100
        self._timeout_seconds = settings["timeout_ms"] / 1000
        self._crowding = float(settings.get("crowding", 0.05))
        self._under_way = 0
        self._chance = chance

    def fetch(self, items: int) -> asyncio.Future[bool]:
        """Get what a page needs for `items` titles, in as few calls as batches allow; False: the page falls back.

        Calls are timers, not tasks: a page makes many, and a task each would be half of what it costs.
        """
        loop = asyncio.get_running_loop()
        fetched: asyncio.Future[bool] = loop.create_future()
        calls = max(-(-items // self.batch_size), 1)
        left = [calls]
        for _ in range(calls):
            seconds = self._median_seconds * exp(self._sigma * self._chance.gauss(0.0, 1.0))
            seconds *= 1.0 + self._crowding * self._under_way
            self._under_way += 1
            wait = min(seconds, self._timeout_seconds)
            loop.call_later(wait, self._finish, fetched, left, perf_counter(), seconds > self._timeout_seconds)
        return fetched

    def _finish(self, fetched: asyncio.Future[bool], left: list[int], began: float, is_late: bool) -> None:
        """One call's end; the first that goes wrong decides the whole fetch."""
        tally = self.tally
        self._under_way -= 1
        left[0] -= 1
        tally.latencies_ms.append((perf_counter() - began) * 1000)
        has_failed = not is_late and self._chance.random() < self._error_rate
        tally.timeouts += is_late
        tally.errors += has_failed
        if fetched.done():
            return
        if is_late or has_failed:
            tally.fallbacks += 1
            fetched.set_result(False)
        elif left[0] == 0:
            fetched.set_result(True)
