"""When each region may be pushed, learned every day: one DAG for each application that has quiet windows."""

from __future__ import annotations

from airflow.sdk import dag

from include.apps import App
from redstart.groups.delivery import by_the_clock
from redstart.groups.windows import WINDOWS_DOC, apps_that_learn, learn_tasks

DAILY = "7 4 * * *"


def make_dag(app: App) -> None:
    @dag(
        dag_id=app.dag_id("windows"),
        doc_md=WINDOWS_DOC.format(app=app.name),
        schedule=by_the_clock(DAILY),
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=app.paused,
        tags=["production", "windows", app.name],
    )
    def windows() -> None:
        learn_tasks(app)

    windows()


for one in apps_that_learn():
    make_dag(one)
