"""A flow that verifies has nothing to do only where the content has passed; a run that failed never turns green."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.apps import VerifyFlow, load_app
from include.ledger import Event, Kind
from redstart.operators.finish import DescribeFleetOperator
from tests.support.commit_flow import PLACE, Flow, commits, serve
from tests.support.delivery_world import DeliveryWorld, make_world
from tests.support.git import git


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeliveryWorld:
    return make_world(tmp_path, monkeypatch)


@pytest.fixture
def test(world: DeliveryWorld) -> Flow:
    return Flow(world, "test")


def finish(flow: Flow, run: str, delivery: dict[str, Any], *, tested: str = "") -> None:
    """The flow's last task, after tests (of `tested`, or the delivery's commit) that have passed."""
    branch_flow = flow.flow
    settings = load_app("api").flows[branch_flow]
    assert isinstance(settings, VerifyFlow)
    environments = settings.environments
    results = {f"{name}.run_tests": {"schema": 1, "commit": tested or delivery["commit"]} for name in environments}
    results["build.select_commit"] = delivery
    ti = SimpleNamespace(xcom_pull=lambda task_ids: results.get(task_ids), map_index=-1, task_id="finish")
    who = SimpleNamespace(dag_id=f"api_{branch_flow}", run_type="asset_triggered")
    task = DescribeFleetOperator(task_id="finish", app="api", environments=environments, flow=branch_flow)
    task.execute({"ti": ti, "run_id": run, "dag_run": who, "params": {}})


def passed(world: DeliveryWorld) -> list[Event]:
    return [one.event for one in world.ledger.events(kinds={Kind.BRANCH_VERIFIED})]


def again(world: DeliveryWorld, branch: str) -> str:
    """A commit more, with the same content."""
    git(world.origin.work, "checkout", "--quiet", branch)
    git(world.origin.work, "commit", "--quiet", "--allow-empty", "-m", "Nothing")
    git(world.origin.work, "push", "--quiet", "origin", branch)
    return world.origin.head(branch)


def test_tests_that_failed_run_again_when_the_run_is_cleared(world: DeliveryWorld, test: Flow) -> None:
    (commit,) = commits(world, 1, "test")
    assert test.select("one", commit)["commit"] == commit
    serve(world, commit, "test")  # and there its tests fail
    assert test.select("one", commit)["commit"] == commit, "cleared, or tried again"
    assert test.select("two", by="manual", form={"commit": commit})["commit"] == commit
    assert test.select("three", by="manual")["commit"] == commit


def test_content_that_serves_and_has_not_passed_is_verified_again(world: DeliveryWorld, test: Flow) -> None:
    (commit,) = commits(world, 1, "test")
    test.select("one", commit)
    serve(world, commit, "test")
    same = again(world, "test")
    assert test.select("two", same)["commit"] == same
    (told,) = world.storage.glob("stations/api/test-two/*.log")
    assert "it serves already, and its tests have not passed: verified again" in told.read_text()


def test_content_that_has_passed_is_not_verified_again_unless_by_a_person(world: DeliveryWorld, test: Flow) -> None:
    (commit,) = commits(world, 1, "test")
    delivery = test.select("one", commit)
    serve(world, commit, "test")
    for _ in range(2):
        finish(test, "one", delivery)
    (event,) = passed(world)
    assert (event.place, event.run, event.who) == (PLACE, "test-one", "api_test")
    names = ("commit", "tree", "version")
    assert event.data == {"flow": "test", "branch": "test", **{name: delivery[name] for name in names}}
    same = again(world, "test")
    assert "already serves in test us-east-1" in test.ends("two", same)
    assert test.select("three", by="manual")["commit"] == same
    assert test.select("one", commit, by="manual", form={"commit": commit})["commit"] == commit


def test_what_passed_in_another_flow_has_not_passed_here(world: DeliveryWorld, test: Flow) -> None:
    release, commit = Flow(world, "release"), world.origin.head("release")
    assert world.origin.head("test") == commit
    finish(release, "one", release.select("one", commit))
    serve(world, commit, "test")
    assert test.select("one", commit)["commit"] == commit


def test_tests_of_another_commit_are_no_proof(world: DeliveryWorld, test: Flow) -> None:
    old, new = commits(world, 2, "test")
    delivery = test.select("one", new)
    with pytest.raises(AirflowFailException, match=r"test\.run_tests tested .*: clear test\.push"):
        finish(test, "one", delivery, tested=old)
    assert passed(world) == []


def test_a_fresh_stack_is_quiet(world: DeliveryWorld, test: Flow) -> None:
    commit = world.origin.head("test")
    serve(world, commit, "test")
    serve(world, commit)
    assert "already serves in test us-east-1" in test.ends("one", commit)


def test_release_is_verified_again_unless_it_is_a_candidate_or_in_production(world: DeliveryWorld) -> None:
    release, (commit,) = Flow(world, "release"), commits(world, 1, "release")
    serve(world, commit, "integration")
    tree = release.select("one", commit)["tree"]
    serve(world, commit, "staging")
    made = {"flow": "release", "commit": commit, "tree": tree}
    world.ledger.record(Event("other", Kind.CANDIDATE_MADE, world.now(), PLACE, data={**made, "flow": "other"}))
    same = again(world, "release")
    assert release.select("two", same)["commit"] == same, "it may have failed its tests"
    world.ledger.record(Event("made", Kind.CANDIDATE_MADE, world.now(), PLACE, data=made))
    assert "integration us-east-1, staging us-east-1" in release.ends("three", again(world, "release"))


def test_release_that_serves_in_production_needs_no_candidate(world: DeliveryWorld) -> None:
    release, commit = Flow(world, "release"), world.origin.head("release")
    for environment in ("integration", "staging", "prod"):
        serve(world, commit, environment)
    assert "Already live" in release.ends("one", commit)
