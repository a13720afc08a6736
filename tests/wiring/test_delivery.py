"""Whole runs of the DAG in one process: real tasks, git and judge; fleets, workshops and metrics in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.triggers.base import TriggerEvent

from include.apps.delivery import run_key
from redstart.cli.airflow_api import AirflowApi
from redstart.cli.approving import approve_refusal, clear_gate
from redstart.operators import clock
from redstart.triggers.canary_soak import CanarySoakTrigger
from tests.conftest import ROOT
from tests.support.delivery_world import DeliveryWorld, make_world

Run = Callable[..., dict[str, str]]


async def pass_the_soak(trigger: CanarySoakTrigger) -> AsyncIterator[TriggerEvent]:
    """The world's clock goes to the moment that is waited for; the real one has other tests."""
    left = trigger.end_epoch - clock.now().timestamp()
    clock.sleep(left + 1)
    yield TriggerEvent({"schema": trigger.schema, "end_epoch": trigger.end_epoch})


@pytest.fixture
def run(airflow_db: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs api_prod with a form's values to its end; task id -> state (a mapped one: task id[index])."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.utils.session import create_session

    monkeypatch.setattr("redstart.operators.redblack.WAIT_SECONDS", 0.1)
    monkeypatch.setattr("redstart.triggers.canary_soak.CanarySoakTrigger.run", pass_the_soak)
    with create_session() as session:
        DagBundlesManager().sync_bundles_to_db(session=session)
    bag = DagBag(str(ROOT / "dags"))
    sync_bag_to_db(bag, "dags-folder", None)

    def deliver(**form: Any) -> dict[str, str]:
        done = bag.dags["api_prod"].test(run_conf=form)
        states = {}
        for ti in done.get_task_instances():
            states[ti.task_id + (f"[{ti.map_index}]" if ti.map_index >= 0 else "")] = str(ti.state)
        deliver.run = done  # type: ignore[attr-defined]
        return {"run": str(done.state), **states}

    deliver.dag = bag.dags["api_prod"]  # type: ignore[attr-defined]
    return deliver


def go_on(run: Any) -> str:
    """Run what was cleared to its end, as `dag.test` runs a new run; the run's state."""
    from airflow.models.dagrun import DagRun
    from airflow.sdk.definitions.dag import _run_task
    from airflow.serialization.serialized_objects import DagSerialization
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = session.scalars(select(DagRun).where(DagRun.run_id == run.run.run_id)).one()
        found.dag = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(run.dag))
        found.state = "running"
        while found.state == "running":
            session.expire_all()
            ready, _ = found.update_state(session=session)
            for ti in ready:
                ti.try_number += 1
                ti.state = "scheduled"
            session.commit()
            for ti in ready:
                _run_task(ti=ti, task=run.dag.task_dict[ti.task_id], run_triggerer=True)
        return str(found.state)


def result(run: Any, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        query = XComModel.get_many(
            run_id=run.run.run_id, key=key, task_ids=task_id, dag_ids="api_prod", map_indexes=map_index
        )
        row = session.execute(query.with_only_columns(XComModel.value)).first()
    return None if row is None else XComModel.deserialize_value(type("Row", (), {"value": row[0]}))


def test_good_commit_reaches_every_region(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world(tmp_path, monkeypatch)
    states = run()
    assert set(states.values()) == {"success"}, states
    assert all(serving == {world.commit} for serving in world.serving().values())
    world.sleep(10)
    assert world.roles("us-east-1") == ["main", "main"], "the canary is gone, black is kept"
    assert world.origin.head("release") == world.commit
    assert result(run, "finish")["live"]["eu-west-1"][0]["commit"] == world.commit
    labels = {ti.map_index: ti.rendered_map_index for ti in run.run.get_task_instances() if ti.map_index >= 0}
    assert labels == {0: "us-east-1", 1: "us-west-2", 2: "eu-west-1"}
    assert result(run, "order_regions") == ["us-east-1", "us-west-2", "eu-west-1"]


def test_second_run_finds_nothing_new(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_world(tmp_path, monkeypatch)
    assert run()["run"] == "success"
    states = run()
    assert states.pop("run") == "success"
    assert set(states.values()) == {"skipped"}
    assert "already serves in us-east-1" in result(run, "build.select_commit", key="word")


def test_bad_commit_ends_at_the_gate_and_production_is_untouched(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = make_world(tmp_path, monkeypatch, variant="errors")
    states = run()
    assert (states["run"], states["gate_score"]) == ("failed", "failed")
    assert states["canary.analyze_canary"] == "success", "a no-go is a result until the gate"
    assert states["canary.stop_canary"] == "success"
    assert states["push.push_red_black"] == "upstream_failed"
    assert all(serving == {""} for serving in world.serving().values())
    world.sleep(10)
    assert world.roles("us-east-1") == ["main"]
    folder = world.storage / "canaries" / "api" / run_key(run.run.run_id)  # type: ignore[attr-defined]
    assert {path.name for path in folder.iterdir()} == {
        "pair.npz",
        "settings.json",
        "verdict.json",
        "report.html",
        "looks.json",
        "refusal.json",
    }


def test_refused_canary_goes_on_when_an_operator_approves_it_from_the_command_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pages: Any, login: Any
) -> None:
    world = make_world(tmp_path, monkeypatch, variant="errors")
    assert run()["gate_score"] == "failed"
    monkeypatch.setattr(AirflowApi, "_log_in", lambda api: None)
    api = AirflowApi("http://127.0.0.1", "oncall", "")
    api._client = pages
    monkeypatch.setitem(pages.headers, "Authorization", login("op")["Authorization"])
    run_id = run.run.run_id  # type: ignore[attr-defined]
    approved = approve_refusal(api, "api", run_id, "The errors are those of the load test.")
    assert approved.sentence.endswith("is approved by the op")
    cleared = clear_gate(api, approved.refusal)
    assert cleared == 4, "the gate, the order of the regions, the push, the end: no canary"
    assert go_on(run) == "success"
    assert "approved below the threshold by the op (role op)" in result(run, "gate_score")["reasons"][0]
    assert all(serving == {world.commit} for serving in world.serving().values())


def test_canary_that_never_comes_up_is_taken_down(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world(tmp_path, monkeypatch)
    world.fleets["us-east-1"].broken_images.add("ami-us-east-1")
    states = run()
    assert (states["run"], states["canary.launch_canary"]) == ("failed", "failed")
    assert states["canary.stop_canary"] == "success"
    world.sleep(10)
    assert world.roles("us-east-1") == ["main"]
    assert world.serving()["us-east-1"] == {""}


def test_conflict_with_release_is_reported_and_does_not_stop(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(tmp_path, monkeypatch)
    world.origin.commit("release", {"app.py": "VALUE = 2\n"})
    world.origin.commit("prod", {"app.py": "VALUE = 3\n"})
    states = run()
    assert states["build.merge_back"] == "failed"
    assert states["run"] == "success"
    assert all(serving == {world.commit} for serving in world.serving().values())


def test_failing_unit_tests_end_the_run_before_any_machine(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(tmp_path, monkeypatch)
    world.origin.commit("prod", {"app.py": "VALUE = -1\n"})
    states = run()
    assert (states["run"], states["build.run_unit_tests"]) == ("failed", "failed")
    assert states["canary.stop_canary"] in {"upstream_failed", "skipped"}
    assert all(workshop.launched == 0 for workshop in world.workshops.values())
    log = world.storage / "builds" / "api" / run_key(run.run.run_id) / "unit-tests.log"  # type: ignore[attr-defined]
    assert "1 failed" in log.read_text()


def test_chosen_regions_alone_are_touched(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world(tmp_path, monkeypatch)
    states = run(regions=["eu-west-1"], commit=world.commit[:8])
    assert states["run"] == "success"
    assert world.serving() == {"us-east-1": {""}, "us-west-2": {""}, "eu-west-1": {world.commit}}


def test_region_that_fails_keeps_the_later_ones_as_they_were(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world: DeliveryWorld = make_world(tmp_path, monkeypatch)
    world.fleets["us-west-2"].broken_images.add("ami-us-west-2")
    states = run()
    assert states["run"] == "failed"
    assert world.serving() == {"us-east-1": {world.commit}, "us-west-2": {""}, "eu-west-1": {""}}
