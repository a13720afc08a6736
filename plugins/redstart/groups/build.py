"""From the newest commit of a branch to an image in every region: the same in every flow that commits start."""

from __future__ import annotations

from typing import Any

from airflow.sdk import TaskGroup, TriggerRule, chain

from include.apps import App, DeliverFlow, VerifyFlow
from redstart.operators.bake import BakeImageOperator
from redstart.operators.build import BuildArtifactOperator, RunUnitTestsOperator
from redstart.operators.merge import MergeBackOperator
from redstart.operators.source import SelectCommitOperator
from redstart.operators.station import StationOperator


def build_image(app: App, name: str, flow: VerifyFlow | DeliverFlow) -> TaskGroup:
    """The group `build` of the flow `name`."""
    common: dict[str, Any] = {"app": app.name}
    with TaskGroup("build", tooltip=f"From the newest commit on {flow.branch} to an image in every region") as group:
        tasks: list[StationOperator] = [SelectCommitOperator(task_id="select_commit", flow=name, **common)]
        after = TriggerRule.ALL_SUCCESS
        if isinstance(flow, DeliverFlow) and flow.merge_into:
            tasks.append(MergeBackOperator(task_id="merge_back", flow=name, **common))
            # A conflict is reported by merge_back, and does not stop the delivery.
            after = TriggerRule.NONE_SKIPPED
        chain(
            *tasks,
            BuildArtifactOperator(task_id="build_artifact", trigger_rule=after, **common),
            RunUnitTestsOperator(task_id="run_unit_tests", **common),
            BakeImageOperator(task_id="bake_image", **common),
        )
    return group
