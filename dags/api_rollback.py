"""Take `api` back in production: no canary, no queue; one task per region right behind the click.

Fill in **where** and **why**; *Trigger*. A push under way in a region stops by itself at its next step.

| task | what it does |
|---|---|
| roll_back | the group from before takes the traffic; its size is made right for the traffic of now |
| release_cluster | unlocks the region, whatever happened |
| finish | says what serves now, and how long it took until users were safe |

Where no earlier group is left, the version before is pushed again from its image. The way forward again: the same form,
with the group to go to. A region that was not asked for is skipped (pink).
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import TriggerRule, dag, task_group

from include.apps import load_app
from redstart.groups.rollback import rollback_form
from redstart.operators.finish import DescribeRollbackOperator
from redstart.operators.rollback import ReleaseRollbackOperator, RollBackRegionOperator

APP = "api"


@dag(
    dag_id="api_rollback",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    max_active_runs=4,
    params=rollback_form(load_app(APP)),
    tags=["production", "on-call", APP],
)
def api_rollback() -> None:
    @task_group(group_id="region", tooltip="The regions of the form, at the same time")
    def region(region: str) -> None:
        of_region: dict[str, Any] = {"app": APP, "region": region, "map_index_template": "{{ region }}"}
        release = ReleaseRollbackOperator(task_id="release_cluster", **of_region)
        # A teardown without a setup: it comes after roll_back however that went, and does not decide the run.
        RollBackRegionOperator(task_id="roll_back", **of_region) >> release.as_teardown()

    # Literal: nothing has to run before the regions are known.
    regions = region.expand(region=list(load_app(APP).prod.region_names))
    regions >> DescribeRollbackOperator(task_id="finish", app=APP, trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)


api_rollback()
