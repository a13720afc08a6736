"""How a region stands, from what was told of it."""

from __future__ import annotations

from include.waves import RegionState, Standing, Step, Told, standings_of

A, B, C = "us-east-1", "us-west-2", "eu-west-1"


def told(*steps: tuple[str, Step]) -> list[Told]:
    return [Told(region, step, "it broke") for region, step in steps]


def test_nothing_told_is_not_begun() -> None:
    assert standings_of([]).of(A) == Standing(RegionState.NOT_BEGUN, 0)


def test_push_that_fails_and_is_begun_again_is_the_next_attempt() -> None:
    first = told((A, Step.BEGUN), (A, Step.FAILED))
    assert standings_of(first).of(A) == Standing(RegionState.FAILED, 1, "it broke")
    assert standings_of(first).failed == (A,)
    again = standings_of([*first, *told((A, Step.BEGUN))])
    assert again.of(A) == Standing(RegionState.UNDER_WAY, 1)
    assert again.failed == ()


def test_taken_back_counts_as_an_attempt_and_is_finished_no_more() -> None:
    found = standings_of(
        told((A, Step.BEGUN), (A, Step.FINISHED), (B, Step.BEGUN), (B, Step.FAILED), (A, Step.TAKEN_BACK))
    )
    assert found.of(A) == Standing(RegionState.TAKEN_BACK, 1, "it broke")
    assert found.finished == ()


def test_order_of_finishing_is_that_of_the_last_time() -> None:
    both = told((A, Step.BEGUN), (B, Step.BEGUN), (A, Step.FINISHED), (B, Step.FINISHED))
    assert standings_of(both).finished == (A, B)
    assert standings_of([*both, *told((A, Step.FINISHED))]).finished == (A, B), "said twice is said once"
    again = [*both, *told((A, Step.TAKEN_BACK), (A, Step.BEGUN), (A, Step.FINISHED))]
    assert standings_of(again).finished == (B, A)


def test_way_back_of_what_is_not_finished_is_no_news() -> None:
    found = standings_of(told((A, Step.BEGUN), (A, Step.TAKEN_BACK), (B, Step.LEFT)))
    assert found.of(A).state is RegionState.UNDER_WAY
    assert found.of(B).state is RegionState.NOT_BEGUN


def test_who_could_not_be_taken_back_may_be_later() -> None:
    left = told((A, Step.BEGUN), (A, Step.FINISHED), (A, Step.LEFT))
    assert standings_of(left).of(A) == Standing(RegionState.LEFT, 0, "it broke")
    assert standings_of([*left, *told((A, Step.TAKEN_BACK))]).of(A).state is RegionState.TAKEN_BACK


def test_what_is_begun_again_is_forgiven_until_it_fails_once_more() -> None:
    steps = told((A, Step.BEGUN), (A, Step.FAILED), (B, Step.BEGUN), (B, Step.FINISHED))
    forgiving = standings_of(steps).forgiving({A: 1, B: 0})
    assert forgiving.of(A) == Standing(RegionState.NOT_BEGUN, 1)
    assert forgiving.failed == ()
    assert forgiving.of(B).state is RegionState.FINISHED
    twice = standings_of([*steps, *told((A, Step.BEGUN), (A, Step.FAILED))]).forgiving({A: 1})
    assert twice.failed == (A,)
