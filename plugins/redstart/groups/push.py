"""The red/black push of an environment: a group of tasks for each of its regions."""

from __future__ import annotations

from typing import Any

from airflow.sdk import TaskGroup, TriggerRule, task_group

from include.apps import App
from redstart.operators.environment_tests import RunEnvironmentTestsOperator
from redstart.operators.halt import TakeBackOperator
from redstart.operators.lock import ClaimClusterOperator, ReleaseClusterOperator
from redstart.operators.redblack import PushRedBlackOperator, WatchRedOperator
from redstart.operators.rollback import RollBackPushOperator
from redstart.sensors.quiet_window import QuietWindowSensor


def push_regions(app: App, environment: str, then: Any, *, halted: Any = None, at_last: Any = None) -> Any:
    """The group `push`, mapped over the environment's regions; `then` comes when all of them are watched to the end,
    `halted` when the push of one has failed, `at_last` when nothing is done in any of them any more, however that
    ended."""
    site = app.environment(environment)

    @task_group(group_id="push", tooltip="Replace the running version, wave by wave, each region in its quiet window")
    def push(region: str) -> None:
        of_region: dict[str, Any] = {"app": app.name, "environment": environment, "region": region}
        of_region["map_index_template"] = "{{ task.region }}"
        claim = ClaimClusterOperator(task_id="claim_cluster", **of_region).as_setup()
        push_red_black = PushRedBlackOperator(task_id="push_red_black", **of_region)
        watch_red = WatchRedOperator(task_id="watch_red", **of_region)
        roll_back = RollBackPushOperator(task_id="roll_back", trigger_rule=TriggerRule.ONE_FAILED, **of_region)
        release = ReleaseClusterOperator(task_id="release_cluster", **of_region).as_teardown(setups=claim)
        if site.windows is not None:
            QuietWindowSensor(task_id="await_quiet_window", **of_region) >> claim
        claim >> push_red_black >> watch_red >> roll_back >> release
        push_red_black >> roll_back
        # Where nothing failed, roll_back is skipped, and does not speak for the region.
        watch_red >> [release, then]
        if halted is not None:
            # After release_cluster: a lock that is freed too late would be the way back's.
            [watch_red, release] >> halted
        if at_last is not None:
            release >> at_last

    # Literal: what maps later is not there before its turn, and a lock would be freed only at the end of all regions.
    return push.expand(region=list(site.region_names))


def take_back_regions(app: App) -> Any:
    """The group `halt`, mapped over production's regions: only where the push of one of them has failed."""

    @task_group(group_id="halt", tooltip="After a failed push: take the finished regions back, the last first")
    def halt(region: str) -> None:
        of_region: dict[str, Any] = {"app": app.name, "region": region, "map_index_template": "{{ task.region }}"}
        TakeBackOperator(task_id="take_back", trigger_rule=TriggerRule.ONE_FAILED, **of_region)

    return halt.expand(region=list(app.prod.region_names))


def verify_in(app: App, environment: str) -> TaskGroup:
    """The group named like the environment: the image is pushed there, and the application's own tests run on it."""
    site = app.environment(environment)
    with TaskGroup(environment, tooltip=f"{app.name}-{site.stack}: {', '.join(site.region_names)}") as group:
        # Not none_failed: it would run where everything was skipped.
        ended = TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS
        run_tests = RunEnvironmentTestsOperator(
            task_id="run_tests", app=app.name, environment=environment, trigger_rule=ended
        )
        push_regions(app, environment, run_tests) >> run_tests
    return group
