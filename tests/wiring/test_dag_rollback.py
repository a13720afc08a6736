"""The flows for on-call and for the sweep, as Airflow sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from include.apps import load_app
from include.ledger import Place
from tests.conftest import ROOT
from tests.support.dag_run import DagRuns
from tests.support.delivery_world import make_world

REGIONS = load_app("api").prod.region_names
FORM = {"regions": ["eu-west-1"], "reason": "errors since the push"}


@pytest.fixture(scope="module")
def dags(airflow_db: Path) -> Any:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(ROOT / "dags"))
    assert bag.import_errors == {}
    return bag.dags


def stored(dag: Any) -> Any:
    """As the scheduler reads it back from the database."""
    from airflow.serialization.serialized_objects import DagSerialization

    return DagSerialization.from_dict(DagSerialization.to_dict(dag))


@pytest.fixture(scope="module")
def form(dags: Any) -> Any:
    return stored(dags["api_rollback"]).params


@pytest.mark.parametrize("dag_id", ["api_rollback"])
def test_every_task_is_retried_linked_and_says_what_clear_does(dags: Any, dag_id: str) -> None:
    from redstart_plugin import RedstartPlugin

    shown = {link.name for link in RedstartPlugin.operator_extra_links}
    for task in dags[dag_id].tasks:
        assert task.retries >= 1, task.task_id
        assert "clear" in task.doc_md.lower(), task.task_id
        assert {link.name for link in task.operator_extra_links} & shown, task.task_id


def test_nothing_stands_between_the_click_and_the_rollback(dags: Any) -> None:
    dag = dags["api_rollback"]
    assert set(dag.task_dict) == {"region.roll_back", "region.release_cluster", "finish"}
    assert dag.get_task("region.roll_back").upstream_task_ids == set()
    assert dag.get_task("finish").upstream_task_ids == {"region.roll_back"}
    assert dag.get_task("region.release_cluster").is_teardown
    assert not stored(dag).timetable.can_be_scheduled


@pytest.mark.parametrize(
    "conf",
    [
        {"regions": []},
        {"regions": ["ap-south-1"]},
        {"reason": ""},
        {"reason": "no"},
        {"reason": "x" * 501},
        {"to": "rm -rf /"},
        {"severe": "perhaps"},
    ],
    ids=str,
)
def test_form_refuses_what_cannot_be_meant(form: Any, conf: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(conf))):
        form.deep_merge({**FORM, **conf}).validate()


def test_form_asks_only_where_and_why(form: Any) -> None:
    filled = form.deep_merge(FORM).validate()
    assert filled == {**FORM, "severe": True, "to": None, "take_over": False}
    assert form.deep_merge({**FORM, "to": ""}).validate()["to"] == ""
    with pytest.raises(ValueError, match="regions"):
        form.deep_merge({"reason": FORM["reason"]}).validate()


def test_one_region_goes_back_and_the_others_are_skipped(
    airflow_db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, run = make_world(tmp_path, monkeypatch), DagRuns(monkeypatch)
    assert run(regions=["eu-west-1"])["run"] == "success"
    states = run("api_rollback", **FORM)
    assert states == {
        "run": "success",
        "region.roll_back[0]": "skipped",
        "region.roll_back[1]": "skipped",
        "region.roll_back[2]": "success",
        "region.release_cluster[0]": "skipped",
        "region.release_cluster[1]": "skipped",
        "region.release_cluster[2]": "success",
        "finish": "success",
    }
    assert world.serving()["eu-west-1"] == {""}
    told = run.result("finish")
    assert set(told["seconds_to_safe"]) == {"eu-west-1"}
    assert world.ledger.lease(Place("api", "main", "eu-west-1")) is None


def test_rollback_that_cannot_be_done_is_not_green(
    airflow_db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, run = make_world(tmp_path, monkeypatch), DagRuns(monkeypatch)
    states = run("api_rollback", **FORM)
    assert (states["run"], states["region.roll_back[2]"]) == ("failed", "failed")
    assert states["region.release_cluster[2]"] == "success"
    assert states["finish"] == "upstream_failed"
    assert world.ledger.lease(Place("api", "main", "eu-west-1")) is None
