"""A push has failed: nobody else begins, and the finished regions go back, the last first, where the run says so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred

from include.apps import load_app
from include.apps.delivery import run_key
from include.ledger import Claim, Event, Holder, Kind, Place
from include.redblack.look import Finding, Watched
from redstart.operators.going_back import Wish
from redstart.operators.halt import TakeBackOperator
from redstart.operators.lock import ReleaseClusterOperator
from redstart.operators.rollback import ReleaseRollbackOperator, RollBackRegionOperator
from redstart.operators.standing import run_back
from redstart.triggers.moment import MomentTrigger
from redstart.triggers.way_back import WayBackTrigger, what_delays
from tests.support.delivery_world import DeliveryWorld, few_pairs, make_world
from tests.support.fake_fleet import Killed
from tests.support.station_run import Run

FIRST, SECOND, THIRD = load_app("api").prod.region_names
REGIONS = (FIRST, SECOND, THIRD)
TASK = "halt.take_back"


def place(region: str) -> Place:
    return Place("api", "main", region)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeliveryWorld:
    found = make_world(tmp_path, monkeypatch)
    found.metrics.pairs = few_pairs()
    for fleet in found.fleets.values():
        fleet.rps = 100.0
    return found


@pytest.fixture
def run(world: DeliveryWorld) -> Run:
    """A run that takes back."""
    found = Run(world)
    found.form = {"on_failure": "roll_back"}
    return found.after_canary()


@pytest.fixture
def halted(run: Run) -> Run:
    """Two regions are finished, the second of them last; the third has failed and is back."""
    run.push(FIRST)
    run.push(SECOND)
    fail(run, THIRD)
    return run


def fail(run: Run, region: str) -> None:
    run.world.fleets[region].broken_images.add(f"ami-{region}")
    run.claim(region)
    with pytest.raises(AirflowFailException, match="rolled back"):
        run.switch(region)
    release(run, region)


def release(run: Run, region: str) -> None:
    run.do("push.release_cluster", ReleaseClusterOperator, region=region)


def take_back(run: Run, region: str) -> str:
    return str(run.do(TASK, TakeBackOperator, region=region)["summary"])


def waits(run: Run, region: str) -> str:
    """That the region's way back waits; the sentence it waits with."""
    with pytest.raises(TaskDeferred) as caught:
        take_back(run, region)
    trigger = caught.value.trigger
    assert isinstance(trigger, WayBackTrigger)
    return what_delays(run.world.ledger, trigger.back, run.world.now())


def told(world: DeliveryWorld, kind: Kind) -> list[Event]:
    return [one.event for one in world.ledger.events(app="api", kinds={kind})]


def test_finished_regions_go_back_in_the_reverse_order(halted: Run) -> None:
    world = halted.world
    assert f"{SECOND} came to its end after {FIRST}" in waits(halted, FIRST)
    assert "api-main-v000 serves" in take_back(halted, SECOND)
    assert "api-main-v000 serves" in take_back(halted, FIRST)
    with pytest.raises(AirflowSkipException, match="went back when its push failed"):
        take_back(halted, THIRD)
    assert world.serving() == {region: {""} for region in REGIONS}
    assert [world.ledger.lease(place(region)) for region in REGIONS] == [None] * 3
    finished = [one for one in told(world, Kind.ROLLBACK_FINISHED) if one.run == run_back(run_key(halted.run_id), 0)]
    assert [one.place.region for one in finished] == [SECOND, FIRST]
    assert all(one.why.startswith(f"the push of {THIRD} failed: ") for one in finished)


def test_halt_is_in_the_ledger_once_with_how_the_regions_stand(halted: Run) -> None:
    waits(halted, FIRST)
    take_back(halted, SECOND)
    (event,) = told(halted.world, Kind.DELIVERY_HALTED)
    assert event.place == Place("api", "main", "all-regions")
    assert event.why.startswith(f"the push of {THIRD} failed: ")
    stand = {name: event.data[name] for name in ("failed", "finished", "not_begun", "takes_back")}
    assert stand == {"failed": [THIRD], "finished": [FIRST, SECOND], "not_begun": [], "takes_back": True}


def test_without_the_wish_finished_regions_stay(run: Run) -> None:
    run.results["order_regions"]["takes_back"] = False
    run.push(FIRST)
    fail(run, SECOND)
    for region in REGIONS:
        with pytest.raises(AirflowSkipException, match=f"Halted: the push of {SECOND} failed: .*stay as they are"):
            take_back(run, region)
    assert run.world.serving()[FIRST] == {run.world.commit}
    (event,) = told(run.world, Kind.DELIVERY_HALTED)
    assert (event.data["not_begun"], event.data["takes_back"]) == ([THIRD], False)


def test_region_that_finishes_after_the_failure_goes_back_first(run: Run) -> None:
    run.results["order_regions"]["waves"] = [list(REGIONS)]
    run.push(FIRST)
    run.claim(SECOND)
    run.switch(SECOND)
    fail(run, THIRD)
    assert f"{SECOND} is under way" in waits(run, FIRST)
    run.watch(SECOND)
    assert f"{SECOND} came to its end after {FIRST}" in waits(run, FIRST)
    assert "api_prod's (push)" in waits(run, SECOND), "its own lock is about to be freed"
    release(run, SECOND)
    take_back(run, SECOND)
    take_back(run, FIRST)
    assert run.world.serving() == {region: {""} for region in REGIONS}


def test_lock_of_a_push_that_is_about_to_end_is_waited_for(run: Run) -> None:
    run.push(FIRST)
    run.world.fleets[SECOND].broken_images.add(f"ami-{SECOND}")
    run.claim(SECOND)
    with pytest.raises(AirflowFailException):
        run.switch(SECOND)
    assert f"{SECOND} is still worked on" in waits(run, FIRST)
    release(run, SECOND)
    take_back(run, FIRST)


def test_tasks_that_have_not_ended_are_waited_for(halted: Run) -> None:
    halted.states = {"push.release_cluster_1": "running", "push.release_cluster_2": "success"}
    with pytest.raises(TaskDeferred) as caught:
        take_back(halted, SECOND)
    assert isinstance(caught.value.trigger, MomentTrigger)
    halted.states["push.release_cluster_1"] = "success"
    take_back(halted, SECOND)


def test_where_nothing_was_pushed_or_nothing_failed_nothing_is_done(run: Run) -> None:
    run.push(FIRST)
    with pytest.raises(AirflowSkipException, match="No push of this run has failed"):
        take_back(run, FIRST)
    assert told(run.world, Kind.DELIVERY_HALTED) == []
    del run.results["order_regions"]
    with pytest.raises(AirflowSkipException, match="Nothing of this run was pushed"):
        take_back(run, FIRST)
    run.results["order_regions"] = [SECOND]
    with pytest.raises(AirflowSkipException, match="not among the regions"):
        take_back(run, FIRST)


def test_failure_that_may_still_come_is_waited_for(run: Run) -> None:
    run.push(FIRST)
    run.states = {"push.watch_red_0": "success", "push.claim_cluster_1": "failed", "push.watch_red_2": None}
    with pytest.raises(TaskDeferred):
        take_back(run, FIRST)


def hand_back(world: DeliveryWorld, region: str) -> None:
    asked = Run(world, "manual__rollback_1")
    asked.form = {"regions": [region], "reason": "errors", "severe": True, "to": "", "take_over": False}
    asked.do("region.roll_back", RollBackRegionOperator, region=region)
    asked.do("region.release_cluster", ReleaseRollbackOperator, region=region)


def test_region_that_somebody_took_back_is_left_alone(halted: Run) -> None:
    hand_back(halted.world, SECOND)
    calls = len(halted.world.fleets[SECOND].calls)
    assert "somebody else has decided there" in take_back(halted, SECOND)
    assert len(halted.world.fleets[SECOND].calls) == calls
    take_back(halted, FIRST)
    assert halted.world.serving()[FIRST] == {""}


def test_persons_lock_is_respected_and_the_others_go_on(halted: Run) -> None:
    claim = Claim("person-bob", Holder.PERSON, "bob", "looks at a heap dump", 3600)
    halted.world.ledger.claim(place(SECOND), claim, halted.world.now())
    with pytest.raises(AirflowFailException, match=r"bob's .*heap dump .*free it, then clear this task"):
        take_back(halted, SECOND)
    take_back(halted, FIRST)
    assert halted.world.serving() == {FIRST: {""}, SECOND: {halted.world.commit}, THIRD: {""}}
    halted.world.ledger.free(place(SECOND), halted.world.now(), who="bob", why="seen")
    with pytest.raises(AirflowSkipException, match="could not be taken back"):
        take_back(halted, SECOND)


def test_another_rollback_is_waited_for(halted: Run) -> None:
    claim = Claim("rollback-2", Holder.ROLLBACK, "ann", "errors", 180)
    halted.world.ledger.claim(place(SECOND), claim, halted.world.now())
    assert "ann's (rollback)" in waits(halted, SECOND)


def test_killed_in_the_middle_it_goes_on(halted: Run) -> None:
    fleet = halted.world.fleets[SECOND]
    for call in ("create_or_update_tags", "modify_listener", "suspend_processes"):

        def die(done: str, moment: str, call: str = call) -> None:
            if moment == "before" and done.startswith(call):
                fleet.hook = lambda call, moment: None
                raise Killed

        fleet.hook = die
        with pytest.raises(Killed):
            take_back(halted, SECOND)
    assert "goes back before it" in waits(halted, FIRST), "its place in the order is kept"
    assert "api-main-v000 serves" in take_back(halted, SECOND)
    assert halted.world.serving()[SECOND] == {""}
    take_back(halted, FIRST)


def test_way_back_that_fails_is_said_and_passed_over(halted: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from include.errors import RefusedError

    def refuse(*_: Any) -> Iterator[Any]:
        raise RefusedError("AWS says no")

    with monkeypatch.context() as patch:
        patch.setattr("redstart.operators.halt.roll_back_region", refuse)
        with pytest.raises(AirflowFailException, match="AWS says no"):
            take_back(halted, SECOND)
    (failed,) = told(halted.world, Kind.ROLLBACK_FAILED)
    assert (failed.place.region, failed.why) == (SECOND, "AWS says no")
    assert halted.world.ledger.lease(place(SECOND)) is None
    take_back(halted, FIRST)
    assert halted.world.serving()[FIRST] == {""}


def abandoned(run: Run, region: str) -> None:
    """Airflow has nothing more to do in the region; that its push ended nobody has said."""
    index = REGIONS.index(region)
    for name in ("claim_cluster", "push_red_black", "watch_red", "roll_back", "release_cluster"):
        run.states |= {f"push.{name}_{one}": "success" for one in range(3)}
        run.states[f"push.{name}_{index}"] = "failed"


def test_push_whose_tasks_have_all_ended_in_the_middle_is_noted_as_failed_and_the_others_go_back(run: Run) -> None:
    run.push(FIRST)
    run.claim(SECOND)
    assert f"{SECOND} is under way" in waits(run, FIRST), "as long as its tasks are at it"
    abandoned(run, SECOND)
    assert "api-main-v000 serves" in take_back(run, FIRST)
    (failed,) = told(run.world, Kind.PUSH_FAILED)
    assert (failed.place, failed.why) == (place(SECOND), "its tasks ended before the push did")
    assert failed.key == f"{place(SECOND)}/{run_key(run.run_id)}/0/{Kind.PUSH_FAILED}"
    assert run.world.ledger.lease(place(SECOND)) is None, "nobody would free it"
    assert [one.data["failed"] for one in told(run.world, Kind.DELIVERY_HALTED)] == [[SECOND]]
    with pytest.raises(AirflowSkipException, match="nothing to take back"):
        take_back(run, SECOND)
    with pytest.raises(AirflowSkipException, match="was not begun"):
        take_back(run, THIRD)
    assert len(told(run.world, Kind.PUSH_FAILED)) == 1


@pytest.mark.parametrize("takes_back", [True, False])
def test_region_that_is_left_half_pushed_is_named(run: Run, takes_back: bool) -> None:
    run.results["order_regions"]["takes_back"] = takes_back
    run.claim(FIRST)
    run.switch(FIRST)  # red serves alone, and is not watched to the end
    abandoned(run, FIRST)
    with pytest.raises(AirflowSkipException):
        take_back(run, SECOND)
    for _ in range(2):  # cleared: said again
        half = f"{FIRST} is left half pushed: api-main-v001 has traffic.*trigger api_rollback for {FIRST}"
        with pytest.raises(AirflowFailException, match=half):
            take_back(run, FIRST)
    hand_back(run.world, FIRST)
    with pytest.raises(AirflowSkipException):
        take_back(run, FIRST)
    assert run.world.serving()[FIRST] == {""}


def test_way_back_whose_task_is_gone_is_not_waited_for(halted: Run) -> None:
    halted.states = {f"{TASK}_0": "running", f"{TASK}_1": "failed"}
    take_back(halted, FIRST)
    assert halted.world.serving()[FIRST] == {""}


def wishes(monkeypatch: pytest.MonkeyPatch) -> list[Wish]:
    from redstart.operators import halt

    found: list[Wish] = []
    real: Callable[..., Any] = halt.roll_back_region
    monkeypatch.setattr(halt, "roll_back_region", lambda held, wish: found.append(wish) or real(held, wish))
    return found


def test_push_that_never_served_has_hurt_nobody(halted: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    found = wishes(monkeypatch)
    take_back(halted, SECOND)
    assert [one.is_severe for one in found] == [False]


def test_users_that_were_hurt_are_not_kept_waiting(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    found = wishes(monkeypatch)
    run.push(FIRST)
    run.claim(SECOND)
    run.switch(SECOND)
    hurt = Watched(Finding.UNSOUND, run.world.now(), "every request fails", is_severe=True)
    monkeypatch.setattr("redstart.operators.watch.make_watch", lambda *_: lambda request: hurt)
    monkeypatch.setenv("AIRFLOW_VAR_REDSTART_WATCH_SECONDS", "60")
    with pytest.raises(AirflowFailException, match="every request fails"):
        run.watch(SECOND)
    release(run, SECOND)
    take_back(run, FIRST)
    assert [one.is_severe for one in found] == [True]


def test_with_no_group_left_the_version_before_is_pushed_again(run: Run) -> None:
    world = run.world
    run.push(FIRST)
    later = Run(world, "manual__second")
    later.results = {name: dict(one) for name, one in run.results.items()}
    later.results["build.select_commit"]["run_key"] = run_key("manual__second")
    later.results["build.bake_image"] = {"schema": 1, "images": {region: f"ami-newer-{region}" for region in REGIONS}}
    later.results["canary.launch_canary"]["production"] = {
        FIRST: [f"ami-{FIRST}"],
        SECOND: [f"ami-old-{SECOND}"],
        THIRD: [f"ami-old-{THIRD}"],
    }
    later.push(FIRST)
    world.fleets[SECOND].broken_images.add(f"ami-newer-{SECOND}")
    later.claim(SECOND)
    with pytest.raises(AirflowFailException):
        later.switch(SECOND)
    release(later, SECOND)
    fleet = world.fleets[FIRST]
    for name in [name for name, weight in fleet.listener.items() if weight == 0]:
        fleet.delete_group(name)
    fleet.listener = {name: weight for name, weight in fleet.listener.items() if weight}
    world.sleep(10)
    take_back(later, FIRST)
    (serving,) = [fleet.records[name] for name, weight in fleet.listener.items() if weight]
    assert serving.spec.image_id == f"ami-{FIRST}"
    with pytest.raises(AirflowSkipException, match="is back already"):
        take_back(later, FIRST)


def test_all_that_was_taken_back_is_pushed_anew_when_it_is_cleared(halted: Run) -> None:
    world = halted.world
    take_back(halted, SECOND)
    take_back(halted, FIRST)
    for fleet in world.fleets.values():
        fleet.broken_images.clear()
    halted.states = {f"push.{name}_{index}": None for name in ("claim_cluster", "watch_red") for index in range(3)}
    with pytest.raises(TaskDeferred):
        halted.claim(THIRD)
    for index, region in enumerate(REGIONS):
        halted.states[f"push.claim_cluster_{index}"] = "running"
        assert halted.claim(region)["attempt"] == 1
        halted.states[f"push.claim_cluster_{index}"] = "success"
        halted.switch(region)
        halted.watch(region)
        release(halted, region)
        halted.states[f"push.watch_red_{index}"] = "success"
    assert world.serving() == {region: {world.commit} for region in REGIONS}
    assert len([one for one in told(world, Kind.PUSH_FINISHED) if one.place.region == FIRST]) == 2


def test_wait_survives_a_deployment(halted: Run) -> None:
    with pytest.raises(TaskDeferred) as caught:
        take_back(halted, FIRST)
    classpath, kwargs = caught.value.trigger.serialize()
    again = WayBackTrigger(**json.loads(json.dumps(kwargs)))
    assert again.serialize() == (classpath, kwargs)
    assert asdict(again.back)["waves"] == ((FIRST,), (SECOND,), (THIRD,))
