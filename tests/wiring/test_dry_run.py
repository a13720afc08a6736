"""Dry runs: every task says what it would do, the run ends green, and nothing anywhere is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from include.apps import load_app
from redstart.operators.cluster import place_of
from redstart.operators.lock import ReleaseClusterOperator
from redstart.operators.merge import MergeReleaseOperator
from redstart.operators.production_line import ClaimProductionOperator, ReleaseProductionOperator
from redstart.operators.station import is_dry
from tests.support.dag_run import DagRuns
from tests.support.delivery_world import DeliveryWorld, make_world
from tests.support.git import git
from tests.support.release_run import PushRun, VerifyRun


@pytest.fixture
def run(airflow_db: Path, monkeypatch: pytest.MonkeyPatch) -> DagRuns:
    return DagRuns(monkeypatch)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeliveryWorld:
    return make_world(tmp_path, monkeypatch)


def state_of(world: DeliveryWorld) -> dict[str, Any]:
    """All that a dry run must leave as it is."""
    app = load_app("api")
    fleets = {**world.fleets, **{str(key): fleet for key, fleet in world.elsewhere.items()}}
    return {
        "calls": {name: list(fleet.calls) for name, fleet in fleets.items()},
        "groups": {name: sorted(fleet.records) for name, fleet in fleets.items()},
        "listeners": {name: dict(fleet.listener) for name, fleet in fleets.items()},
        "events": len(world.ledger.events(app="api")),
        "leases": [world.ledger.lease(place_of(app, region)) for region in app.prod.region_names],
        "refs": git(world.origin.root / "api.git", "for-each-ref"),
        "artifacts": (world.artifacts.builds, dict(world.artifacts.kept)),
        "images": {name: sorted(shop.images) for name, shop in world.workshops.items()},
        "builders": {name: shop.launched for name, shop in world.workshops.items()},
    }


def accounts(world: DeliveryWorld) -> dict[str, str]:
    files = (path for path in world.storage.rglob("*") if path.is_file())
    return {str(path.relative_to(world.storage)): path.read_text() for path in files}


def test_a_commit_is_only_planned(run: DagRuns, world: DeliveryWorld) -> None:
    """Task by task to the end, which is green; a second, real run is not disturbed by what the first one left."""
    before = state_of(world)
    states = run("api_prod", dry_run=True)
    assert states["run"] == "success", states
    assert state_of(world) == before
    assert {state for task, state in states.items() if not task.startswith(("push.roll_back", "halt"))} == {"success"}
    told = accounts(world)
    for region in world.fleets:
        plan = next(text for name, text in told.items() if name.endswith(f"/{region}.log"))
        assert "launch api-main-v001 with 4 instances of (to be baked)" in plan
        assert "the way back from there" in plan
        found = run.result("push.push_red_black", map_index=list(world.fleets).index(region))
        assert (found["dry_run"], found["region"], found["end"]) == (True, region, "done")
    for task, words in {
        "build.select_commit": f"would take {world.commit}",
        "build.merge_back": "prod",
        "canary.launch_canary": "would launch 2 instances of (to be baked) as the canary",
        "gate_score": "a score of 95 or more",
        "claim_production": "would wait until no other delivery is on its way",
    }.items():
        text = next(text for name, text in told.items() if name.endswith(f"/{task}.log"))
        assert words in text, task
    assert run.result("build.select_commit")["dry_run"] is True


@pytest.fixture
def released(world: DeliveryWorld) -> VerifyRun:
    """A release candidate that waits to be pushed."""
    world.origin.commit("release", {"app.py": "VALUE = 2\n"}, "Add a feature")
    return VerifyRun(world).to_candidate()


def test_a_release_is_only_planned(world: DeliveryWorld, released: VerifyRun) -> None:
    """Station by station, each of them twice, as somebody clears it."""
    before = state_of(world)
    push = PushRun(world, dry_run=True)
    for _ in range(2):
        assert push.select()["dry_run"] is True
        push.do("claim_production", ClaimProductionOperator, flow="release_push")
        push.launch()
        assert push.analyze()["dry_run"] is True
        push.stop()
        push.gate()
        for region in world.fleets:
            push.claim(region)
            assert push.switch(region)["end"] == "done"
            assert push.watch(region)["dry_run"] is True
            push.do("push.release_cluster", ReleaseClusterOperator, region=region)
        merged = push.do("merge_release", MergeReleaseOperator, flow="release_push")
        assert (merged["source"], merged["target"]) == (released.commit, "prod")
        push.do("release_production", ReleaseProductionOperator)
    assert state_of(world) == before
    told = accounts(world)
    plan = next(text for name, text in told.items() if name.endswith("/us-west-2.log"))
    assert f"of {released.recipe.version}" in plan.replace("the plan of", "of")
    assert released.results["build.bake_image"]["images"]["us-west-2"] in plan
    assert "would merge release" in next(text for name, text in told.items() if name.endswith("/merge_release.log"))


def test_a_refusal_is_told_and_stops_nothing(world: DeliveryWorld, released: VerifyRun) -> None:
    """No image in one region, nothing that serves in another: words, not errors."""
    world.workshops["eu-west-1"].images.clear()
    world.fleets["us-east-1"].listener.clear()
    push = PushRun(world, dry_run=True)
    push.select()
    push.launch()
    assert push.switch("eu-west-1")["end"] == "refused"
    assert "no image in eu-west-1" in push.results["push.push_red_black"]["summary"]
    assert "refused" in push.results["canary.choose_baseline"]
    assert push.switch("us-west-2")["end"] == "done"


def test_a_real_run_is_not_taken_for_a_dry_one(world: DeliveryWorld, released: VerifyRun) -> None:
    push = PushRun(world)
    assert "dry_run" not in push.select()
    assert is_dry(push.context()) is False
    assert is_dry({**push.context(), "params": {"dry_run": False}}) is False  # type: ignore[typeddict-item]
