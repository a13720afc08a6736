"""The janitor's form and its tasks: the same for every application."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, task_group

from include.apps import App
from redstart.operators.janitor import FreeLocksOperator, SweepClusterOperator
from redstart.operators.janitor_images import SweepImagesOperator


def janitor_form() -> dict[str, Param]:
    """One question; the schedule's runs are not dry."""
    return {
        "dry_run": Param(
            False,
            type="boolean",
            title="Only look",
            description="Say what would go and what would stay, and why; change nothing.",
        )
    }


def sweep_tasks(app: App) -> None:
    """None waits for another: what one frees for the other goes in an hour, and each one's failure is the run's."""

    @task_group(group_id="cluster", tooltip="Every environment's regions at the same time")
    def cluster(environment: str, region: str) -> None:
        of_place: dict[str, Any] = {"app": app.name, "environment": environment, "region": region}
        SweepClusterOperator(task_id="sweep", map_index_template="{{ place }}", **of_place)

    FreeLocksOperator(task_id="free_locks", app=app.name)
    cluster.expand_kwargs(places_of(app))
    SweepImagesOperator(task_id="sweep_images", app=app.name)


def places_of(app: App) -> list[dict[str, str]]:
    return [
        {"environment": name, "region": region}
        for name in app.environment_names
        for region in app.environment(name).region_names
    ]
