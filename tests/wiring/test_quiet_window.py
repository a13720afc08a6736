"""The wait for a region's quiet window: how long, why, what ends it early, and what is said of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred

from include.apps import load_app
from include.apps.delivery import run_key
from include.apps.windows import Freeze
from include.errors import RefusedError, RetryableError
from include.ledger import Event, Kind, Place
from redstart.operators.outlook import OutlookReader
from redstart.sensors.quiet_window import QuietWindowSensor
from redstart.triggers import quiet_window
from redstart.triggers.quiet_window import QuietWindowTrigger
from tests.support.delivery_world import DeliveryWorld, make_world
from tests.support.market_world import Market, end_overrides, put_markets, put_override, with_windows
from tests.support.station_run import Run

FIRST, SECOND, THIRD = load_app("api").prod.region_names
WAIT = "wait"


def place(region: str) -> Place:
    return Place("api", "main", region)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeliveryWorld:
    return make_world(tmp_path, monkeypatch)


@pytest.fixture
def markets(world: DeliveryWorld, monkeypatch: pytest.MonkeyPatch) -> dict[str, Market]:
    """At their peak: they are quiet in some hours."""
    end_overrides(world)
    return put_markets(world, monkeypatch, hours_from_peak=0)


@pytest.fixture
def run(world: DeliveryWorld, markets: dict[str, Market]) -> Run:
    found = Run(world)
    found.given_images()
    found.results["order_regions"] = {
        "schema": 2,
        "waves": [[FIRST], [SECOND], [THIRD]],
        "takes_back": False,
        "why": "",
    }
    return found


def look(run: Run, region: str = FIRST) -> Any:
    return run.do("push.await_quiet_window", QuietWindowSensor, region=region)


def waits(run: Run, region: str = FIRST) -> QuietWindowTrigger:
    with pytest.raises(TaskDeferred) as caught:
        look(run, region)
    trigger = caught.value.trigger
    assert isinstance(trigger, QuietWindowTrigger)
    left = trigger.opens_epoch - run.world.now().timestamp()
    assert caught.value.timeout is not None
    assert caught.value.timeout.total_seconds() >= left + 1800, "a busy scheduler must not fail the wait"
    return trigger


def account(run: Run, region: str = FIRST) -> str:
    path = run.world.storage / "pushes" / "api" / run_key(run.run_id) / f"{region}.log"
    return path.read_text()


def test_a_region_at_its_peak_waits_for_the_moment_at_which_its_window_opens(run: Run) -> None:
    trigger = waits(run)
    opens = datetime.fromtimestamp(trigger.opens_epoch, run.world.now().tzinfo)
    assert timedelta(hours=2) < opens - run.world.now() < timedelta(hours=6)
    told = run.results[WAIT]
    assert told["schema"] == 1
    assert datetime.fromisoformat(told["opens"]) == opens.replace(microsecond=0)
    said = account(run)
    assert f"{opens:%H:%M:%S} UTC" in said and "America/New_York" in said
    assert "api_override" in said and f"./redstart override {FIRST}" in said
    run.world.sleep((opens - run.world.now()).total_seconds() - 60)
    assert abs(waits(run).opens_epoch - trigger.opens_epoch) < 300, "the same moment, however often it is looked at"
    run.world.sleep(400)
    done = look(run)
    assert done["source"] == "learned" and done["override"] == ""
    assert datetime.fromisoformat(done["until"]) > run.world.now() + timedelta(hours=8)


def test_what_was_learned_is_in_the_ledger_once(run: Run) -> None:
    waits(run)
    waits(run)
    run.world.sleep(1200)
    waits(run)
    learned = run.world.ledger.events(place=place(FIRST), kinds={Kind.WINDOWS_LEARNED})
    assert len(learned) == 1
    event = learned[0].event
    assert event.data["source"] == "learned" and len(event.data["curve"]["level_rps"]) == 168  # type: ignore[index,call-overload,arg-type]
    assert event.run == run_key(run.run_id)
    run.world.sleep(86400)
    with pytest.raises(TaskDeferred):
        look(run)
    assert len(run.world.ledger.events(place=place(FIRST), kinds={Kind.WINDOWS_LEARNED})) == 2


def test_a_quiet_region_begins_at_once(run: Run, markets: dict[str, Market]) -> None:
    markets[FIRST].peak -= timedelta(hours=10)
    assert look(run)["schema"] == 1


def test_a_region_that_was_not_asked_for_is_skipped(run: Run) -> None:
    run.results["order_regions"]["waves"] = [[SECOND]]
    run.results["build.select_commit"]["regions"] = [SECOND]
    with pytest.raises(AirflowSkipException):
        look(run)


def test_a_surge_at_waking_is_waited_out(run: Run, markets: dict[str, Market]) -> None:
    markets[FIRST].peak -= timedelta(hours=10)
    markets[FIRST].surge = 4.0
    trigger = waits(run)
    assert trigger.opens_epoch == pytest.approx(run.world.now().timestamp() + 300, abs=1)
    assert "requests/s in the last 15 min" in account(run)
    markets[FIRST].surge = 1.0
    run.world.sleep(301)
    look(run)


def test_a_store_that_is_away_is_replaced_by_what_was_learned_last(run: Run, markets: dict[str, Market]) -> None:
    opens = waits(run).opens_epoch
    markets[FIRST].away = RetryableError("GetMetricData in us-east-1: no answer")
    assert abs(waits(run).opens_epoch - opens) < 1800, "hourly means in the ledger are as good as quarters of an hour"
    assert "the metric store does not answer" in account(run) and "as learned on" in account(run)
    assert len(run.world.ledger.events(place=place(FIRST), kinds={Kind.WINDOWS_LEARNED})) == 1, "that is no news"


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (RetryableError("GetMetricData in us-east-1: no answer"), "does not answer"),
        (RefusedError("GetMetricData in us-east-1: AccessDenied"), "refuses"),
    ],
)
def test_without_any_evidence_the_hours_of_the_settings_stand(
    run: Run, markets: dict[str, Market], monkeypatch: pytest.MonkeyPatch, error: Exception, word: str
) -> None:
    markets[FIRST].away = error
    with_windows(monkeypatch, quiet_hours=(outside_of_now(run.world),))
    waits(run)
    assert f"the metric store {word}" in account(run) and "nothing is known of the traffic" in account(run)
    assert run.world.ledger.events(place=place(FIRST), kinds={Kind.WINDOWS_LEARNED}) == []


def test_three_days_of_data_are_too_few_and_it_says_so(
    run: Run, markets: dict[str, Market], monkeypatch: pytest.MonkeyPatch
) -> None:
    markets[FIRST].days = 3
    markets[FIRST].peak -= timedelta(hours=10)
    with_windows(monkeypatch, quiet_hours=(around_now(run.world),))
    assert look(run)["source"] == "configured"
    assert "days" in account(run)


def outside_of_now(world: DeliveryWorld, region: str = FIRST) -> str:
    return hours_from(world, region, 6, 9)


def around_now(world: DeliveryWorld, region: str = FIRST) -> str:
    return hours_from(world, region, -3, 6)


def hours_from(world: DeliveryWorld, region: str, first: float, last: float) -> str:
    local = world.now().astimezone(ZoneInfo(load_app("api").prod.region(region).time_zone))
    return f"{local + timedelta(hours=first):%H:%M}-{local + timedelta(hours=last):%H:%M}"


def test_a_freeze_is_waited_out_in_stages(
    run: Run, markets: dict[str, Market], monkeypatch: pytest.MonkeyPatch
) -> None:
    markets[FIRST].peak -= timedelta(hours=10)
    now = run.world.now()
    freeze = Freeze(start=now - timedelta(days=1), end=now + timedelta(days=16), why="end of year", regions=(FIRST,))
    with_windows(monkeypatch, freezes=(freeze,))
    trigger = waits(run)
    assert trigger.opens_epoch - now.timestamp() <= 6 * 3600, "it looks again meanwhile: settings change"
    assert "end of year" in account(run)
    put_override(run.world, FIRST, minutes=60)
    assert "ana lets pushes" in look(run)["override"]


def test_an_override_lets_a_waiting_push_begin_and_says_who_and_why(run: Run) -> None:
    waits(run)
    put_override(run.world, FIRST, minutes=60)
    done = look(run)
    assert "ana" in done["override"] and "the fix cannot wait" in done["override"]
    assert "the fix cannot wait" in account(run)
    put_override(run.world, SECOND, minutes=60)
    run.world.sleep(3601)
    assert waits(run, FIRST).opens_epoch > run.world.now().timestamp(), "it has run out"


def test_an_override_that_was_ended_early_does_not_count(run: Run) -> None:
    put_override(run.world, FIRST, minutes=60)
    put_override(run.world, FIRST, minutes=0, why="not after all")
    waits(run)


def test_a_push_that_has_begun_does_not_wait_again(run: Run) -> None:
    run.launch()
    run.stop()
    run.world.sleep(10)
    put_override(run.world, FIRST, minutes=60)
    run.push(FIRST)
    run.world.sleep(3 * 3600)
    put_override(run.world, FIRST, minutes=0)
    assert "has begun" in look(run)["why"]


def test_its_turn_comes_first(run: Run) -> None:
    with pytest.raises(TaskDeferred) as caught:
        look(run, SECOND)
    assert not isinstance(caught.value.trigger, QuietWindowTrigger)
    assert f"{FIRST}" in account(run, SECOND)


def test_a_rehearsal_says_when_and_keeps_nothing(run: Run) -> None:
    run.form = {"dry_run": True}
    told = look(run)
    assert told["dry_run"] and datetime.fromisoformat(told["opens"]) > run.world.now()
    assert f"{FIRST} waits for its quiet window" in account(run)
    assert run.world.ledger.events(place=place(FIRST), kinds={Kind.WINDOWS_LEARNED}) == []


def test_the_future_is_not_judged_by_the_traffic_of_now(run: Run, markets: dict[str, Market]) -> None:
    markets[FIRST].peak -= timedelta(hours=10)
    markets[FIRST].surge = 4.0
    found = OutlookReader(load_app("api"), "prod", run.world.ledger, run.world.now).read(FIRST)
    assert found is not None
    assert not found.answer(run.world.now()).is_open
    assert found.answer(run.world.now() + timedelta(hours=1)).is_open
    assert 200 < (found.level or 0) < 1000


def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiet_window, "FIRST_EVENT_SECONDS", 0.01)
    monkeypatch.setattr(quiet_window, "POLL_SECONDS", 0.01)


def rebuilt(trigger: QuietWindowTrigger) -> QuietWindowTrigger:
    """As a triggerer has it that was started again: from what was kept."""
    _, kwargs = trigger.serialize()
    return QuietWindowTrigger(**json.loads(json.dumps(kwargs)))


def fires(trigger: QuietWindowTrigger, world: DeliveryWorld, then: Callable[[], None]) -> None:
    """It does not fire before `then`, and does after it."""

    async def wait() -> None:
        event = asyncio.ensure_future(anext(trigger.run()))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(event), 0.3)
        then()
        assert (await asyncio.wait_for(event, 5)).payload == {"schema": 1}
        await trigger.cleanup()

    asyncio.run(wait())


def test_the_trigger_is_the_same_after_a_restart_and_fires_at_the_moment(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    trigger = waits(run)
    left = trigger.opens_epoch - run.world.now().timestamp()
    fires(rebuilt(trigger), run.world, lambda: run.world.sleep(left + 1))


def test_the_trigger_fires_when_on_call_overrides(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)
    fires(rebuilt(waits(run)), run.world, lambda: put_override(run.world, FIRST, minutes=5))


def test_the_trigger_fires_when_the_run_stops_but_not_for_what_was_known_before(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    key = run_key(run.run_id)

    def fail(number: int) -> None:
        event = Event(f"failed/{number}", Kind.PUSH_FAILED, run.world.now(), place(SECOND), key, "ana", "errors")
        run.world.ledger.record(event)

    run.world.ledger.record(Event("x", Kind.DELIVERY_HALTED, run.world.now(), place(SECOND), "another", "", ""))
    trigger = waits(run)
    fail_before = QuietWindowTrigger.of(place(FIRST), key, datetime.now().astimezone() + timedelta(hours=4), "w", 10**9)
    fires(rebuilt(trigger), run.world, lambda: fail(1))

    async def sleeps_on() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(anext(fail_before.run()), 0.3)
        await fail_before.cleanup()

    asyncio.run(sleeps_on())


@pytest.mark.parametrize("is_hanging", [False, True])
def test_the_trigger_survives_a_ledger_that_does_not_answer(
    run: Run, monkeypatch: pytest.MonkeyPatch, is_hanging: bool
) -> None:
    import threading

    quick(monkeypatch)
    let_go, asked = threading.Event(), []
    trigger = rebuilt(waits(run))

    def no_answer(*_: Any) -> str:
        asked.append(1)
        if is_hanging:
            let_go.wait(20)
        raise RetryableError("the ledger does not answer")

    monkeypatch.setattr(quiet_window, "what_wakes", no_answer)
    monkeypatch.setattr(quiet_window, "ANSWER_SECONDS", 0.05)
    left = trigger.opens_epoch - run.world.now().timestamp()
    fires(trigger, run.world, lambda: run.world.sleep(left + 1))
    let_go.set()
    assert len(asked) == 1 if is_hanging else len(asked) > 1


def test_the_trigger_never_fires_before_the_deferral_is_noted() -> None:
    assert quiet_window.FIRST_EVENT_SECONDS >= 5
