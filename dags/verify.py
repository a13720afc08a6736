"""Flows whose commits are verified: built once, then pushed to test environments and tested there, side by side."""

from __future__ import annotations

from airflow.sdk import dag

from include.apps import App, VerifyFlow
from redstart.groups.build import build_image
from redstart.groups.delivery import add_form, commit_or_clock, verify_form
from redstart.groups.parsing import flows_of
from redstart.groups.push import verify_in
from redstart.groups.words import verify_doc
from redstart.operators.candidate import MarkCandidateOperator
from redstart.operators.finish import DescribeFleetOperator


def make_dag(app: App, name: str, flow: VerifyFlow) -> None:
    @dag(
        dag_id=app.dag_id(name),
        doc_md=verify_doc(flow),
        schedule=commit_or_clock(app, flow),
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=app.paused,
        tags=[name, app.name],
    )
    def verify() -> None:
        stations = [verify_in(app, environment) for environment in flow.environments]
        build_image(app, name, flow) >> stations
        finish = DescribeFleetOperator(task_id="finish", app=app.name, environments=flow.environments, flow=name)
        if flow.makes_candidates:
            stations >> MarkCandidateOperator(task_id="mark_candidate", app=app.name, flow=name) >> finish
        else:
            stations >> finish

    add_form(verify(), verify_form(flow))


for one in flows_of(VerifyFlow):
    make_dag(*one)
