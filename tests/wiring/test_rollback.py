"""The rollback that a person asks for: beside a push, past other locks, with nothing to go back to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.apps import load_app
from include.ledger import Claim, Hold, Holder, Kind, Place
from redstart.operators.finish import DescribeRollbackOperator
from redstart.operators.rollback import ReleaseRollbackOperator, RollBackPushOperator, RollBackRegionOperator
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
    for fleet in found.fleets.values():
        fleet.rps = 100.0
    return found


@pytest.fixture
def run(world: DeliveryWorld) -> Run:
    return Run(world).after_canary()


@pytest.fixture
def pushed(run: Run) -> Run:
    run.push(FIRST)
    return run


def ask(world: DeliveryWorld, number: int = 1, **form: Any) -> Run:
    """A run of the rollback, as its form starts it."""
    asked = Run(world, f"manual__rollback_{number}")
    asked.form = {"regions": [FIRST], "reason": "errors", "severe": True, "to": "", "take_over": False, **form}
    return asked


def roll_back(asked: Run, region: str = FIRST) -> Any:
    try:
        return asked.do("region.roll_back", RollBackRegionOperator, region=region)
    finally:
        asked.do("region.release_cluster", ReleaseRollbackOperator, region=region)


def kinds(world: DeliveryWorld) -> list[Kind]:
    return [one.event.kind for one in world.ledger.events(place=place(FIRST))]


def test_region_goes_back_and_forward_again(pushed: Run) -> None:
    world = pushed.world
    red = pushed.results["push.watch_red"]["group"]
    asked = ask(world)
    assert roll_back(asked)["group"] == "api-main-v000"
    assert world.serving()[FIRST] == {""}
    told = asked.do("finish", DescribeRollbackOperator)
    assert list(told["live"]) == [FIRST]
    assert 0 <= told["seconds_to_safe"][FIRST]["decision"] <= 5
    assert world.ledger.lease(place(FIRST)) is None
    assert roll_back(ask(world, 2, to=red, reason="it was the load test"))["group"] == red
    assert world.serving()[FIRST] == {world.commit}


def test_second_click_of_the_same_run_changes_nothing(pushed: Run) -> None:
    asked = ask(pushed.world)
    first = roll_back(asked)
    calls = len(pushed.world.fleets[FIRST].calls)
    assert roll_back(asked)["group"] == first["group"]
    assert len(pushed.world.fleets[FIRST].calls) == calls
    assert kinds(pushed.world).count(Kind.ROLLBACK_SAFE) == 1


def test_rollback_killed_anywhere_goes_on(pushed: Run) -> None:
    fleet, asked = pushed.world.fleets[FIRST], ask(pushed.world)
    for call in ("create_or_update_tags", "modify_listener", "suspend_processes"):

        def die(done: str, moment: str, call: str = call) -> None:
            if moment == "before" and done.startswith(call):
                fleet.hook = lambda call, moment: None
                raise Killed

        fleet.hook = die
        with pytest.raises(Killed):
            asked.do("region.roll_back", RollBackRegionOperator, region=FIRST)
    assert roll_back(asked)["group"] == "api-main-v000"
    assert pushed.world.serving()[FIRST] == {""}


def test_region_that_was_not_asked_for_is_skipped(pushed: Run) -> None:
    for operator in (RollBackRegionOperator, ReleaseRollbackOperator):
        with pytest.raises(AirflowSkipException):
            ask(pushed.world).do("x", operator, region=SECOND)


def test_push_under_way_gives_way_to_a_rollback(run: Run) -> None:
    run.claim(FIRST)
    run.switch(FIRST)
    assert roll_back(ask(run.world))["group"] == "api-main-v000"
    with pytest.raises(AirflowFailException, match="rolled back"):
        run.watch(FIRST)
    summary = run.do("push.roll_back", RollBackPushOperator, region=FIRST)["summary"]
    assert "rolled back: errors" in summary
    assert run.world.serving()[FIRST] == {""}
    assert kinds(run.world).count(Kind.PUSH_FINISHED) == 0


def test_lock_of_a_person_is_respected_unless_it_is_taken_over(pushed: Run) -> None:
    world = pushed.world
    claim = Claim("person-bob", Holder.PERSON, "bob", "looks at a heap dump", 3600)
    world.ledger.claim(place(FIRST), claim, world.now())
    with pytest.raises(AirflowFailException, match=r"bob's \(person\) until .*heap dump.*'Take over'"):
        roll_back(ask(world))
    lease = world.ledger.lease(place(FIRST))
    assert lease is not None
    assert lease.who == "bob", "what was not ours is not freed"
    assert roll_back(ask(world, take_over=True))["group"] == "api-main-v000"
    assert Kind.LOCK_TAKEN_OVER in kinds(world)


def test_group_that_is_not_there_is_said_with_those_that_are(pushed: Run) -> None:
    with pytest.raises(AirflowFailException, match=r"no group 'api-main-v123'.*api-main-v001, api-main-v000"):
        roll_back(ask(pushed.world, to="api-main-v123"))


def test_with_nothing_left_the_version_before_is_pushed_again(pushed: Run) -> None:
    world, fleet = pushed.world, pushed.world.fleets[FIRST]
    second = Run(world, "manual__second")
    second.results = dict(pushed.results)
    second.results["build.select_commit"] = {**pushed.results["build.select_commit"], "run_key": "manual__second"}
    second.results["build.bake_image"] = {"schema": 1, "images": {FIRST: "ami-newer"}}
    second.results["canary.launch_canary"] = {
        **pushed.results["canary.launch_canary"],
        "production": {FIRST: [f"ami-{FIRST}"]},
    }
    second.push(FIRST)
    for name in [name for name, weight in fleet.listener.items() if weight == 0]:
        fleet.delete_group(name)
    fleet.listener = {name: weight for name, weight in fleet.listener.items() if weight}
    world.sleep(10)
    world.ledger.place_hold(Hold(place(FIRST), "bob", "pushes wait, rollbacks do not", world.now()))
    asked = ask(world)
    roll_back(asked)
    (serving,) = [fleet.records[name] for name, weight in fleet.listener.items() if weight]
    assert serving.spec.image_id == f"ami-{FIRST}"
    assert asked.do("finish", DescribeRollbackOperator)["seconds_to_safe"] == {}


def test_with_nothing_known_before_it_refuses(world: DeliveryWorld) -> None:
    with pytest.raises(AirflowFailException, match="push an earlier commit"):
        roll_back(ask(world))
    assert world.serving()[FIRST] == {""}
