"""A region's push among others: whose turn it is, locks, holds, and the way back when a task has failed."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred

from include.apps import load_app
from include.apps.delivery import run_key
from include.ledger import Claim, Hold, Holder, Kind, Place
from redstart.operators.lock import ReleaseClusterOperator
from redstart.operators.rollback import RollBackPushOperator
from redstart.triggers import cluster_turn
from redstart.triggers.cluster_turn import ClusterTurnTrigger, Turn
from redstart.triggers.moment import MomentTrigger
from tests.support.delivery_world import DeliveryWorld, few_pairs, make_world
from tests.support.fake_fleet import Killed
from tests.support.station_run import Run

FIRST, SECOND, THIRD = load_app("api").prod.region_names


def place(region: str) -> Place:
    return Place("api", "main", region)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeliveryWorld:
    found = make_world(tmp_path, monkeypatch)
    found.metrics.pairs = few_pairs()
    return found


@pytest.fixture
def run(world: DeliveryWorld) -> Run:
    return Run(world).after_canary()


def waits(run: Run, region: str) -> str:
    """That the region's claim waits; the sentence it waits with."""
    with pytest.raises(TaskDeferred) as caught:
        run.claim(region)
    trigger = caught.value.trigger
    assert isinstance(trigger, ClusterTurnTrigger)
    return cluster_turn.what_hinders(run.world.ledger, trigger.turn, run.world.now())


def roll_back(run: Run, region: str = FIRST) -> str:
    return str(run.do("push.roll_back", RollBackPushOperator, region=region)["summary"])


def kinds(world: DeliveryWorld, region: str = FIRST) -> list[Kind]:
    return [one.event.kind for one in world.ledger.events(place=place(region))]


def test_regions_go_one_after_the_other(run: Run) -> None:
    assert f"{FIRST} comes before {SECOND}" in waits(run, SECOND)
    run.claim(FIRST)
    run.switch(FIRST)
    assert run.world.serving()[FIRST] == {run.world.commit}
    assert f"{FIRST} comes before {SECOND}" in waits(run, SECOND), "it serves, but its watch is not over"
    run.push(FIRST)
    run.push(SECOND)
    assert run.world.serving()[SECOND] == {run.world.commit}
    assert kinds(run.world, SECOND).count(Kind.PUSH_FINISHED) == 1


def test_region_that_was_not_asked_for_is_skipped(run: Run) -> None:
    run.results["order_regions"] = {"schema": 2, "waves": [[FIRST]], "takes_back": False, "why": ""}
    with pytest.raises(AirflowSkipException):
        run.claim(SECOND)


def test_region_after_a_failed_one_is_not_begun(run: Run) -> None:
    run.world.fleets[FIRST].broken_images.add(f"ami-{FIRST}")
    run.claim(FIRST)
    assert FIRST in waits(run, THIRD)
    with pytest.raises(AirflowFailException, match="rolled back"):
        run.switch(FIRST)
    run.world.sleep(10)
    assert roll_back(run) == f"nothing of this run is in {FIRST}"
    run.do("push.release_cluster", ReleaseClusterOperator, region=FIRST)
    turn = Turn("api", "main", THIRD, run_key(run.run_id), ((FIRST,), (SECOND,), (THIRD,)))
    assert cluster_turn.what_hinders(run.world.ledger, turn, run.world.now()) == "", "it need not wait for SECOND"
    for region in (SECOND, THIRD):
        with pytest.raises(
            AirflowFailException,
            match=f"The push of {FIRST} has failed: .* {region} is left as it is; clear {FIRST} first",
        ):
            run.claim(region)
    assert run.world.serving() == {FIRST: {""}, SECOND: {""}, THIRD: {""}}
    assert kinds(run.world).count(Kind.PUSH_FAILED) == 1


def test_cleared_push_that_had_failed_is_begun_again(run: Run) -> None:
    run.world.fleets[FIRST].broken_images.add(f"ami-{FIRST}")
    run.claim(FIRST)
    with pytest.raises(AirflowFailException):
        run.switch(FIRST)
    with pytest.raises(AirflowFailException, match="rolled back"):
        run.switch(FIRST)  # a retry is no new push
    run.do("push.release_cluster", ReleaseClusterOperator, region=FIRST)
    run.world.fleets[FIRST].broken_images.clear()
    run.push(FIRST)  # though the first try's group is still on its way out
    assert run.world.serving()[FIRST] == {run.world.commit}
    run.push(SECOND)


def test_held_region_waits_until_it_is_released(run: Run) -> None:
    now = run.world.now()
    run.world.ledger.place_hold(Hold(place(FIRST), "bob", "the match is on", now))
    assert "held by bob until lifted: the match is on" in waits(run, FIRST)
    run.world.ledger.lift_hold(place(FIRST), now, who="bob", why="it is over")
    run.push(FIRST)


def test_push_under_way_stands_still_while_it_is_held(run: Run) -> None:
    run.claim(FIRST)
    run.world.ledger.place_hold(Hold(place(FIRST), "bob", "the match is on", run.world.now()))
    with pytest.raises(TaskDeferred) as caught:
        run.switch(FIRST)
    assert isinstance(caught.value.trigger, ClusterTurnTrigger)
    lease = run.world.ledger.lease(place(FIRST))
    assert lease is not None
    assert lease.until >= run.world.now() + timedelta(minutes=10), "it stays this push's meanwhile"
    assert run.world.serving()[FIRST] == {""}
    run.world.ledger.lift_hold(place(FIRST), run.world.now(), who="bob", why="it is over")
    run.switch(FIRST)
    assert run.world.serving()[FIRST] == {run.world.commit}


def test_locked_region_waits_for_its_owner(run: Run) -> None:
    claim = Claim("person-bob", Holder.PERSON, "bob", "looks at a heap dump", 3600)
    run.world.ledger.claim(place(FIRST), claim, run.world.now())
    assert "bob" in waits(run, FIRST)
    run.world.sleep(3601)
    run.claim(FIRST)


def test_push_whose_lock_was_taken_over_stops_and_leaves_it_alone(run: Run) -> None:
    run.claim(FIRST)
    run.switch(FIRST)
    claim = Claim("rollback-2", Holder.ROLLBACK, "ann", "errors", 180)
    run.world.ledger.claim(place(FIRST), claim, run.world.now())
    assert "left to the rollback under way" in roll_back(run)
    done = run.do("push.release_cluster", ReleaseClusterOperator, region=FIRST)
    assert not done["freed"]
    lease = run.world.ledger.lease(place(FIRST))
    assert lease is not None
    assert lease.who == "ann"
    assert run.world.serving()[FIRST] == {run.world.commit}


@pytest.mark.parametrize("call", ["create_target_group", "create_auto_scaling_group", "modify_listener"])
def test_failed_task_is_rolled_back_from_wherever_it_was(run: Run, call: str) -> None:
    def die(done: str, moment: str) -> None:
        if moment == "after" and done.startswith(call):
            run.world.fleets[FIRST].hook = lambda call, moment: None
            raise Killed

    run.claim(FIRST)
    run.world.fleets[FIRST].hook = die
    with pytest.raises(Killed):
        run.switch(FIRST)
    roll_back(run)
    run.do("push.release_cluster", ReleaseClusterOperator, region=FIRST)
    run.world.sleep(10)
    assert run.world.serving()[FIRST] == {""}
    assert run.world.roles(FIRST) == ["main"]
    assert run.world.ledger.lease(place(FIRST)) is None
    assert kinds(run.world).count(Kind.PUSH_FAILED) == 1


def test_push_that_serves_alone_is_rolled_back_when_its_watch_fails(run: Run) -> None:
    run.claim(FIRST)
    run.switch(FIRST)
    assert "rolled back" in roll_back(run)
    assert run.world.serving()[FIRST] == {""}
    assert len(run.world.roles(FIRST)) == 2, "the bad group is kept, out of traffic, to be looked into"
    assert "rolled back: a task of its push failed" in roll_back(run), "said again, done once"


def test_push_that_has_ended_is_not_rolled_back(run: Run) -> None:
    run.claim(FIRST)
    run.switch(FIRST)
    run.push(FIRST)
    run.claim(FIRST)
    assert "had come to its end" in roll_back(run)
    assert run.world.serving()[FIRST] == {run.world.commit}


def test_cleared_claim_of_a_region_at_its_end_locks_nothing(run: Run) -> None:
    run.push(FIRST)
    assert run.claim(FIRST)["token"] == 0
    assert run.world.ledger.lease(place(FIRST)) is None
    run.push(SECOND)


def test_region_that_went_back_since_stops_the_run(run: Run) -> None:
    run.push(FIRST)
    fleet = run.world.fleets[FIRST]
    fleet.listener = {name: 100 - weight for name, weight in fleet.listener.items()}
    with pytest.raises(AirflowFailException, match="serves something else by now"):
        run.claim(SECOND)


def test_long_watch_holds_no_worker_and_keeps_the_lock(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_REDSTART_WATCH_SECONDS", "600")
    monkeypatch.setattr("redstart.operators.watch.make_watch", lambda *_: sound(run.world))
    run.claim(FIRST)
    run.switch(FIRST)
    began, waited = run.world.now(), 0
    while True:
        try:
            run.watch(FIRST)
            break
        except TaskDeferred as deferred:
            assert isinstance(deferred.trigger, MomentTrigger)
            lease = run.world.ledger.lease(place(FIRST))
            assert lease is not None
            assert lease.until.timestamp() > deferred.trigger.end_epoch + 60
            run.world.sleep(deferred.trigger.end_epoch - run.world.now().timestamp() + 1)
            waited += 1
    assert waited >= 5
    assert timedelta(seconds=600) <= run.world.now() - began <= timedelta(seconds=700)


def sound(world: DeliveryWorld) -> Any:
    from include.redblack.look import Finding, Watched

    return lambda request: Watched(Finding.SOUND, world.now())


def test_wait_ends_when_the_lock_is_free(world: DeliveryWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_turn, "FIRST_EVENT_SECONDS", 0.01)
    monkeypatch.setattr(cluster_turn, "POLL_SECONDS", 0.01)
    where = place(FIRST)
    world.ledger.claim(where, Claim("person-bob", Holder.PERSON, "bob", "looks", 3600), world.now())
    trigger = ClusterTurnTrigger.of(Turn("api", "main", FIRST, "run"), world.now() + timedelta(minutes=10))

    async def wait() -> None:
        event = asyncio.ensure_future(anext(trigger.run()))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(event), 0.3)
        world.ledger.free(where, world.now(), who="bob", why="done")
        assert (await asyncio.wait_for(event, 5)).payload == {"schema": 2}

    asyncio.run(wait())
