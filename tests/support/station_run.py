"""One run of api_prod, task by task and without Airflow's database: what clear and retry do is to call a task again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from include.apps.delivery import Delivery, run_key
from redstart.operators.bake import BakeImageOperator
from redstart.operators.build import BuildArtifactOperator
from redstart.operators.canary import ChooseBaselineOperator, LaunchCanaryOperator, StopCanaryOperator
from redstart.operators.finish import OrderRegionsOperator
from redstart.operators.gate import GateScoreOperator
from redstart.operators.lock import ClaimClusterOperator, ReleaseClusterOperator
from redstart.operators.production_line import ReleaseProductionOperator
from redstart.operators.redblack import PushRedBlackOperator, WatchRedOperator
from redstart.operators.source import SelectCommitOperator
from redstart.sensors.canary_analysis import CanaryAnalysisSensor
from tests.support.delivery_world import DeliveryWorld


class Ti:
    max_tries = 4
    map_index = -1

    def __init__(
        self, results: dict[str, Any], task_id: str, try_number: int, states: dict[str, Any] | None = None
    ) -> None:
        self.results, self.task_id, self.try_number = results, task_id, try_number
        self.states = states or {}

    def xcom_pull(self, *, task_ids: str) -> Any:
        return self.results.get(task_ids)

    def get_task_states(self, *, dag_id: str, task_ids: list[str], run_ids: list[str]) -> dict[str, dict[str, Any]]:
        states = {key: state for key, state in self.states.items() if key.rpartition("_")[0] in task_ids}
        return dict.fromkeys(run_ids, states) if states else {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.results[key] = value


class Store(dict[str, Any]):
    """A task's state store: outlives retries and clears."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value


class Run:
    """One run of the DAG, task by task: results as XComs, a state store per task. `states` are what Airflow says of its
    mapped tasks (`push.watch_red_0`); it knows of none where nothing is said."""

    def __init__(
        self, world: DeliveryWorld, run_id: str = "manual__2026-11-05T14:22:33+00:00", run_type: str = "manual"
    ) -> None:
        self.world, self.run_id, self.run_type = world, run_id, run_type
        self.results: dict[str, Any] = {}
        self.stores: dict[str, Store] = {}
        self.form: dict[str, Any] = {}
        self.states: dict[str, str | None] = {}
        self.try_number = 1

    def context(self, task_id: str = "") -> Any:
        return {
            "ti": Ti(self.results, task_id, self.try_number, self.states),
            "run_id": self.run_id,
            "dag_run": SimpleNamespace(run_type=self.run_type, dag_id="api_prod", run_after=self.world.now()),
            "params": self.form,
            "task_state_store": self.stores.setdefault(task_id, Store()),
        }

    def do(self, task_id: str, kind: Callable[..., Any], **arguments: Any) -> Any:
        task = kind(task_id=task_id.rpartition(".")[2], app="api", **arguments)
        self.results[task_id] = task.execute(self.context(task_id))
        return self.results[task_id]

    def until_baked(self) -> None:
        self.do("build.select_commit", SelectCommitOperator, flow="prod")
        self.do("build.build_artifact", BuildArtifactOperator)
        self.do("build.bake_image", BakeImageOperator)

    def given_images(self) -> None:
        """As `until_baked` leaves it, without git, build and bake: for tests of what comes after."""
        commit = self.world.commit
        regions = tuple(self.world.fleets)
        made_of = ("tree", "20261105.142233-1a2b3c4", "a change", "an author", 1793888553, regions, regions[0])
        self.results["build.select_commit"] = Delivery("api", run_key(self.run_id), commit, *made_of).to_xcom()
        images = {region: f"ami-{region}" for region in regions}
        self.results["build.bake_image"] = {"schema": 1, "name": "api", "images": images}

    def claim(self, region: str) -> Any:
        return self.do("push.claim_cluster", ClaimClusterOperator, region=region)

    def push(self, region: str) -> Any:
        """The whole push of a region, as its tasks do it one after the other; then the way is free."""
        self.claim(region)
        self.switch(region)
        done = self.watch(region)
        self.do("push.release_cluster", ReleaseClusterOperator, region=region)
        self.do("release_production", ReleaseProductionOperator)
        return done

    def switch(self, region: str) -> Any:
        return self.do("push.push_red_black", PushRedBlackOperator, region=region)

    def watch(self, region: str) -> Any:
        return self.do("push.watch_red", WatchRedOperator, region=region)

    def after_canary(self) -> Run:
        """This run, whose canary has come and gone; its regions go one after the other, as they are listed."""
        self.given_images()
        self.launch()
        self.stop()
        self.order()
        self.world.sleep(10)
        return self

    def order(self) -> Any:
        return self.do("order_regions", OrderRegionsOperator)

    def launch(self) -> Any:
        self.do("canary.choose_baseline", ChooseBaselineOperator)
        return self.do("canary.launch_canary", LaunchCanaryOperator)

    def analyze(self) -> Any:
        return self.do("canary.analyze_canary", CanaryAnalysisSensor)

    def stop(self) -> Any:
        return self.do("canary.stop_canary", StopCanaryOperator)

    def gate(self) -> Any:
        """The gate, and after a go the order of the regions."""
        found = self.do("gate_score", GateScoreOperator)
        self.order()
        return found

    def deferral(self) -> TaskDeferred:
        """What the soak waits for now."""
        with pytest.raises(TaskDeferred) as caught:
            self.analyze()
        return caught.value

    def soak(self) -> Any:
        """Wait for one moment after the other, each time on a new worker, until the analysis has a result."""
        while True:
            try:
                return self.analyze()
            except TaskDeferred as deferred:
                self.pass_time(datetime.fromtimestamp(deferred.trigger.end_epoch, UTC).isoformat(), seconds=1)

    def pass_time(self, until: str, seconds: float = 30) -> None:
        self.world.sleep((datetime.fromisoformat(until) - self.world.now()).total_seconds() + seconds)
