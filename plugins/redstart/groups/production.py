"""The way into production, the same for a commit and for a release candidate: canary, gate, push."""

from __future__ import annotations

from typing import Any

from airflow.sdk import TaskGroup, TriggerRule

from include.apps import App
from redstart.groups.push import push_regions, take_back_regions
from redstart.operators.canary import ChooseBaselineOperator, LaunchCanaryOperator, StopCanaryOperator
from redstart.operators.finish import DescribeFleetOperator, OrderRegionsOperator
from redstart.operators.gate import GateScoreOperator
from redstart.operators.production_line import ClaimProductionOperator, ReleaseProductionOperator
from redstart.sensors.canary_analysis import CanaryAnalysisSensor


def deliver_to_production(app: App, name: str, before: Any, *, after: Any = None) -> None:
    """From `before` (the image is there) to `finish`; `after` comes when the version serves everywhere.

    All of it is one delivery's at a time: claim_production waits for the other flows' deliveries.
    """
    common: dict[str, Any] = {"app": app.name}
    claim = ClaimProductionOperator(task_id="claim_production", flow=name, **common).as_setup()
    with TaskGroup("canary", tooltip="The new version beside the running one, under live traffic") as canary:
        choose_baseline = ChooseBaselineOperator(task_id="choose_baseline", **common).as_setup()
        launch_canary = LaunchCanaryOperator(task_id="launch_canary", **common).as_setup()
        stop_canary = StopCanaryOperator(task_id="stop_canary", **common)
        # Two setups: a teardown runs when one has succeeded, hence also after a launch that failed half-way.
        # And a plain one: a teardown that may fail the run would decide its state alone.
        stop_canary.as_teardown(setups=[choose_baseline, launch_canary])
        analyze = CanaryAnalysisSensor(task_id="analyze_canary", flow=name, **common)
        choose_baseline >> launch_canary >> analyze >> stop_canary

    gate_score = GateScoreOperator(task_id="gate_score", **common)
    order_regions = OrderRegionsOperator(task_id="order_regions", **common)
    # Not none_failed: it would run where everything was skipped.
    ended = TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS
    finish = DescribeFleetOperator(task_id="finish", trigger_rule=ended, **common)
    halt = take_back_regions(app)
    release = ReleaseProductionOperator(task_id="release_production", **common).as_teardown(setups=claim)

    before >> claim >> canary >> gate_score >> order_regions
    # The listener is the push's alone: no region is pushed while the canary still has a share of its traffic.
    stop_canary >> order_regions
    order_regions >> push_regions(app, "prod", finish, halted=halt, at_last=release) >> finish
    # finish ends with the first failure; what a failed delivery still does is awaited as well: the next one would be
    # compared with a version that is being taken away.
    [stop_canary, finish, halt] >> release
    if after is not None:
        finish >> after >> release
