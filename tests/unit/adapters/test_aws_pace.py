"""The cap on calls: a burst, then so many a second, however many threads call."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from include.adapters.aws_pace import Pace


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_a_burst_is_free_and_the_rest_comes_at_the_rate() -> None:
    time = Time()
    pace = Pace(10.0, 20, time.clock, time.sleep)
    for _ in range(20):
        pace.wait()
    assert time.slept == []
    for _ in range(30):
        pace.wait()
    assert time.slept == pytest.approx([0.1] * 30)


def test_what_was_not_used_is_saved_up_to_one_burst() -> None:
    time = Time()
    pace = Pace(10.0, 5, time.clock, time.sleep)
    for _ in range(10):
        pace.wait()
    time.now += 3600
    time.slept.clear()
    for _ in range(6):
        pace.wait()
    assert time.slept == pytest.approx([0.1])


def test_threads_share_one_rate() -> None:
    waits: list[float] = []
    pace = Pace(10.0, 4, lambda: 100.0, waits.append)
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda _: pace.wait(), range(24)):
            pass
    assert sorted(waits) == pytest.approx([0.1 * turn for turn in range(1, 21)])
