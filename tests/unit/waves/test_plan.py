"""Which regions come in which wave."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.waves import plan_waves

LISTED = ("us-east-1", "us-west-2", "eu-west-1")
LEVELS = {"us-east-1": 450.0, "us-west-2": 270.0, "eu-west-1": 300.0}


def test_quietest_first_then_the_rest_at_once() -> None:
    waves = plan_waves(LISTED, levels=LEVELS, by_traffic=True, first=1, at_once=0)
    assert waves.waves == (("us-west-2",), ("eu-west-1", "us-east-1"))
    assert waves.why == "the least usual traffic first: us-west-2 270/s, eu-west-1 300/s, us-east-1 450/s"
    assert waves.words == "us-west-2, then eu-west-1 and us-east-1"


def test_one_after_the_other() -> None:
    waves = plan_waves(LISTED, levels=LEVELS, by_traffic=True, first=1, at_once=1)
    assert waves.waves == (("us-west-2",), ("eu-west-1",), ("us-east-1",))


@pytest.mark.parametrize("levels", [{}, {**LEVELS, "eu-west-1": None}], ids=["none known", "one not known"])
def test_unknown_traffic_leaves_the_order_of_the_settings_and_says_so(levels: dict[str, float | None]) -> None:
    waves = plan_waves(LISTED, levels=levels, by_traffic=True, first=2, at_once=0)
    assert waves.waves == (("us-east-1", "us-west-2"), ("eu-west-1",))
    assert "as the settings list them: the usual traffic of" in waves.why
    assert "eu-west-1" in waves.why


def test_listed_order_asks_for_no_traffic() -> None:
    waves = plan_waves(LISTED, levels=LEVELS, by_traffic=False, first=5, at_once=0, takes_back=True)
    assert waves.waves == (LISTED,)
    assert waves.takes_back
    assert waves.why == "as the settings list them"


def test_no_region_is_no_wave() -> None:
    assert plan_waves((), levels={}, by_traffic=True, first=1, at_once=1).waves == ()


@given(
    rates=st.lists(st.one_of(st.none(), st.floats(0, 1e6)), max_size=60),
    by_traffic=st.booleans(),
    first=st.integers(1, 8),
    at_once=st.integers(0, 8),
)
def test_every_region_is_in_one_wave_of_the_right_size(
    rates: list[float | None], by_traffic: bool, first: int, at_once: int
) -> None:
    levels = {f"region-{number}": rate for number, rate in enumerate(rates)}
    waves = plan_waves(list(levels), levels=levels, by_traffic=by_traffic, first=first, at_once=at_once)
    assert sorted(waves.regions) == sorted(levels)
    sizes = [len(wave) for wave in waves.waves]
    assert all(sizes)
    assert sizes[:1] == [min(first, len(rates))] if rates else not sizes
    assert all(size <= (at_once or len(rates)) for size in sizes[1:])
    assert all(size == at_once for size in sizes[1:-1])
    if by_traffic and None not in rates:
        found = [levels[region] for region in waves.regions]
        assert found == sorted(rates, key=float)  # type: ignore[arg-type]


def test_fifty_regions_are_planned_in_no_time() -> None:
    levels = {f"region-{number}": float(-number) for number in range(50)}
    began = time.perf_counter()
    waves = plan_waves(list(levels), levels=levels, by_traffic=True, first=5, at_once=5)
    assert time.perf_counter() - began < 0.1
    assert [len(wave) for wave in waves.waves] == [5] * 10
    assert waves.regions[0] == "region-49"
