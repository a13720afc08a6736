"""When regions are expected to begin: after the wave before, in their own windows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from include.waves import Waves
from include.waves.schedule import Opening, schedule

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
WAVES = Waves((("a",), ("b", "c"), ("d",)))


def at_any_time(region: str, at: datetime) -> Opening:
    return Opening(at)


def minutes(of: int) -> timedelta:
    return timedelta(minutes=of)


def test_a_wave_begins_when_the_slowest_of_the_one_before_has_ended() -> None:
    slots = schedule(WAVES, {"a": 600.0, "b": 300.0, "c": 900.0, "d": 60.0}, at_any_time, NOON)
    begins = {name: slot.begins for name, slot in slots.items()}
    assert begins == {"a": NOON, "b": NOON + minutes(10), "c": NOON + minutes(10), "d": NOON + minutes(25)}
    assert slots["d"].ends == NOON + minutes(26)
    assert [slot.wave for slot in slots.values()] == [1, 2, 2, 3]


def test_a_region_waits_for_its_own_window_and_others_for_it() -> None:
    def opening(region: str, at: datetime) -> Opening:
        return Opening(max(at, NOON + minutes(60)), NOON + minutes(120), "a peak") if region == "b" else Opening(at)

    slots = schedule(WAVES, dict.fromkeys("abcd", 600.0), opening, NOON)
    assert (slots["b"].begins, slots["b"].why) == (NOON + minutes(60), "a peak")
    assert slots["c"].begins == NOON + minutes(10)
    assert slots["d"].begins == NOON + minutes(70)


def test_nothing_is_expected_after_a_push_without_an_end() -> None:
    slots = schedule(WAVES, {"a": 600.0, "b": None, "c": 600.0, "d": 600.0}, at_any_time, NOON)
    assert (slots["b"].begins, slots["b"].ends) == (NOON + minutes(10), None)
    assert slots["c"].ends == NOON + minutes(20)
    assert (slots["d"].begins, slots["d"].why) == (None, "b comes before and has no end in sight")


def test_a_region_without_a_window_is_not_expected() -> None:
    def opening(region: str, at: datetime) -> Opening:
        return Opening(None, None, "frozen for longer than is looked ahead") if region == "a" else Opening(at)

    slots = schedule(WAVES, dict.fromkeys("abcd", 600.0), opening, NOON)
    assert (slots["a"].begins, slots["a"].why) == (None, "frozen for longer than is looked ahead")
    assert slots["d"].begins is None
