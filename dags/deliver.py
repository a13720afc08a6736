"""Flows whose commits go to production by themselves: built, judged as a canary, pushed region by region."""

from __future__ import annotations

from airflow.sdk import dag

from include.apps import App, DeliverFlow
from redstart.groups.build import build_image
from redstart.groups.delivery import add_form, commit_or_clock, delivery_form
from redstart.groups.parsing import flows_of
from redstart.groups.production import deliver_to_production
from redstart.groups.push import verify_in
from redstart.groups.words import deliver_doc


def make_dag(app: App, name: str, flow: DeliverFlow) -> None:
    @dag(
        dag_id=app.dag_id(name),
        doc_md=deliver_doc(app, flow),
        schedule=commit_or_clock(app, flow),
        # No start_date: with one, the first thing a new installation did would be the run of the last tick gone by.
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=app.paused,
        tags=["production", app.name],
    )
    def deliver() -> None:
        image = build_image(app, name, flow)
        stations = [verify_in(app, environment) for environment in flow.environments]
        if stations:
            image >> stations
        deliver_to_production(app, name, stations or image)

    add_form(deliver(), delivery_form(app, flow))


for one in flows_of(DeliverFlow):
    make_dag(*one)
