"""The weekly push: a person chooses a release candidate; from there on everything goes by itself."""

from __future__ import annotations

from airflow.sdk import dag

from include.apps import App, ReleaseFlow
from redstart.groups.delivery import add_form
from redstart.groups.parsing import flows_of
from redstart.groups.production import deliver_to_production
from redstart.groups.release import release_form
from redstart.groups.words import release_doc
from redstart.operators.candidate import SelectCandidateOperator
from redstart.operators.merge import MergeReleaseOperator


def make_dag(app: App, name: str, flow: ReleaseFlow) -> None:
    @dag(
        dag_id=app.dag_id(name),
        doc_md=release_doc(app, flow),
        schedule=None,
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=app.paused,
        tags=["production", "delivery", app.name],
    )
    def release() -> None:
        select_candidate = SelectCandidateOperator(task_id="select_candidate", app=app.name, flow=name)
        merge = MergeReleaseOperator(task_id="merge_release", app=app.name, flow=name) if flow.merge_into else None
        deliver_to_production(app, name, select_candidate, after=merge)

    add_form(release(), release_form(app, flow))


for one in flows_of(ReleaseFlow):
    make_dag(*one)
