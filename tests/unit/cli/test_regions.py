"""What a run's regions wait for, in words and from what their tasks left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from redstart.cli.regions import Regions, Wait, clock, order_of, wait_of

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
FREEZE = 'freeze "nobody is in the office" until Sun 27 Dec 00:00 (Europe/Dublin, 00:00 UTC); a push may begin then'


PEAK = "the market is at its peak (usually 64 % of the day's highest)"
BUSY = "150 requests/s in the last 15 min, more than 120"


@pytest.mark.parametrize(
    ("why", "left", "note"),
    [
        (PEAK, 3600, "at its peak until 13:00:00 UTC (1:00:00 left)"),
        (
            "the market is in its busiest hours (usually 41 %)",
            55,
            "in its busiest hours until 12:00:55 UTC (0:55 left)",
        ),
        (FREEZE, 20 * 3600, 'freeze "nobody is in… until Tue 08:00 UTC (20:00:00 left)'),
        (BUSY, 300, "150 requests/s in the… until 12:05:00 UTC (5:00 left)"),
        (PEAK, -1, "at its peak: looks again"),
        ("no window is known yet; ask again", None, "no window is known yet"),
    ],
)
def test_a_wait_in_few_words(why: str, left: int | None, note: str) -> None:
    opens = None if left is None else NOW + timedelta(seconds=left)
    said = Wait(why, opens).note(NOW)
    assert said == note
    assert len(said) <= 65


def test_a_wait_is_read_from_what_the_task_left() -> None:
    assert wait_of({"schema": 1, "why": "busy", "opens": NOW.isoformat()}) == Wait("busy", NOW)
    assert wait_of({"schema": 1, "why": "busy", "opens": None}) == Wait("busy")
    for nothing in (None, "busy", {}, {"schema": 1, "why": ""}):
        assert wait_of(nothing) is None


@pytest.mark.parametrize(
    ("result", "order"),
    [
        ({"schema": 2, "waves": [["c"], ["a", "b"]], "takes_back": False}, ["c", "a", "b"]),
        (["a", "b"], ["a", "b"]),
        (None, []),
        ("a", []),
    ],
)
def test_the_order_is_that_of_the_waves_or_of_a_list_from_before(result: Any, order: list[str]) -> None:
    assert order_of(result) == order


def test_a_region_that_is_in_no_wave_comes_last() -> None:
    regions = Regions(("a", "b", "c"), ("c",))
    assert sorted(range(3), key=regions.place) == [2, 0, 1]
    assert Regions().name(0) == ""


def test_clock_reads_as_people_write_it() -> None:
    assert [clock(s) for s in (0, 61, 3600 * 8 + 5)] == ["0:00", "1:01", "8:00:05"]
