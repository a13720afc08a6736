"""What nobody needs any more is taken away: one DAG for each application."""

from __future__ import annotations

from airflow.sdk import dag

from include.apps import App
from redstart.groups.delivery import add_form, by_the_clock
from redstart.groups.janitor import janitor_form, sweep_tasks
from redstart.groups.parsing import apps_with
from redstart.groups.words import JANITOR_DOC

HOURLY = "22 * * * *"


def make_dag(app: App) -> None:
    @dag(
        dag_id=app.dag_id("janitor"),
        doc_md=JANITOR_DOC.format(app=app.name),
        schedule=by_the_clock(HOURLY),
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=app.paused,
        tags=["on-call", app.name],
    )
    def janitor() -> None:
        sweep_tasks(app)

    add_form(janitor(), janitor_form())


for one in apps_with("janitor"):
    make_dag(one)
