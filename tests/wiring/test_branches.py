"""Whole runs of the flows of three branches, and of a trunk: real git, tests, ledger and judge; the cloud in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.apps import load_app
from include.ledger import EVERY_REGION, Claim, Holder, Kind
from redstart.operators import clock
from redstart.operators.cluster import place_of
from tests.support.dag_run import DagRuns
from tests.support.delivery_world import DeliveryWorld, make_world
from tests.support.git import git


@pytest.fixture
def run(airflow_db: Path, monkeypatch: pytest.MonkeyPatch) -> DagRuns:
    return DagRuns(monkeypatch)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeliveryWorld:
    return make_world(tmp_path, monkeypatch)


def serving(world: DeliveryWorld, balancer: str, region: str = "us-east-1") -> set[str]:
    fleet = world.fleet(balancer, region)
    return {fleet.records[name].tags["redstart:commit"] for name, weight in fleet.listener.items() if weight}


def events(world: DeliveryWorld, *kinds: Kind) -> list[str]:
    return [str(one.event.data["commit"]) for one in world.ledger.events(app="api", kinds=kinds)]


def test_commit_on_test_is_pushed_to_the_test_environment_and_tested_there(run: DagRuns, world: DeliveryWorld) -> None:
    commit = world.origin.commit("test", {"app.py": "VALUE = 7\n"})
    states = run("api_test")
    assert states.pop("test.push.roll_back[0]") == "skipped"
    assert set(states.values()) == {"success"}, states
    assert serving(world, "api-test") == {commit}
    assert world.serving() == {region: {""} for region in world.fleets}, "production is not touched"
    assert run.result("test.run_tests")["total"] == 1
    assert events(world, Kind.BRANCH_VERIFIED) == [commit]
    again = run("api_test")
    assert (again["run"], again["test.run_tests"]) == ("success", "success"), "a person has it verified again"


def test_tests_that_failed_do_not_turn_green_by_clearing_the_run(run: DagRuns, world: DeliveryWorld) -> None:
    commit = world.origin.commit("test", {"app.py": "VALUE = 13\n"})
    states = run("api_test")
    assert (states["run"], states["test.run_tests"]) == ("failed", "failed")
    assert serving(world, "api-test") == {commit}
    run.clear()
    assert run.go_on() == "failed"
    assert run.states()["test.run_tests"] == "failed"
    assert events(world, Kind.BRANCH_VERIFIED) == []


def test_release_is_verified_side_by_side_and_becomes_a_candidate(run: DagRuns, world: DeliveryWorld) -> None:
    commit = world.origin.commit("release", {"app.py": "VALUE = 7\n"})
    assert run("api_release")["run"] == "success"
    assert (serving(world, "api-integration"), serving(world, "api-staging")) == ({commit}, {commit})
    assert events(world, Kind.CANDIDATE_MADE) == [commit]


def test_regression_in_one_environment_makes_no_candidate(run: DagRuns, world: DeliveryWorld) -> None:
    world.origin.commit("release", {"app.py": "VALUE = 13\n"})
    states = run("api_release")
    assert (states["run"], states["staging.run_tests"]) == ("failed", "failed")
    assert states["staging.push.release_cluster[0]"] == "success"
    assert states["mark_candidate"] == "upstream_failed"
    assert events(world, Kind.CANDIDATE_MADE) == []


@pytest.fixture
def released(run: DagRuns, world: DeliveryWorld) -> str:
    """A candidate's commit, by way of the weekly push in every region."""
    commit = world.origin.commit("release", {"app.py": "VALUE = 7\n"})
    assert run("api_release")["run"] == "success"
    states = run("api_release_push", reason="the weekly push")
    assert states["run"] == "success", states
    return commit


def test_weekly_push_ends_in_the_merge_and_starts_no_second_canary(
    run: DagRuns, world: DeliveryWorld, released: str
) -> None:
    assert all(found == {released} for found in world.serving().values())
    assert world.origin.head("prod") == released, "a fast-forward"
    assert events(world, Kind.CANDIDATE_CHOSEN) == [released]
    assert len(world.ledger.events(app="api", kinds={Kind.BRANCH_MERGED})) == 1
    assert world.ledger.lease(place_of(load_app("api"), EVERY_REGION)) is None
    launched = [one for fleet in world.fleets.values() for one in fleet.records]
    states = run("api_prod")
    assert states.pop("run") == "success"
    assert set(states.values()) == {"skipped"}
    assert "already" in run.result("build.select_commit", key="word")
    assert [one for fleet in world.fleets.values() for one in fleet.records] == launched


def test_weekly_push_is_not_made_twice(run: DagRuns, world: DeliveryWorld, released: str) -> None:
    states = run("api_release_push", reason="once more")
    assert states.pop("run") == "success"
    assert set(states.values()) == {"skipped"}


def test_patch_on_prod_goes_round_into_release_and_the_old_candidate_is_refused(
    run: DagRuns, world: DeliveryWorld
) -> None:
    world.origin.commit("release", {"app.py": "VALUE = 7\n"})
    assert run("api_release")["run"] == "success"
    patch = world.origin.commit("prod", {"patch.py": "PATCH = 1\n"})
    assert run("api_prod")["run"] == "success"
    assert world.origin.head("release") != patch, "a merge"
    states = run("api_release_push", reason="an old one")
    assert (states["run"], states["select_candidate"]) == ("failed", "failed"), "it would take the patch away"
    assert run("api_release")["run"] == "success", "the merge is verified like any commit"
    assert run("api_release_push", reason="with the patch")["run"] == "success"
    assert all(found == {world.origin.head("release")} for found in world.serving().values())
    assert world.origin.head("prod") == world.origin.head("release")


def test_delivery_waits_for_the_one_under_way_and_says_whose_it_is(run: DagRuns, world: DeliveryWorld) -> None:
    place = place_of(load_app("api"), EVERY_REGION)
    why = "run manual__1 of api_release_push delivers 1.2"
    world.ledger.claim(place, Claim("release_push-manual__1", Holder.PUSH, "ada", why, 60), clock.now())
    assert run("api_prod")["run"] == "success"
    (log,) = world.storage.glob("stations/api/*/claim_production.log")
    assert "waiting: api-main in all regions is ada's (push)" in log.read_text()
    assert "run manual__1 of api_release_push delivers 1.2" in log.read_text()


def test_trunk_goes_by_its_one_branch_through_staging_to_production(
    run: DagRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(tmp_path, monkeypatch, app="billing")
    git(world.origin.root, "clone", "--quiet", "--bare", world.origin.url, "billing.git")
    git(world.origin.root / "billing.git", "branch", "main", "prod")
    states = run("billing_prod")
    assert states["run"] == "success", states
    (region,) = load_app("billing").environment("staging").region_names
    assert serving(world, "billing-staging", region) == {world.commit}
    assert all(found == {world.commit} for found in world.serving().values())
    assert "build.merge_back" not in states
