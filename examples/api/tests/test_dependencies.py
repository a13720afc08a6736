"""Backing services: batches, errors, time-outs, and what is counted of them."""

from __future__ import annotations

import unittest
from random import Random

from api.dependencies import Dependency


def dependency(**settings: float) -> Dependency:
    return Dependency("one", {"median_ms": 0.1, "sigma": 0.1, "error_pct": 0, "timeout_ms": 100, **settings}, Random(1))


class Calls(unittest.IsolatedAsyncioTestCase):
    async def test_one_call_for_all_titles_of_a_page(self) -> None:
        one = dependency()
        self.assertTrue(await one.fetch(40))
        self.assertEqual(len(one.tally.latencies_ms), 1)

    async def test_more_titles_than_a_batch_are_more_calls(self) -> None:
        one = dependency(batch_size=10)
        self.assertTrue(await one.fetch(25))
        self.assertEqual(len(one.tally.latencies_ms), 3)

    async def test_a_failed_call_is_a_fallback(self) -> None:
        one = dependency(error_pct=100)
        self.assertFalse(await one.fetch(1))
        self.assertEqual((one.tally.errors, one.tally.timeouts, one.tally.fallbacks), (1, 0, 1))

    async def test_a_late_call_is_given_up_at_its_timeout(self) -> None:
        one = dependency(median_ms=10_000, timeout_ms=5)
        self.assertFalse(await one.fetch(1))
        self.assertEqual((one.tally.errors, one.tally.timeouts, one.tally.fallbacks), (0, 1, 1))
        self.assertLess(one.tally.latencies_ms[0], 2000)
