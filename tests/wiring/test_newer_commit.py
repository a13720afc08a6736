"""A newer commit on the branch of a canary that soaks, or of a run that waits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from include.adapters.git_repository import GitRepository
from include.apps import DeliverFlow, load_app
from include.apps.delivery import Delivery
from include.ledger import EVERY_REGION
from redstart.operators.cluster import place_of
from redstart.operators.source import newer_head
from tests.support.dag_run import DagRuns
from tests.support.delivery_world import DeliveryWorld, few_pairs, make_world
from tests.support.git import git
from tests.support.station_run import Run


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeliveryWorld:
    """A soak of 240 s with looks after 60, 120 and 180 s."""
    found = make_world(tmp_path, monkeypatch)
    found.metrics.pairs = few_pairs()
    monkeypatch.setenv("AIRFLOW_VAR_REDSTART_LOOK_SECONDS", "60")
    return found


@pytest.fixture
def cancelling(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The shipped application, whose prod flow says `newer_commit = "cancel"`."""
    app = load_app("api")
    flow = app.flows["prod"].model_copy(update={"newer_commit": "cancel"})
    changed = app.model_copy(update={"flows": {**app.flows, "prod": flow}})
    monkeypatch.setattr("redstart.sensors.canary_analysis.load_app", lambda name: changed)
    yield


def soaking(world: DeliveryWorld, run_type: str = "asset_triggered") -> Run:
    run = Run(world, "asset_triggered__1", run_type)
    run.until_baked()
    run.launch()
    return run


def newer(world: DeliveryWorld) -> str:
    return world.origin.commit("prod", {"app.py": "VALUE = 2\n"})


def to_first_look(run: Run) -> None:
    run.pass_time(run.results["canary.launch_canary"]["soak_start"], seconds=75)


def test_by_default_a_soaking_canary_is_never_cancelled(world: DeliveryWorld) -> None:
    run = soaking(world)
    newer(world)
    assert run.soak()["go"]


def test_where_the_flow_says_so_the_soak_ends_at_the_next_look(world: DeliveryWorld, cancelling: None) -> None:
    run = soaking(world)
    run.deferral()
    commit = newer(world)
    to_first_look(run)
    with pytest.raises(AirflowSkipException, match=f"Superseded: {commit[:10]} came to prod while .* soaked"):
        run.analyze()
    assert "Nothing was pushed" in run.results["word"]
    run.stop()
    world.sleep(10)
    assert world.roles("us-east-1") == ["main"], "the canary is taken away as ever"


def test_canary_goes_on_while_there_is_nothing_newer(world: DeliveryWorld, cancelling: None) -> None:
    run = soaking(world)
    assert run.soak()["go"]


def test_verdict_that_is_there_stands(world: DeliveryWorld, cancelling: None) -> None:
    run = soaking(world)
    run.pass_time(run.results["canary.launch_canary"]["soak_end"])
    newer(world)
    assert run.analyze()["go"]


def test_canary_that_a_person_started_is_not_cancelled(world: DeliveryWorld, cancelling: None) -> None:
    run = soaking(world, "manual")
    newer(world)
    assert run.soak()["go"]


def test_remote_that_is_away_cancels_nothing(world: DeliveryWorld, cancelling: None) -> None:
    run = soaking(world)
    newer(world)
    away = Path(world.origin.url).rename(world.origin.root / "away.git")
    to_first_look(run)
    run.deferral()
    away.rename(world.origin.url)
    with pytest.raises(AirflowSkipException):
        run.analyze()


def test_what_is_newer_is_another_content_after_the_delivery_s(world: DeliveryWorld) -> None:
    flow = load_app("api").flows["prod"]
    assert isinstance(flow, DeliverFlow)
    repository = GitRepository(world.origin.url, world.origin.root / "mirror.git")
    old, begin = world.commit, git(world.origin.work, "rev-parse", "prod~1")
    tree = git(world.origin.work, "rev-parse", f"{old}^{{tree}}")
    delivery = Delivery("api", "one", old, tree, "1", "a change", "Ada", 1, ("us-east-1",), "us-east-1", "prod")

    assert newer_head(repository, flow, delivery) is None
    git(world.origin.work, "push", "--quiet", "--force", "origin", f"{begin}:refs/heads/prod")
    assert newer_head(repository, flow, delivery) is None, "moved back: nothing newer"
    git(world.origin.work, "push", "--quiet", "--force", "origin", f"{old}:refs/heads/prod")
    git(world.origin.work, "checkout", "--quiet", "prod")
    git(world.origin.work, "commit", "--quiet", "--allow-empty", "-m", "Merge of ours")
    git(world.origin.work, "push", "--quiet", "origin", "prod")
    assert newer_head(repository, flow, delivery) is None, "the same content"
    commit = newer(world)
    assert newer_head(repository, flow, delivery) == commit
    git(Path(world.origin.url), "update-ref", "-d", "refs/heads/prod")
    assert newer_head(repository, flow, delivery) is None, "no branch"


def test_superseded_run_ends_green_and_leaves_nothing_behind(
    airflow_db: Path, world: DeliveryWorld, cancelling: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = DagRuns(monkeypatch)
    monkeypatch.setattr("redstart.sensors.canary_analysis.is_by_hand", lambda context: False)
    monkeypatch.setattr("redstart.sensors.canary_analysis.newer_head", lambda *_: "f" * 40)
    states = run("api_prod")
    assert (states.pop("run"), states["canary.stop_canary"]) == ("success", "success")
    assert states["canary.analyze_canary"] == states["gate_score"] == "skipped"
    assert not [task for task, state in states.items() if state in {"failed", "upstream_failed"}]
    assert {state for task, state in states.items() if task.startswith("push.push")} <= {"skipped"}
    assert all(found == {""} for found in world.serving().values())
    assert world.ledger.lease(place_of(load_app("api"), EVERY_REGION)) is None
