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


class Unavailable(Exception):
    """A call failed or was too late."""


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

    async def fetch(self, items: int) -> bool:
        """Get what a page needs for `items` titles, in as few calls as batches allow; False: the page falls back."""
        calls = -(-items // self.batch_size)
        try:
            if calls <= 1:
                await self._call()
            else:
                await asyncio.gather(*(self._call() for _ in range(calls)))
        except Unavailable:
            self.tally.fallbacks += 1
            return False
        return True

    async def _call(self) -> None:
        tally, began = self.tally, perf_counter()
        seconds = self._median_seconds * exp(self._sigma * self._chance.gauss(0.0, 1.0))
        seconds *= 1.0 + self._crowding * self._under_way
        is_late, has_failed = seconds > self._timeout_seconds, self._chance.random() < self._error_rate
        self._under_way += 1
        try:
            await asyncio.sleep(min(seconds, self._timeout_seconds))
        finally:
            self._under_way -= 1
            tally.latencies_ms.append((perf_counter() - began) * 1000)
        if is_late:
            tally.timeouts += 1
            raise Unavailable(f"{self.name} did not answer in time")
        if has_failed:
            tally.errors += 1
            raise Unavailable(f"{self.name} failed")
