"""The DAG as Airflow sees it: loads, is wired as the issue says, and can be read by a newcomer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

DAG_FILE = ROOT / "dags" / "deliver.py"


@pytest.fixture(scope="module")
def dag(airflow_db: Path) -> Any:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(DAG_FILE.parent))
    assert bag.import_errors == {}
    return bag.dags["api_prod"]


@pytest.fixture(scope="module")
def stored(dag: Any) -> Any:
    """As the API server reads it back: with its links, which whole runs in one process (dag.test) have switched off for
    all that comes after them."""
    from airflow.serialization.serialized_objects import DagSerialization

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DagSerialization, "_load_operator_extra_links", True)
        return DagSerialization.from_dict(DagSerialization.to_dict(dag))


def test_tasks_stand_in_their_groups(dag: Any) -> None:
    assert set(dag.task_dict) == {
        "build.select_commit",
        "build.merge_back",
        "build.build_artifact",
        "build.run_unit_tests",
        "build.bake_image",
        "canary.choose_baseline",
        "canary.launch_canary",
        "canary.analyze_canary",
        "canary.stop_canary",
        "claim_production",
        "gate_score",
        "order_regions",
        "push.await_quiet_window",
        "push.claim_cluster",
        "push.push_red_black",
        "push.watch_red",
        "push.roll_back",
        "push.release_cluster",
        "halt.take_back",
        "finish",
        "release_production",
    }


def test_canary_is_taken_down_on_any_outcome(dag: Any) -> None:
    launch, stop = dag.get_task("canary.launch_canary"), dag.get_task("canary.stop_canary")
    assert launch.is_setup
    assert dag.get_task("canary.choose_baseline").is_setup, "a failed launch alone would leave its pair behind"
    assert stop.upstream_task_ids == {"canary.choose_baseline", "canary.launch_canary", "canary.analyze_canary"}
    assert stop.is_teardown
    assert not stop.on_failure_fail_dagrun, "a teardown that decides the run hides the failure of its work"
    assert launch.downstream_task_ids == {"canary.analyze_canary", "canary.stop_canary"}


def test_nothing_is_pushed_without_gate_or_beside_a_canary(dag: Any) -> None:
    assert dag.get_task("order_regions").upstream_task_ids == {"gate_score", "canary.stop_canary"}
    assert dag.get_task("push.await_quiet_window").upstream_task_ids == {"order_regions"}
    assert dag.get_task("push.claim_cluster").upstream_task_ids == {"push.await_quiet_window"}
    assert dag.get_task("order_regions").trigger_rule == "all_success"


def test_clearing_the_gate_does_not_touch_the_canary(dag: Any) -> None:
    subset = dag.partial_subset("gate_score", include_downstream=True, include_upstream=False)
    assert "canary.launch_canary" not in subset.task_dict
    assert {"claim_production", "release_production"} <= set(subset.task_dict), "production is this run's again"
    assert "push.push_red_black" in subset.task_dict


def test_conflict_with_release_does_not_stop_the_delivery(dag: Any) -> None:
    build = dag.get_task("build.build_artifact")
    assert build.upstream_task_ids == {"build.merge_back"}
    assert build.trigger_rule == "none_skipped"


def test_every_task_is_retried_and_says_what_clear_does(dag: Any) -> None:
    for task in dag.tasks:
        assert task.retries >= 1, task.task_id
        words = task.doc_md.lower()
        assert "clear" in words, task.task_id
        assert "retry" in words, task.task_id
        assert "\n    " not in words, f"{task.task_id}: what is indented is shown as code"


def test_every_task_is_linked_to_what_it_made(stored: Any) -> None:
    from redstart_plugin import RedstartPlugin

    shown = {link.name for link in RedstartPlugin.operator_extra_links}
    for task in stored.tasks:
        assert task.extra_links, task.task_id
        assert set(task.extra_links) <= shown, task.task_id


def test_regions_are_shown_by_name(dag: Any) -> None:
    for task in dag.tasks:
        if task.task_id.startswith(("push.", "halt.")):
            assert task.map_index_template == "{{ task.region }}"


def test_lock_is_freed_on_any_outcome(dag: Any) -> None:
    claim, release = dag.get_task("push.claim_cluster"), dag.get_task("push.release_cluster")
    assert claim.is_setup
    assert release.is_teardown
    assert release.upstream_task_ids >= {"push.claim_cluster", "push.watch_red", "push.roll_back"}
    assert not release.on_failure_fail_dagrun


def test_failed_push_is_rolled_back_and_the_run_is_not_green(dag: Any) -> None:
    roll_back, finish = dag.get_task("push.roll_back"), dag.get_task("finish")
    assert roll_back.trigger_rule == "one_failed"
    assert roll_back.upstream_task_ids >= {"push.push_red_black", "push.watch_red"}
    assert finish.upstream_task_ids == {"push.watch_red", "push.roll_back"}
    assert finish.trigger_rule == "none_failed_min_one_success"


def test_regions_are_taken_back_only_after_a_failure_and_before_the_next_delivery(dag: Any) -> None:
    take_back, release = dag.get_task("halt.take_back"), dag.get_task("release_production")
    assert take_back.trigger_rule == "one_failed"
    assert take_back.upstream_task_ids == {"push.watch_red", "push.release_cluster"}, "no lock is freed under it"
    assert "halt.take_back" in release.upstream_task_ids
    assert "halt.take_back" not in dag.get_task("finish").upstream_task_ids, "the run is red, whatever is taken back"


def test_form_says_how_regions_are_pushed(dag: Any) -> None:
    words = dag.params.get_param("regions").description
    assert words.startswith("Pushed in waves: the least usual traffic first")


def test_clearing_a_push_claims_the_lock_again(dag: Any) -> None:
    subset = dag.partial_subset("push.watch_red", include_downstream=True, include_upstream=False)
    assert {"push.claim_cluster", "push.release_cluster"} <= set(subset.task_dict)


def test_one_run_at_a_time_started_by_commit_or_clock(stored: Any) -> None:
    assert stored.max_active_runs == 1
    assert stored.catchup is False
    (asset,) = [asset for _, asset in stored.timetable.asset_condition.iter_assets()]
    (watcher,) = asset.watchers
    assert watcher.trigger["classpath"].endswith("GitHeadTrigger")
    assert watcher.trigger["kwargs"]["branch"] == "prod"
    assert stored.timetable.can_be_scheduled
    assert "17 6 * * 1-5" in stored.timetable.summary


@pytest.mark.parametrize(
    "conf",
    [
        {"commit": "HEAD"},
        {"commit": "-x"},
        {"regions": ["ap-south-1"]},
        {"regions": []},
        {"soak_seconds": 1},
        {"on_failure": "panic"},
        {"dry_run": "yes"},
    ],
    ids=str,
)
def test_form_refuses_what_cannot_be_meant(stored: Any, conf: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(conf))):
        stored.params.deep_merge(conf).validate()


def test_form_takes_what_is_meant_and_may_stay_empty(stored: Any) -> None:
    conf = {"commit": "0123abc", "regions": ["eu-west-1"], "soak_seconds": 240, "reason": "hot fix"}
    assert stored.params.deep_merge(conf).validate() == {**conf, "on_failure": "halt", "dry_run": False}
    empty = stored.params.deep_merge({}).validate()
    assert empty["commit"] is None
    assert empty["regions"] == ["us-east-1", "us-west-2", "eu-west-1"]


def test_file_is_wiring_only() -> None:
    assert len(DAG_FILE.read_text().splitlines()) <= 120


@pytest.fixture(scope="module")
def loaded() -> dict[str, set[str]]:
    """Modules in a fresh process that parsed the file, and then loaded the plugin as every task does."""
    script = (
        "import json, sys, runpy, airflow.sdk\n"
        f"runpy.run_path({str(DAG_FILE)!r})\n"
        "parsed = sorted(sys.modules)\n"
        "import redstart_plugin\n"
        "print(json.dumps({'parsed': parsed, 'with plugin': sorted(sys.modules)}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {moment: set(names) for moment, names in json.loads(done.stdout.splitlines()[-1]).items()}


def test_parsing_loads_nothing_slow(loaded: dict[str, set[str]]) -> None:
    assert "redstart.operators.bake" in loaded["parsed"]
    assert not loaded["parsed"] & {"numpy", "scipy", "boto3", "git", "jira", "fastapi.testclient"}


def test_plugin_loads_nothing_slow_into_every_task(loaded: dict[str, set[str]]) -> None:
    assert "redstart_plugin" in loaded["with plugin"]
    assert not loaded["with plugin"] & {"airflow.api_fastapi.core_api.security", "scipy"}
