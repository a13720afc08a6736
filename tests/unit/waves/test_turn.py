"""Whose turn it is, and who is taken back."""

from __future__ import annotations

import pytest

from include.waves import RegionState, Turn, Verdict, Waves, regions_to_take_back, turn_of

A, B, C, D = "us-east-1", "us-west-2", "eu-west-1", "ap-south-1"
WAVES = Waves(((A,), (B, C), (D,)), takes_back=True)
NOT_BEGUN, UNDER_WAY, FINISHED, FAILED, TAKEN_BACK, LEFT = RegionState


def verdict(region: str, **states: RegionState) -> Verdict:
    return turn(region, **states).verdict


def turn(region: str, **states: RegionState) -> Turn:
    names = {"a": A, "b": B, "c": C, "d": D}
    return turn_of(region, WAVES, {names[name]: state for name, state in states.items()})


def test_first_wave_begins_at_once_and_the_others_wait_for_it() -> None:
    assert verdict(A) is Verdict.BEGIN
    assert turn(B) == Turn(Verdict.WAIT, f"{A} comes before {B} and is not at the end of its push", A)
    assert verdict(B, a=UNDER_WAY) is Verdict.WAIT


def test_regions_of_a_wave_go_side_by_side() -> None:
    assert verdict(B, a=FINISHED) is Verdict.BEGIN
    assert verdict(C, a=FINISHED, b=UNDER_WAY) is Verdict.BEGIN


def test_next_wave_waits_for_all_of_a_wave_and_names_them() -> None:
    assert verdict(D, a=FINISHED, b=FINISHED, c=UNDER_WAY) is Verdict.WAIT
    assert f"{A}, {B}, {C} come before {D}" in turn(D).why
    assert verdict(D, a=FINISHED, b=FINISHED, c=FINISHED) is Verdict.BEGIN


@pytest.mark.parametrize("region", [A, B, D])
def test_failure_anywhere_stops_who_has_not_begun(region: str) -> None:
    found = turn(region, c=FAILED)
    assert found == Turn(Verdict.HALT, f"the push of {C} has failed", C)


def test_who_is_under_way_goes_on_whatever_fails_elsewhere() -> None:
    assert verdict(B, a=FINISHED, b=UNDER_WAY, c=FAILED) is Verdict.BEGIN


def test_who_failed_may_begin_again_in_its_turn() -> None:
    assert verdict(B, a=FINISHED, b=FAILED) is Verdict.BEGIN
    assert verdict(B, a=UNDER_WAY, b=FAILED) is Verdict.WAIT


def test_nobody_begins_behind_a_region_that_was_taken_back() -> None:
    assert turn(B, a=TAKEN_BACK, b=FAILED) == Turn(Verdict.HALT, f"{A} comes before {B} and was taken back", A)
    assert verdict(A, a=TAKEN_BACK) is Verdict.BEGIN
    assert verdict(B, a=LEFT) is Verdict.BEGIN, "it has the new version still"


def take_back(*finished: str, waves: Waves = WAVES, **states: RegionState) -> tuple[str, ...]:
    names = {"a": A, "b": B, "c": C, "d": D}
    return regions_to_take_back(waves, {names[name]: state for name, state in states.items()}, finished)


def test_last_to_finish_goes_back_first() -> None:
    assert take_back(A, C, B, a=FINISHED, b=FINISHED, c=FINISHED, d=FAILED) == (B, C, A)
    assert take_back(A, C, B, a=FINISHED, b=TAKEN_BACK, c=FINISHED, d=FAILED) == (C, A)
    assert take_back(A, C, B, a=FINISHED, b=LEFT, c=FINISHED, d=FAILED) == (C, A), "who cannot be taken back is passed"


def test_nothing_goes_back_before_all_are_at_their_end() -> None:
    assert take_back(A, a=FINISHED, b=FAILED, c=UNDER_WAY) == ()
    assert take_back(A, C, a=FINISHED, b=FAILED, c=FINISHED) == (C, A), "also who finished after the failure"


def test_nothing_goes_back_without_a_failure_or_where_it_is_not_wanted() -> None:
    assert take_back(A, B, C, a=FINISHED, b=FINISHED, c=FINISHED) == ()
    assert take_back(A, a=FINISHED, b=FAILED, waves=Waves(WAVES.waves)) == ()
