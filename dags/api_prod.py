"""A commit of `api` travels to production.

**build**: the newest commit on prod is merged back into release, built, tested and baked into an image.
**canary**: the new version runs beside the running one under live traffic, and is judged at the end of the soak.
**gate_score**: below 95, or with a critical metric off, or without evidence, the run ends here: production untouched.
**push**: every region is replaced, one after another, each rolled back by itself if it does not come up.

Started by a commit, by the clock (which finds nothing new on most days), or by hand with the form. Every task may be
cleared or retried at any time; its own documentation says what that does.
"""

from __future__ import annotations

from airflow.sdk import TaskGroup, TriggerRule, chain, dag, task_group

from include.apps import load_app
from redstart.groups.delivery import commit_or_clock, delivery_form
from redstart.operators.bake import BakeImageOperator
from redstart.operators.build import BuildArtifactOperator, RunUnitTestsOperator
from redstart.operators.canary import ChooseBaselineOperator, LaunchCanaryOperator, StopCanaryOperator
from redstart.operators.finish import DescribeFleetOperator, OrderRegionsOperator
from redstart.operators.gate import GateScoreOperator
from redstart.operators.redblack import PushRedBlackOperator
from redstart.operators.source import MergeBranchOperator, SelectCommitOperator
from redstart.sensors.canary_analysis import CanaryAnalysisSensor

APP = "api"


@dag(
    dag_id="api_prod",
    doc_md=__doc__,
    schedule=commit_or_clock(load_app(APP)),
    # No start_date: with one, the first thing a new installation did would be the run of the last tick gone by.
    catchup=False,
    max_active_runs=1,
    params=delivery_form(load_app(APP)),
    tags=["production", APP],
)
def api_prod() -> None:
    with TaskGroup("build", tooltip="From the newest commit on prod to an image in every region") as build:
        chain(
            SelectCommitOperator(task_id="select_commit", app=APP),
            MergeBranchOperator(task_id="merge_back", app=APP),
            # A conflict with release is reported by merge_back, and does not stop the delivery.
            BuildArtifactOperator(task_id="build_artifact", app=APP, trigger_rule=TriggerRule.NONE_SKIPPED),
            RunUnitTestsOperator(task_id="run_unit_tests", app=APP),
            BakeImageOperator(task_id="bake_image", app=APP),
        )

    with TaskGroup("canary", tooltip="The new version beside the running one, under live traffic") as canary:
        choose_baseline = ChooseBaselineOperator(task_id="choose_baseline", app=APP).as_setup()
        launch_canary = LaunchCanaryOperator(task_id="launch_canary", app=APP).as_setup()
        stop_canary = StopCanaryOperator(task_id="stop_canary", app=APP)
        # Two setups: a teardown runs when one has succeeded, hence also after a launch that failed half-way.
        # And a plain one: a teardown that may fail the run would decide its state alone.
        stop_canary.as_teardown(setups=[choose_baseline, launch_canary])
        choose_baseline >> launch_canary >> CanaryAnalysisSensor(task_id="analyze_canary", app=APP) >> stop_canary

    gate_score = GateScoreOperator(task_id="gate_score", app=APP)
    order_regions = OrderRegionsOperator(task_id="order_regions", app=APP)
    finish = DescribeFleetOperator(task_id="finish", app=APP)

    @task_group(group_id="push", tooltip="Replace the running version, one region after another")
    def push(region: str) -> None:
        PushRedBlackOperator(
            task_id="push_red_black",
            app=APP,
            region=region,
            map_index_template="{{ region }}",
            max_active_tis_per_dagrun=1,
        )

    build >> canary >> gate_score >> order_regions
    # The listener is the push's alone: no region is pushed while the canary still has a share of its traffic.
    stop_canary >> order_regions
    push.expand(region=order_regions.output) >> finish


api_prod()
