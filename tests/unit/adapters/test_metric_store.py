"""How a store that fails is asked again: on a clock that only moves when somebody waits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from include.adapters.metric_store import (
    NoAnswerError,
    Patience,
    StoreHealth,
    retry_after_seconds,
    run_at_once,
    stat_by_name,
    whole_steps,
)
from include.errors import ConfigError, RefusedError, RetryableError

NOON = datetime(2026, 5, 6, 12, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept.append(seconds)
        self.now += seconds


class Store:
    """Fails `failures` times, each after `seconds`, then answers 42."""

    def __init__(self, clock: Clock, failures: int, *, seconds: float = 0.0, **how: float | bool) -> None:
        self.clock, self.failures, self.seconds, self.how, self.calls = clock, failures, seconds, how, 0

    def __call__(self) -> int:
        self.calls += 1
        self.clock.now += self.seconds
        if self.calls <= self.failures:
            raise NoAnswerError("slow down", **self.how)  # type: ignore[arg-type]
        return 42


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health() -> StoreHealth:
    return StoreHealth()


@pytest.fixture
def patience_of(clock: Clock, health: StoreHealth) -> Callable[[float], Patience]:
    return lambda seconds: Patience(seconds, health, clock=clock, sleep=clock.sleep)


Make = Callable[[float], Patience]


def test_a_store_that_answers_is_asked_once(patience_of: Make, clock: Clock, health: StoreHealth) -> None:
    assert patience_of(60).ask(Store(clock, 0)) == 42
    assert (health.calls, health.failed, clock.slept, health.describe()) == (1, 0, [], "")


def test_waits_grow_and_what_failed_is_counted(patience_of: Make, clock: Clock, health: StoreHealth) -> None:
    assert patience_of(60).ask(Store(clock, 4, is_throttled=True)) == 42
    assert (health.calls, health.failed, health.throttled) == (5, 4, 4)
    assert len(clock.slept) == 4
    assert clock.slept[-1] > clock.slept[0] * 2
    assert health.describe() == "4 of 5 calls to the metric store failed (4 were throttled)"


def test_time_that_is_up_ends_the_asking_with_the_stores_last_words(
    patience_of: Make, clock: Clock, health: StoreHealth
) -> None:
    store = Store(clock, 10**6, seconds=2.0)
    with pytest.raises(NoAnswerError, match="slow down"):
        patience_of(60).ask(store)
    assert 40 < clock.now - 1000 <= 62
    assert 5 < store.calls < 30
    assert health.throttled == 0


def test_without_patience_there_is_one_call(patience_of: Make, clock: Clock) -> None:
    store = Store(clock, 1)
    with pytest.raises(NoAnswerError):
        patience_of(0).ask(store)
    assert (store.calls, clock.slept) == (1, [])


def test_retry_after_is_waited_for_by_every_name(patience_of: Make, clock: Clock) -> None:
    patience = patience_of(60)
    assert patience.ask(Store(clock, 1, retry_after_seconds=20.0)) == 42
    assert 20 <= clock.now - 1000 < 21
    impatient = Store(clock, 1, retry_after_seconds=90.0)
    with pytest.raises(NoAnswerError):
        patience.ask(impatient)
    before = clock.now
    assert patience.ask(Store(clock, 0)) == 42, "a wait beyond the deadline is cut there: one more call may be tried"
    assert clock.now == pytest.approx(1060)
    assert before < 1060


def test_a_dead_store_does_not_cost_every_name_its_own_timeout(patience_of: Make, clock: Clock) -> None:
    patience = patience_of(60)
    stores = [Store(clock, 10**6, seconds=30.0) for _ in range(400)]
    for store in stores:
        with pytest.raises(NoAnswerError):
            patience.ask(store)
    assert sum(store.calls for store in stores) <= 10
    assert clock.now - 1000 <= 300


def test_a_slow_store_is_read_to_the_end_whatever_the_patience(patience_of: Make, clock: Clock) -> None:
    patience = patience_of(60)
    assert [patience.ask(Store(clock, 0, seconds=10.0)) for _ in range(20)] == [42] * 20
    with pytest.raises(NoAnswerError, match="slow down"):
        patience.ask(Store(clock, 10**6, seconds=10.0))
    assert patience.ask(Store(clock, 0, seconds=10.0)) == 42


def test_single_names_without_answer_are_noted_and_many_are_a_store_that_is_away(
    patience_of: Make, clock: Clock, health: StoreHealth
) -> None:
    patience = patience_of(60)
    patience.require_answers(0, {}, "the store")
    patience.require_answers(10, {f"m{n}": "timed out" for n in range(5)}, "the store")
    assert "unanswered: m0, m1, m2, m3, m4" in health.describe()
    with pytest.raises(RetryableError, match=r"^the store left 6 of 10 metrics unanswered for 60 s: timed out$"):
        patience.require_answers(10, {f"m{n}": "timed out" for n in range(6)}, "the store")
    assert "m4 and 1 more" in health.describe()


def test_a_store_that_names_a_time_is_not_asked_before_it(patience_of: Make, clock: Clock) -> None:
    patience = patience_of(10)
    with pytest.raises(NoAnswerError):
        patience.ask(Store(clock, 1, retry_after_seconds=300.0))
    assert patience.away("the store left /names", "429").next_delay_seconds == pytest.approx(300.0)
    assert patience_of(10).away("the store left /names", "429").next_delay_seconds == 30.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("7", 7),
        ("soon", 0),
        ("-3", 0),
        ("Wed, 06 May 2026 12:01:30 GMT", 90),
        ("Wed, 06 May 2026 11:00:00 GMT", 0),
        ("Wed, 06 May 2026 12:01:30 -0000", 90),
    ],
)
def test_a_retry_after_header_is_seconds_or_a_date(header: str | None, seconds: float) -> None:
    assert retry_after_seconds(header, NOON) == seconds


def test_after_the_first_refusal_nothing_new_is_begun() -> None:
    begun: list[int] = []

    def work(item: int) -> None:
        begun.append(item)
        if item == 3:
            raise RefusedError("no")

    with pytest.raises(RefusedError):
        run_at_once(work, range(1000), 1, "test")
    assert begun == [0, 1, 2, 3]
    begun.clear()
    run_at_once(work, [0, 1, 2], 2, "test")
    assert sorted(begun) == [0, 1, 2]
    run_at_once(work, [], 2, "test")


def test_steps_lie_on_multiples_since_the_epoch() -> None:
    assert whole_steps(NOON + timedelta(seconds=1), NOON + timedelta(seconds=200), 60) == (
        NOON + timedelta(minutes=1),
        2,
    )
    assert whole_steps(NOON, NOON, 60) == (NOON, 0)
    assert whole_steps(NOON, NOON - timedelta(days=1), 60)[1] == 0
    for start, step, key in ((NOON.replace(tzinfo=None), 60, "start"), (NOON, 0, "step_seconds")):
        with pytest.raises(ConfigError, match=key):
            whole_steps(start, NOON, step)


def test_a_statistic_is_for_all_names_or_name_by_name() -> None:
    assert stat_by_name("Sum")("a") == "Sum"
    assert stat_by_name(lambda name: name.upper())("a") == "A"
