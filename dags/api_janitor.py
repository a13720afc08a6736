"""Groups of `api` that are out of traffic (*black*) wait for a rollback; when their time is over, they go.

| task | what it does |
|---|---|
| sweep_black | deletes what is due in its region, and says what the rest costs, in instance-hours |

A region that somebody has locked is left for the next time. Nothing goes while what serves is not well.
"""

from __future__ import annotations

from airflow.sdk import dag, task_group

from include.apps import load_app
from redstart.groups.delivery import by_the_clock
from redstart.operators.janitor import SweepBlackOperator

APP = "api"
EVERY = "7,22,37,52 * * * *"


@dag(
    dag_id="api_janitor",
    doc_md=__doc__,
    schedule=by_the_clock(EVERY),
    catchup=False,
    max_active_runs=1,
    tags=["production", APP],
)
def api_janitor() -> None:
    @task_group(group_id="region", tooltip="The regions at the same time")
    def sweep(region: str) -> None:
        SweepBlackOperator(task_id="sweep_black", app=APP, region=region, map_index_template="{{ region }}")

    sweep.expand(region=list(load_app(APP).prod.region_names))


api_janitor()
