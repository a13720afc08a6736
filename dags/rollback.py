"""Taking an application back in production: one DAG each."""

from __future__ import annotations

from typing import Any

from airflow.sdk import TriggerRule, dag, task_group

from include.apps import App
from redstart.groups.delivery import add_form
from redstart.groups.parsing import apps_with
from redstart.groups.rollback import rollback_form
from redstart.groups.words import ROLLBACK_DOC
from redstart.operators.finish import DescribeRollbackOperator
from redstart.operators.rollback import ReleaseRollbackOperator, RollBackRegionOperator


def make_dag(app: App) -> None:
    @dag(
        dag_id=app.dag_id("rollback"),
        doc_md=ROLLBACK_DOC.format(app=app.name),
        schedule=None,
        catchup=False,
        max_active_runs=4,
        # Never paused: who needs it has no time to find that out.
        is_paused_upon_creation=False,
        tags=["production", "on-call", app.name],
    )
    def rollback() -> None:
        @task_group(group_id="region", tooltip="The regions of the form, at the same time")
        def region(region: str) -> None:
            of_region: dict[str, Any] = {"app": app.name, "region": region, "map_index_template": "{{ region }}"}
            release = ReleaseRollbackOperator(task_id="release_cluster", **of_region)
            # A teardown without a setup: it comes after roll_back however that went, and does not decide the run.
            RollBackRegionOperator(task_id="roll_back", **of_region) >> release.as_teardown()

        # Literal: nothing has to run before the regions are known.
        regions = region.expand(region=list(app.prod.region_names))
        ended = TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS
        regions >> DescribeRollbackOperator(task_id="finish", app=app.name, trigger_rule=ended)

    add_form(rollback(), rollback_form(app))


for one in apps_with("rollback"):
    make_dag(one)
