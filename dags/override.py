"""Letting an application's pushes begin outside of their quiet windows: one DAG for each that has some."""

from __future__ import annotations

from airflow.sdk import dag

from include.apps import App
from redstart.groups.delivery import add_form
from redstart.groups.override import OVERRIDE_DOC, apps_to_override, override_form
from redstart.operators.override import OverrideWindowsOperator


def make_dag(app: App) -> None:
    @dag(
        dag_id=app.dag_id("override"),
        doc_md=OVERRIDE_DOC.format(app=app.name),
        schedule=None,
        catchup=False,
        max_active_runs=4,
        # Never paused: who needs it has no time to find that out.
        is_paused_upon_creation=False,
        tags=["production", "windows", "on-call", app.name],
    )
    def override() -> None:
        OverrideWindowsOperator(task_id="override_windows", app=app.name)

    add_form(override(), override_form(app))


for one in apps_to_override():
    make_dag(one)
