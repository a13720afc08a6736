"""The flows of every shipped application as Airflow sees them: made from settings, readable, one DAG per process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from include.apps import DeliverFlow, app_names, load_app
from tests.conftest import ROOT

FILES = sorted(ROOT.glob("dags/*.py"))


@pytest.fixture(scope="module")
def dags(airflow_db: Path) -> Any:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(ROOT / "dags"))
    assert bag.import_errors == {}
    return bag.dags


def test_every_application_has_the_dags_of_its_flows(dags: Any) -> None:
    apps = [load_app(name) for name in app_names()]
    flows = {app.dag_id(name) for app in apps for name in (*app.flows, "rollback", "janitor")}
    flows |= {app.dag_id(name) for app in apps if app.prod.windows is not None for name in ("override", "windows")}
    assert set(dags) == flows
    assert {"api_test", "api_release", "api_release_push", "api_prod", "api_rollback", "api_janitor"} <= flows


def test_paused_application_waits_for_a_person_but_may_always_go_back(dags: Any) -> None:
    for app in map(load_app, app_names()):
        for name in app.flows:
            assert dags[app.dag_id(name)].is_paused_upon_creation is app.paused
        assert dags[app.dag_id("rollback")].is_paused_upon_creation is False


def test_every_task_of_every_flow_is_retried_linked_and_documented(dags: Any) -> None:
    from redstart_plugin import RedstartPlugin

    shown = {link.name for link in RedstartPlugin.operator_extra_links}
    for dag in dags.values():
        assert dag.doc_md, dag.dag_id
        for task in dag.tasks:
            words = task.doc_md.lower()
            assert task.retries >= 1, task.task_id
            assert "clear" in words, task.task_id
            assert "retry" in words, task.task_id
            links = {link.name for link in task.operator_extra_links}
            assert links, f"{dag.dag_id} {task.task_id}"
            assert links <= shown, f"{dag.dag_id} {task.task_id}"


def test_release_is_verified_in_both_environments_side_by_side(dags: Any) -> None:
    dag = dags["api_release"]
    for environment in ("integration", "staging"):
        assert dag.get_task(f"{environment}.push.claim_cluster").upstream_task_ids == {"build.bake_image"}
        tests = dag.get_task(f"{environment}.run_tests")
        assert {f"{environment}.push.watch_red", f"{environment}.push.roll_back"} <= tests.upstream_task_ids
        assert tests.trigger_rule == "none_failed_min_one_success"
        assert dag.get_task(f"{environment}.push.push_red_black").environment == environment
    candidate = dag.get_task("mark_candidate")
    assert candidate.upstream_task_ids == {"integration.run_tests", "staging.run_tests"}
    assert candidate.trigger_rule == "all_success", "a candidate has passed everywhere"
    assert not [task for task in dag.task_dict if task.startswith("canary.")]


def test_test_branch_makes_no_candidates(dags: Any) -> None:
    assert "mark_candidate" not in dags["api_test"].task_dict


def test_weekly_push_is_a_persons_start_and_ends_in_the_merge(dags: Any) -> None:
    dag = dags["api_release_push"]
    assert not dag.timetable.can_be_scheduled
    assert dag.get_task("select_candidate").upstream_task_ids == set()
    assert dag.get_task("claim_production").upstream_task_ids == {"select_candidate"}
    assert dag.get_task("merge_release").upstream_task_ids == {"finish"}
    assert dag.get_task("release_production").is_teardown
    assert dag.get_task("release_production").upstream_task_ids >= {"merge_release", "finish", "claim_production"}
    assert not [task for task in dag.task_dict if task.startswith("build.")]


@pytest.mark.parametrize("dag_id", ["api_prod", "api_release_push", "billing_prod"])
def test_next_delivery_passes_only_when_nothing_of_this_one_is_left(dags: Any, dag_id: str) -> None:
    upstream = dags[dag_id].get_task("release_production").upstream_task_ids
    assert upstream >= {"canary.stop_canary", "push.release_cluster", "halt.take_back", "finish"}
    assert "push.roll_back" in dags[dag_id].get_task("push.release_cluster").upstream_task_ids


def test_trunk_goes_through_its_environments_to_production_by_settings_alone(dags: Any) -> None:
    trunks = [app for app in map(load_app, app_names()) if list(app.flows) == ["prod"]]
    assert trunks, "one sample application is trunk-based"
    for app in trunks:
        dag, flow = dags[app.dag_id("prod")], app.flows["prod"]
        assert isinstance(flow, DeliverFlow)
        last = {f"{environment}.run_tests" for environment in flow.environments}
        assert last
        assert dag.get_task("claim_production").upstream_task_ids == last
        assert "build.merge_back" not in dag.task_dict


def test_one_run_of_a_branch_at_a_time(dags: Any) -> None:
    for app in map(load_app, app_names()):
        for name in app.flows:
            assert dags[app.dag_id(name)].max_active_runs == 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_file_is_wiring_only(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 120


@pytest.mark.parametrize(
    ("path", "dag_id", "made"),
    [("verify", "api_release", ["api_release"]), ("verify", "api_prod", []), ("deliver", "api_prod", ["api_prod"])],
)
def test_process_of_a_task_makes_its_own_dag_and_reads_its_own_application(
    path: str, dag_id: str, made: list[str]
) -> None:
    script = (
        "import json, sys\n"
        "from airflow.dag_processing.dagbag import DagBag\n"
        "from include.apps.loader import load_app\n"
        "bag = DagBag(sys.argv[1])\n"
        "assert not bag.import_errors, bag.import_errors\n"
        "print(json.dumps([sorted(bag.dags), load_app.cache_info().currsize]))"
    )
    # As Airflow's task runner says which DAG it is about to run.
    environment = {**os.environ, "_AIRFLOW_PARSING_CONTEXT_DAG_ID": dag_id, "_AIRFLOW_PARSING_CONTEXT_TASK_ID": "x"}
    command = [sys.executable, "-c", script, str(ROOT / "dags" / f"{path}.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    dags, applications = json.loads(done.stdout.splitlines()[-1])
    assert dags == made
    assert applications == 1
