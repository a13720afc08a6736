"""Which runs of an application's DAGs are over, and who started one, by Airflow's own word."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from include.apps import App
from include.apps.delivery import flow_key

if TYPE_CHECKING:
    from airflow.sdk import Context

RUN_TASKS = ["finish", "free_locks"]
"""Each DAG has one of these; a run has its tasks from its first moment on."""
OVER = ("success", "failed")
UNKNOWN = "Airflow knows of no such run"
BY_HAND = "manual"
ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
"""States of a task that Airflow does nothing with any more."""


def is_by_hand(context: Context) -> bool:
    """Whether a person started the run, rather than a commit or the clock."""
    # Not str(): the task SDK's enum does not say its value by that.
    return bool(context["dag_run"].run_type == BY_HAND)


def runs_over(ti: Any, app: App, keys: Collection[str]) -> dict[str, str]:
    """Of the runs with these keys (as `flow_key` makes them), how those ended that are not under way.

    A key is no run's id: each run's key is made again, and compared. Two runs may share one; then both must be over.
    """
    if not keys:
        return {}
    states: dict[str, set[str]] = {key: set() for key in keys}
    for flow in (*app.flows, "rollback", "janitor"):
        dag_id = app.dag_id(flow)
        for run_id in ti.get_task_states(dag_id=dag_id, task_ids=RUN_TASKS):
            if (key := flow_key(dag_id, run_id)) in states:
                state = ti.get_dagrun_state(dag_id, run_id)
                # Airflow answers with an enumeration's member, whose text is its name.
                states[key].add(str(getattr(state, "value", state)))
    return {key: ", ".join(sorted(found)) or UNKNOWN for key, found in states.items() if found <= set(OVER)}


def states_in_run(context: Context, task_ids: Collection[str]) -> dict[tuple[str, int], str]:
    """Of this run's tasks, by Airflow's own word: (task id, map index) -> state; "" where it waits to be scheduled, as
    one that was cleared does. Those that are not mapped are not there."""
    run_id = str(context["run_id"])
    answer = context["ti"].get_task_states(
        dag_id=str(context["dag_run"].dag_id), task_ids=sorted(task_ids), run_ids=[run_id]
    )
    found = {}
    for key, state in (answer.get(run_id) or {}).items():
        task_id, _, index = key.rpartition("_")
        if task_id in task_ids and index.isdecimal():
            found[task_id, int(index)] = str(getattr(state, "value", state) or "")
    return found
