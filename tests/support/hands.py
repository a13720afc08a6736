"""What on-call does by hand in Airflow: marks a task as failed, clears tasks."""

from __future__ import annotations

from collections.abc import Iterable

from redstart.cli.airflow_api import AirflowApi


def mark_failed(api: AirflowApi, dag_id: str, run_id: str, task_id: str, index: int) -> None:
    """As the button does it, whatever the task is at."""
    path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/{index}"
    answer = api.ask("PATCH", path, json={"new_state": "failed"})
    assert answer.status_code == 200, answer.text


def clear(api: AirflowApi, dag_id: str, run_id: str, task_id: str, indexes: Iterable[int]) -> None:
    """As the button does it: the task of these regions and what follows; Airflow adds setup and teardown."""
    body = {
        "dry_run": False,
        "dag_run_id": run_id,
        "task_ids": [[task_id, index] for index in indexes],
        "include_downstream": True,
        "only_failed": False,
        "reset_dag_runs": True,
    }
    answer = api.ask("POST", f"/api/v2/dags/{dag_id}/clearTaskInstances", json=body)
    assert answer.status_code == 200, answer.text
