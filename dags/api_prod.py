"""A commit of `api` travels to production: built once, judged beside the running version, pushed region by region.

| task | what it does |
|---|---|
| **build** | |
| select_commit | the newest commit on prod; live everywhere already: all else is skipped |
| merge_back | prod into release; a conflict is reported and stops nothing |
| build_artifact, run_unit_tests | the application's own commands in a clean copy |
| bake_image | the artifact as a machine image, in every region |
| **canary** | |
| choose_baseline, launch_canary | new and running version, same size, live traffic |
| analyze_canary | judges over 1,000 metrics, at intervals during the soak and at its end |
| stop_canary | takes both away, whatever happened |
| **gate_score** | go at 95 or more, or with an operator's approval; else the run ends here |
| order_regions | which regions, in which order |
| **push** | once for each region, one after the other; skipped where it was not asked for |
| claim_cluster | waits for its turn, then locks the region |
| push_red_black | new group up, traffic over, old group kept: out of traffic, warm |
| watch_red | the new version alone, against what the canary measured |
| roll_back | only when one of the two has failed: back to the old group |
| release_cluster | unlocks the region, whatever happened |
| **finish** | says what takes traffic in every region |

**What a task made** is behind the button on its *Details* tab: report, log, images, groups. **What clear and retry do**
is in the book on the task's own page; every task may be cleared or retried at any time.

Started by a commit, by the clock, or by hand with the form. A green run of skipped (pink) tasks found nothing new.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import TaskGroup, TriggerRule, chain, dag, task_group

from include.apps import load_app
from redstart.groups.delivery import commit_or_clock, delivery_form
from redstart.operators.bake import BakeImageOperator
from redstart.operators.build import BuildArtifactOperator, RunUnitTestsOperator
from redstart.operators.canary import ChooseBaselineOperator, LaunchCanaryOperator, StopCanaryOperator
from redstart.operators.finish import DescribeFleetOperator, OrderRegionsOperator
from redstart.operators.gate import GateScoreOperator
from redstart.operators.lock import ClaimClusterOperator, ReleaseClusterOperator
from redstart.operators.redblack import PushRedBlackOperator, WatchRedOperator
from redstart.operators.rollback import RollBackPushOperator
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
    # Not none_failed: it would run where everything was skipped.
    ended = TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS
    finish = DescribeFleetOperator(task_id="finish", app=APP, trigger_rule=ended)

    @task_group(group_id="push", tooltip="Replace the running version, one region after another")
    def push(region: str) -> None:
        of_region: dict[str, Any] = {"app": APP, "region": region, "map_index_template": "{{ region }}"}
        claim = ClaimClusterOperator(task_id="claim_cluster", **of_region).as_setup()
        push_red_black = PushRedBlackOperator(task_id="push_red_black", **of_region)
        watch_red = WatchRedOperator(task_id="watch_red", **of_region)
        roll_back = RollBackPushOperator(task_id="roll_back", trigger_rule=TriggerRule.ONE_FAILED, **of_region)
        release = ReleaseClusterOperator(task_id="release_cluster", **of_region).as_teardown(setups=claim)
        claim >> push_red_black >> watch_red >> roll_back >> release
        push_red_black >> roll_back
        # Where nothing failed, roll_back is skipped, and does not speak for the region.
        watch_red >> [release, finish]

    build >> canary >> gate_score >> order_regions
    # The listener is the push's alone: no region is pushed while the canary still has a share of its traffic.
    stop_canary >> order_regions
    # Literal: what maps later is not there before its turn, and a lock would be freed only at the end of all regions.
    order_regions >> push.expand(region=list(load_app(APP).prod.region_names)) >> finish


api_prod()
