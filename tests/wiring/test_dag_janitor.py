"""The sweep's flow, as Airflow sees and runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from include.apps import load_app
from include.apps.delivery import flow_key
from include.ledger import EVERY_REGION, Claim, Holder, Kind, Place
from tests.conftest import ROOT
from tests.support.dag_run import DagRuns
from tests.support.delivery_world import make_world

APP = load_app("api")
PLACES = [(name, region) for name in APP.environment_names for region in APP.environment(name).region_names]


@pytest.fixture(scope="module")
def dag(airflow_db: Path) -> Any:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(ROOT / "dags" / "janitor.py"))
    assert bag.import_errors == {}
    return bag.dags["api_janitor"]


def stored(dag: Any) -> Any:
    """As the scheduler reads it back from the database."""
    from airflow.serialization.serialized_objects import DagSerialization

    return DagSerialization.from_dict(DagSerialization.to_dict(dag))


def test_every_task_is_retried_linked_and_says_what_clear_does(dag: Any) -> None:
    from redstart_plugin import RedstartPlugin

    shown = {link.name for link in RedstartPlugin.operator_extra_links}
    assert set(dag.task_dict) == {"free_locks", "cluster.sweep", "sweep_images"}
    for task in dag.tasks:
        assert task.retries >= 1, task.task_id
        assert "clear" in task.doc_md.lower(), task.task_id
        assert {link.name for link in task.operator_extra_links} & shown, task.task_id
        assert not task.upstream_task_ids, "each one's failure is the run's"
    assert len((ROOT / "dags" / "janitor.py").read_text().splitlines()) <= 120


def test_sweep_is_hourly_one_at_a_time_and_not_dry(dag: Any) -> None:
    found = stored(dag)
    assert found.max_active_runs == 1 and not found.catchup
    assert found.timetable.summary.startswith("22 * * * *")
    assert found.params.validate() == {"dry_run": False}
    with pytest.raises(ValueError, match="dry_run"):
        found.params.deep_merge({"dry_run": "perhaps"}).validate()


def test_a_run_looks_at_every_place_and_knows_which_runs_are_over(
    airflow_db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, run = make_world(tmp_path, monkeypatch), DagRuns(monkeypatch)
    line = Place("api", "main", EVERY_REGION)
    assert run("api_janitor", dry_run=True)["run"] == "success"
    owner = flow_key("api_janitor", run.run.run_id)
    world.ledger.claim(line, Claim(owner, Holder.PUSH, "bob", "delivers", 36 * 3600), world.now())
    states = run("api_janitor", dry_run=False)
    assert states["run"] == "success", states
    assert run.result("free_locks")["freed"] == [str(line)]
    (stale,) = [one.event for one in world.ledger.events(app="api", kinds={Kind.LOCK_STALE})]
    assert f"its run {owner} is over (success)" in stale.why, "by Airflow's own word"
    labels = {ti.rendered_map_index for ti in run.run.get_task_instances() if ti.task_id == "cluster.sweep"}
    assert labels == {f"{name}-{region}" for name, region in PLACES}
    swept = [run.result("cluster.sweep", map_index=index) for index in range(len(PLACES))]
    assert [(one["environment"], one["region"]) for one in swept] == PLACES
    assert all("nothing to delete" in one["summary"] for one in swept)
