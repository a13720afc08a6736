"""Regions in waves: planned once, side by side, stopped by any failure, gone on with when a person clears."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from include.apps import load_app
from include.apps.delivery import run_key
from include.errors import RetryableError
from include.ledger import Kind, Place
from include.waves import RegionState, Waves
from redstart.operators.environment_tests import RunEnvironmentTestsOperator
from redstart.operators.finish import DescribeFleetOperator, OrderRegionsOperator
from redstart.operators.lock import ClaimClusterOperator, ReleaseClusterOperator
from redstart.operators.outlook import OutlookReader
from redstart.operators.turn import state_in, turn_word, waves_of
from redstart.triggers import cluster_turn
from redstart.triggers.cluster_turn import ClusterTurnTrigger, what_hinders
from tests.support.delivery_world import DeliveryWorld, few_pairs, make_world
from tests.support.station_run import Run

FIRST, SECOND, THIRD = load_app("api").prod.region_names
REGIONS = (FIRST, SECOND, THIRD)


def place(region: str) -> Place:
    return Place("api", "main", region)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeliveryWorld:
    found = make_world(tmp_path, monkeypatch)
    found.metrics.pairs = few_pairs()
    return found


@pytest.fixture
def run(world: DeliveryWorld) -> Run:
    """The second and the third region come side by side, after the first."""
    found = Run(world).after_canary()
    found.results["order_regions"]["waves"] = [[FIRST], [SECOND, THIRD]]
    return found


def levels(monkeypatch: pytest.MonkeyPatch, **of: float | None) -> None:
    known = dict(zip(REGIONS, of.values(), strict=True))

    class Outlook:
        counts = None

        def __init__(self, level: float | None) -> None:
            self.level = level

    monkeypatch.setattr(OutlookReader, "read", lambda self, region: Outlook(known[region]))


def claim_of(run: Run, region: str) -> tuple[ClaimClusterOperator, Any]:
    task = ClaimClusterOperator(task_id="claim_cluster", app="api", region=region)
    return task, run.context("push.claim_cluster")


def word(run: Run, region: str) -> str:
    task, context = claim_of(run, region)
    return turn_word(task, context, run.world.ledger)


def fail(run: Run, region: str) -> None:
    run.world.fleets[region].broken_images.add(f"ami-{region}")
    with pytest.raises(AirflowFailException, match="rolled back"):
        run.switch(region)
    run.do("push.release_cluster", ReleaseClusterOperator, region=region)


def test_least_traffic_comes_first(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    levels(monkeypatch, first=450.0, second=270.0, third=300.0)
    planned = Run(run.world, "manual__other")
    planned.results, planned.form = dict(run.results), {"on_failure": "roll_back"}
    result = planned.do("order_regions", OrderRegionsOperator)
    assert result["waves"] == [[SECOND], [THIRD], [FIRST]], "the settings want one at a time"
    assert result["takes_back"]
    assert "least usual traffic first" in result["why"]


def test_waves_of_a_run_are_planned_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run.do("order_regions", OrderRegionsOperator)
    levels(monkeypatch, first=3.0, second=2.0, third=1.0)
    assert run.do("order_regions", OrderRegionsOperator) == first
    (event,) = run.world.ledger.events(kinds={Kind.WAVES_PLANNED})
    assert event.event.place == Place("api", "main", "all-regions")
    assert json.loads(json.dumps(event.event.data)) == first


def test_windows_that_are_looked_at_on_the_way_are_there_for_the_page(run: Run) -> None:
    noted = run.world.ledger.events(kinds={Kind.WINDOWS_LEARNED})
    assert sorted(one.event.place.region for one in noted) == sorted(REGIONS)
    assert {one.event.run for one in noted} == {run_key(run.run_id)}


def test_market_that_nobody_knows_leaves_the_order_of_the_settings(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    levels(monkeypatch, first=3.0, second=None, third=1.0)
    planned = Run(run.world, "manual__other")
    planned.results = dict(run.results)
    result = planned.do("order_regions", OrderRegionsOperator)
    assert result["waves"] == [[one] for one in REGIONS]
    assert f"the usual traffic of {SECOND} is not known" in result["why"]


def test_metric_store_that_is_away_fails_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> Any:
        raise RetryableError("CloudWatch does not answer")

    monkeypatch.setattr("redstart.hooks.fleet.FleetHook.market", away)
    planned = Run(run.world, "manual__other")
    planned.results = dict(run.results)
    assert planned.do("order_regions", OrderRegionsOperator)["waves"] == [[one] for one in REGIONS]


def test_rehearsal_plans_the_same_and_keeps_nothing(run: Run) -> None:
    dry = Run(run.world, "manual__dry")
    dry.results, dry.form = dict(run.results), {"dry_run": True}
    before = run.world.ledger.events()
    result = dry.do("order_regions", OrderRegionsOperator)
    assert result["waves"] == [[one] for one in REGIONS]
    assert result["dry_run"]
    dry.results["push.push_red_black"] = [{"schema": 1, "dry_run": True, "region": FIRST, "summary": "9 calls"}]
    assert dry.do("finish", DescribeFleetOperator)["regions"][0]["summary"] == "9 calls"
    assert run.world.ledger.events() == before


def test_run_from_before_waves_goes_one_after_the_other(run: Run) -> None:
    run.results["order_regions"] = list(REGIONS)
    assert waves_of(*claim_of(run, FIRST)) == Waves(tuple((one,) for one in REGIONS))
    run.push(FIRST)
    run.claim(SECOND)
    assert f"{SECOND} comes before {THIRD}" in word(run, THIRD)


def test_order_of_another_version_is_not_guessed_at(run: Run) -> None:
    run.results["order_regions"] = {"schema": 3}
    with pytest.raises(AirflowFailException, match="no order that this version can read"):
        run.claim(FIRST)
    del run.results["order_regions"]
    with pytest.raises(AirflowFailException, match="left no order of the regions: clear it"):
        run.claim(FIRST)


def test_other_environments_go_by_their_settings(run: Run) -> None:
    task = RunEnvironmentTestsOperator(task_id="run_tests", app="api", environment="test")
    assert waves_of(task, {}).waves == (("us-east-1",),)  # type: ignore[arg-type]


def test_regions_of_a_wave_are_pushed_side_by_side(run: Run) -> None:
    assert f"{FIRST} comes before {SECOND}" in word(run, SECOND)
    run.push(FIRST)
    for region in (SECOND, THIRD):
        run.claim(region)
        run.switch(region)
    for region in (THIRD, SECOND):
        run.watch(region)
        run.do("push.release_cluster", ReleaseClusterOperator, region=region)
    assert run.world.serving() == {region: {run.world.commit} for region in REGIONS}


def test_failure_in_a_wave_lets_the_other_get_to_its_end_and_stops_who_has_not_begun(run: Run) -> None:
    run.results["order_regions"]["waves"] = [[FIRST, SECOND], [THIRD]]
    run.claim(FIRST)
    run.claim(SECOND)
    run.switch(SECOND)
    fail(run, FIRST)
    assert state_in(run.world.ledger, place(SECOND), "x") is RegionState.NOT_BEGUN
    run.claim(SECOND)  # as Airflow does where a task of it is retried
    run.watch(SECOND)
    with pytest.raises(AirflowFailException, match=f"The push of {FIRST} has failed: .* {THIRD} is left as it is"):
        run.claim(THIRD)
    (halted,) = run.world.ledger.events(kinds={Kind.DELIVERY_HALTED})
    assert halted.event.data["not_begun"] == [THIRD]
    assert run.world.serving() == {FIRST: {""}, SECOND: {run.world.commit}, THIRD: {""}}


def test_failure_wakes_who_waits_at_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_turn, "FIRST_EVENT_SECONDS", 0.01)
    monkeypatch.setattr(cluster_turn, "POLL_SECONDS", 0.01)
    run.claim(FIRST)
    with pytest.raises(TaskDeferred) as caught:
        run.claim(SECOND)
    trigger = caught.value.trigger
    assert isinstance(trigger, ClusterTurnTrigger)
    assert what_hinders(run.world.ledger, trigger.turn, run.world.now())

    async def wait() -> None:
        event = asyncio.ensure_future(anext(trigger.run()))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(event), 0.3)
        fail(run, FIRST)
        await asyncio.wait_for(event, 5)

    asyncio.run(wait())
    with pytest.raises(AirflowFailException, match=f"clear {FIRST} first"):
        run.claim(SECOND)


def test_failure_between_the_look_and_the_lock_stops_the_push(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run.push(FIRST)
    run.claim(SECOND)
    take = ClaimClusterOperator.take

    def later(task: ClaimClusterOperator, *arguments: Any, **keywords: Any) -> Any:
        if task.region == THIRD:
            fail(run, SECOND)
        return take(task, *arguments, **keywords)

    monkeypatch.setattr(ClaimClusterOperator, "take", later)
    with pytest.raises(AirflowFailException, match=f"The push of {SECOND} has failed"):
        run.claim(THIRD)
    assert run.world.ledger.lease(place(THIRD)) is None
    assert state_in(run.world.ledger, place(THIRD), run.results["build.select_commit"]["run_key"]) is (
        RegionState.NOT_BEGUN
    )


def airflow_says(run: Run, **states: str | None) -> None:
    """claim, push, watch = ...: of all three regions."""
    names = {"claim": "claim_cluster", "push": "push_red_black", "watch": "watch_red"}
    for name, state in states.items():
        run.states |= {f"push.{names[name]}_{index}": state for index in range(3)}


def test_two_that_failed_side_by_side_are_both_begun_again_when_both_are_cleared(run: Run) -> None:
    run.push(FIRST)
    for region in (SECOND, THIRD):
        run.claim(region)
    for region in (SECOND, THIRD):
        fail(run, region)
    with pytest.raises(AirflowFailException, match=f"The push of {THIRD} has failed"):
        run.claim(SECOND)
    airflow_says(run, claim=None, push=None, watch=None)
    run.states |= {"push.push_red_black_0": "success", "push.watch_red_0": "success"}
    for fleet in run.world.fleets.values():
        fleet.broken_images.clear()
    for region in (SECOND, THIRD):
        assert run.claim(region)["attempt"] == 1
    for region in (SECOND, THIRD):
        run.switch(region)
        run.watch(region)
    assert run.world.serving() == {region: {run.world.commit} for region in REGIONS}


def test_one_that_is_cleared_alone_leaves_the_others_alone(run: Run) -> None:
    run.push(FIRST)
    run.claim(SECOND)
    fail(run, SECOND)
    airflow_says(run, claim=None, push="failed", watch="upstream_failed")
    run.states |= {"push.push_red_black_0": "success", "push.watch_red_0": "success"}
    run.states |= {"push.push_red_black_1": None, "push.watch_red_1": None}
    assert run.claim(FIRST)["token"] == 0, "Airflow clears its claim too: it is at its end"
    assert run.claim(THIRD)["token"] == 0, "its push is not to be done again"
    run.world.fleets[SECOND].broken_images.clear()
    assert run.claim(SECOND)["attempt"] == 1
    run.switch(SECOND)
    run.watch(SECOND)
    assert run.world.serving() == {FIRST: {run.world.commit}, SECOND: {run.world.commit}, THIRD: {""}}


def test_push_that_is_failing_is_not_taken_for_one_that_begins_again(run: Run) -> None:
    run.push(FIRST)
    run.claim(SECOND)
    fail(run, SECOND)
    airflow_says(run, claim=None, push=None, watch=None)
    run.states |= {"push.claim_cluster_1": "success", "push.push_red_black_1": "running"}
    with pytest.raises(AirflowFailException, match=f"The push of {SECOND} has failed"):
        run.claim(THIRD)


def test_nobody_waits_for_a_region_whose_tasks_have_ended_without_a_push(run: Run) -> None:
    airflow_says(run, claim=None, push=None, watch=None)
    run.states |= {"push.claim_cluster_0": "failed", "push.push_red_black_0": "upstream_failed"}
    run.states |= {"push.watch_red_0": "upstream_failed"}
    with pytest.raises(AirflowFailException, match=f"{FIRST} comes before {SECOND} and its push was not begun"):
        run.claim(SECOND)


def test_push_whose_tasks_have_all_ended_in_the_middle_is_not_waited_for(run: Run) -> None:
    run.claim(FIRST)  # killed after its push was begun: nobody is left who says how it ended
    airflow_says(run, claim=None, push=None, watch=None)
    assert f"{FIRST} comes before {SECOND}" in word(run, SECOND), "its tasks are still at it"
    ended = {"claim_cluster": "failed", "roll_back": "failed", "release_cluster": "upstream_failed"}
    ended |= {"push_red_black": "upstream_failed", "watch_red": "upstream_failed"}
    run.states |= {f"push.{name}_0": state for name, state in ended.items()}
    stopped = f"{FIRST} comes before {SECOND} and its tasks have ended before its push did.*clear {FIRST} first"
    with pytest.raises(AirflowFailException, match=stopped):
        run.claim(SECOND)


def test_push_that_ends_in_the_middle_when_it_is_begun_again_is_noted_as_failed(run: Run) -> None:
    run.claim(FIRST)
    fail(run, FIRST)
    run.claim(FIRST)
    run.do("push.release_cluster", ReleaseClusterOperator, region=FIRST)
    failed = run.world.ledger.events(place=place(FIRST), kinds={Kind.PUSH_FAILED})
    assert [one.event.why for one in failed][1:] == ["its tasks ended before the push did"]


def test_closed_window_is_waited_for_before_the_lock(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    real = ClaimClusterOperator.take

    def take(task: ClaimClusterOperator, *arguments: Any, **keywords: Any) -> Any:
        order.append("lock")
        return real(task, *arguments, **keywords)

    monkeypatch.setattr(ClaimClusterOperator, "take", take)
    monkeypatch.setattr("redstart.operators.lock.await_window", lambda *_, **__: order.append("window"))
    run.claim(FIRST)
    assert order == ["window", "lock"]


def test_turn_outlives_a_deployment(run: Run) -> None:
    with pytest.raises(TaskDeferred) as caught:
        run.claim(SECOND)
    classpath, kwargs = caught.value.trigger.serialize()
    again = ClusterTurnTrigger(**json.loads(json.dumps(kwargs)))
    assert again.serialize() == (classpath, kwargs)
    assert again.turn.waves == ((FIRST,), (SECOND, THIRD))


def test_turn_of_an_older_version_still_waits_for_its_earlier_regions(run: Run) -> None:
    kept = {"app": "api", "stack": "main", "region": SECOND, "run": run.results["build.select_commit"]["run_key"]}
    until = (run.world.now() + timedelta(minutes=10)).timestamp()
    old = ClusterTurnTrigger(turn={**kept, "earlier": [FIRST]}, look_again_epoch=until, schema=1)
    assert f"{FIRST} comes before {SECOND}" in what_hinders(run.world.ledger, old.turn, run.world.now())
    run.push(FIRST)
    assert what_hinders(run.world.ledger, old.turn, run.world.now()) == ""
