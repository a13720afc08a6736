"""What clear and retry do at each station: it looks at the world and goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred

from include.apps.delivery import Delivery
from include.errors import RetryableError
from redstart.operators.bake import BakeImageOperator
from redstart.operators.build import BuildArtifactOperator
from redstart.operators.canary import ChooseBaselineOperator, LaunchCanaryOperator, StopCanaryOperator
from redstart.operators.gate import GateScoreOperator
from redstart.operators.redblack import PushRedBlackOperator
from redstart.operators.source import SelectCommitOperator
from redstart.sensors.canary_analysis import CanaryAnalysisSensor, resolution
from tests.support.canary_world import world as canary_pairs
from tests.support.delivery_world import DeliveryWorld, make_world
from tests.support.fake_fleet import Killed

REGION = "us-east-1"


class Ti:
    def __init__(self, results: dict[str, Any]) -> None:
        self.results = results

    def xcom_pull(self, *, task_ids: str) -> Any:
        return self.results.get(task_ids)

    def xcom_push(self, key: str, value: Any) -> None:
        self.results[key] = value


class Store(dict[str, Any]):
    """A task's state store: outlives retries and clears."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value


class Run:
    """One run of the DAG, task by task: results as XComs, a state store per task."""

    def __init__(
        self, world: DeliveryWorld, run_id: str = "manual__2026-11-05T14:22:33+00:00", run_type: str = "manual"
    ) -> None:
        self.world, self.run_id, self.run_type = world, run_id, run_type
        self.results: dict[str, Any] = {}
        self.stores: dict[str, Store] = {}
        self.form: dict[str, Any] = {}

    def context(self, task_id: str = "") -> Any:
        return {
            "ti": Ti(self.results),
            "run_id": self.run_id,
            "dag_run": SimpleNamespace(run_type=self.run_type),
            "params": self.form,
            "task_state_store": self.stores.setdefault(task_id, Store()),
        }

    def do(self, task_id: str, kind: Callable[..., Any], **arguments: Any) -> Any:
        task = kind(task_id=task_id.rpartition(".")[2], app="api", **arguments)
        self.results[task_id] = task.execute(self.context(task_id))
        return self.results[task_id]

    def until_baked(self) -> None:
        self.do("build.select_commit", SelectCommitOperator)
        self.do("build.build_artifact", BuildArtifactOperator)
        self.do("build.bake_image", BakeImageOperator)

    def launch(self) -> Any:
        self.do("canary.choose_baseline", ChooseBaselineOperator)
        return self.do("canary.launch_canary", LaunchCanaryOperator)

    def analyze(self) -> Any:
        return self.do("canary.analyze_canary", CanaryAnalysisSensor)

    def pass_time(self, until: str) -> None:
        self.world.sleep((datetime.fromisoformat(until) - self.world.now()).total_seconds() + 30)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeliveryWorld:
    return make_world(tmp_path, monkeypatch)


@pytest.fixture
def run(world: DeliveryWorld) -> Run:
    started = Run(world)
    started.until_baked()
    return started


def names(world: DeliveryWorld, role: str) -> list[str]:
    found = world.fleets[REGION].records.items()
    return [name for name, one in found if one.tags["redstart:role"] == role and one.deleted_at is None]


def kill_at(world: DeliveryWorld, call: str) -> None:
    """The worker dies right after the cloud did `call`."""

    def hook(done: str, moment: str) -> None:
        if moment == "after" and done.startswith(call):
            world.fleets[REGION].hook = lambda call, moment: None
            raise Killed

    world.fleets[REGION].hook = hook


def test_commit_is_built_once(run: Run) -> None:
    first = run.results["build.build_artifact"]
    again = run.do("build.build_artifact", BuildArtifactOperator)
    assert run.world.artifacts.builds == 1
    assert (again["sha256"], again["is_reused"]) == (first["sha256"], True)


def test_image_is_found_and_only_missing_copies_are_made(run: Run) -> None:
    images = run.results["build.bake_image"]["images"]
    run.world.workshops["eu-west-1"].images.clear()
    assert run.do("build.bake_image", BakeImageOperator)["images"] == images
    assert run.world.workshops[REGION].launched == 1


def test_retried_launch_adopts_the_pair_and_keeps_the_end(run: Run) -> None:
    first = run.launch()
    run.world.sleep(60)
    assert run.launch() == first
    assert len(names(run.world, "canary")) == 1


def test_launch_killed_half_way_is_completed(run: Run) -> None:
    kill_at(run.world, "modify_listener")
    with pytest.raises(Killed):
        run.launch()
    soak = run.launch()
    assert names(run.world, "canary") == [soak["canary"]]
    assert names(run.world, "baseline") == [soak["baseline"]]


def test_canary_lost_in_mid_soak_is_replaced_but_the_end_stays(run: Run) -> None:
    first = run.launch()
    run.world.sleep(60)
    run.do("canary.stop_canary", StopCanaryOperator)
    run.world.sleep(10)
    second = run.launch()
    assert second["soak_end"] == first["soak_end"]
    assert second["soak_start"] > first["soak_start"], "the judge sees only what the new pair did"
    tags = run.world.fleets[REGION].records[second["canary"]].tags
    assert tags["redstart:soak-end"] == first["soak_end"]


def test_nothing_is_launched_again_after_the_soak(run: Run) -> None:
    first = run.launch()
    run.pass_time(first["soak_end"])
    run.do("canary.stop_canary", StopCanaryOperator)
    run.world.sleep(10)
    assert run.launch() == first
    assert names(run.world, "canary") == []


def test_soak_is_the_forms_else_the_installations(run: Run) -> None:
    run.form = {"soak_seconds": 90}
    soak = run.launch()
    length = datetime.fromisoformat(soak["soak_end"]) - datetime.fromisoformat(soak["soak_start"])
    assert length == timedelta(seconds=90)


def test_teardown_is_done_however_often_and_spares_other_runs(run: Run) -> None:
    run.launch()
    run.do("canary.stop_canary", StopCanaryOperator)
    run.do("canary.stop_canary", StopCanaryOperator)
    assert run.world.serving()[REGION] == {""}
    assert names(run.world, "canary") == []


def deferral(run: Run) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as caught:
        run.analyze()
    return caught.value


def test_soak_retried_waits_for_the_same_end(run: Run) -> None:
    soak = run.launch()
    first = deferral(run)
    run.world.sleep(100)
    second = deferral(run)
    expected = datetime.fromisoformat(soak["soak_end"]).timestamp() + 10
    assert first.trigger.serialize() == second.trigger.serialize()
    assert first.trigger.serialize()[1]["end_epoch"] == expected
    assert first.timeout is not None
    assert first.timeout > timedelta(seconds=240)


def test_soak_that_is_over_is_judged_without_waiting_and_fetched_once(run: Run) -> None:
    soak = run.launch()
    run.pass_time(soak["soak_end"])
    first = run.analyze()
    assert first["judged"] > 1000
    ((scopes, start, end, step),) = run.world.metrics.fetches
    assert scopes == (soak["baseline"], soak["canary"])
    assert (start.isoformat(), end.isoformat(), step) == (soak["soak_start"], soak["soak_end"], 5)
    assert run.analyze() == first
    assert len(run.world.metrics.fetches) == 1, "data once kept is judged again, not fetched again"


def test_resumed_sensor_judges_as_one_that_never_slept(run: Run) -> None:
    soak = run.launch()
    sensor = CanaryAnalysisSensor(task_id="analyze_canary", app="api")
    resumed = sensor.resume_execution("analyze", {"event": {"schema": 1, "end_epoch": 0}}, run.context())
    run.pass_time(soak["soak_end"])
    assert resumed == run.analyze()


def test_gate_judges_the_kept_data_again(run: Run) -> None:
    run.pass_time(run.launch()["soak_end"])
    run.world.metrics.pairs = canary_pairs(1, commit="errors")
    run.analyze()
    run.do("canary.stop_canary", StopCanaryOperator)
    run.world.metrics.pairs = canary_pairs(1)
    for _ in range(2):
        with pytest.raises(AirflowFailException, match=r"no-go(.|\n)*critical(.|\n)*report\.html"):
            run.do("gate_score", GateScoreOperator)
    assert len(run.world.metrics.fetches) == 1


def test_gate_without_data_is_no_go(run: Run) -> None:
    with pytest.raises(AirflowFailException, match="No evidence, no go"):
        run.do("gate_score", GateScoreOperator)


def test_evidence_of_one_commit_never_speaks_for_another(run: Run) -> None:
    run.pass_time(run.launch()["soak_end"])
    run.analyze()
    run.do("canary.stop_canary", StopCanaryOperator)
    run.do("gate_score", GateScoreOperator)
    run.world.origin.commit("prod", {"app.py": "VALUE = 7\n"})
    for workshop in run.world.workshops.values():
        workshop.images.clear()
    run.do("build.select_commit", SelectCommitOperator)
    run.results["build.bake_image"] = {"schema": 1, "name": "new", "images": {REGION: "ami-new"}}
    with pytest.raises(AirflowFailException, match="No evidence, no go"):
        run.do("gate_score", GateScoreOperator)
    second = run.launch()
    assert second["image"] == "ami-new"
    assert names(run.world, "canary") == [second["canary"]]
    deferral(run)


def test_push_killed_anywhere_goes_on(run: Run) -> None:
    for call in ("create_auto_scaling_group", "modify_listener", "suspend_processes"):
        kill_at(run.world, call)
        with pytest.raises(Killed):
            run.do("push.push_red_black", PushRedBlackOperator, region=REGION)
    done = run.do("push.push_red_black", PushRedBlackOperator, region=REGION)
    assert run.world.serving()[REGION] == {run.world.commit}
    assert run.do("push.push_red_black", PushRedBlackOperator, region=REGION)["group"] == done["group"]
    assert len(names(run.world, "main")) == 2


def test_region_waits_for_the_one_before_it(run: Run) -> None:
    with pytest.raises(RetryableError, match="us-east-1 comes before us-west-2"):
        run.do("push.push_red_black", PushRedBlackOperator, region="us-west-2")
    run.do("push.push_red_black", PushRedBlackOperator, region=REGION)
    run.do("push.push_red_black", PushRedBlackOperator, region="us-west-2")
    assert run.world.serving()["us-west-2"] == {run.world.commit}


def test_task_that_was_given_up_stops_before_it_acts(run: Run) -> None:
    class GivenUp(Store):
        def set(self, key: str, value: Any) -> None:
            raise BrokenPipeError

    run.stores["push.push_red_black"] = GivenUp()
    with pytest.raises(BrokenPipeError):
        run.do("push.push_red_black", PushRedBlackOperator, region=REGION)
    assert names(run.world, "main") == ["api-main-v000"]


def test_commit_that_is_not_on_prod_is_refused(run: Run) -> None:
    run.form = {"commit": run.world.origin.commit("test", {"app.py": "VALUE = 9\n"})}
    with pytest.raises(AirflowFailException, match="not on branch prod"):
        run.do("build.select_commit", SelectCommitOperator)


def test_selected_commit_is_small_and_versioned(run: Run) -> None:
    stored = run.results["build.select_commit"]
    assert stored["schema"] == 1
    assert Delivery.from_xcom(stored).commit == run.world.commit


def test_old_points_are_read_at_the_step_that_is_still_kept() -> None:
    assert resolution(5, 3600) == 5
    assert resolution(5, 8 * 3600) == 60
    assert resolution(300, 8 * 3600) == 300


def test_counts_are_fetched_as_sums_and_levels_as_averages(run: Run) -> None:
    run.pass_time(run.launch()["soak_end"])
    run.analyze()
    asked = run.world.metrics.stats
    wanted = {"http.requests": "Sum", "http.5xx": "Sum", "http.latency_p99_ms": "Average", "runtime.threads": "Average"}
    assert {name: asked[name] for name in wanted} == wanted


def stop_content(run: Run) -> None:
    """A canary that ends as no-go."""
    run.pass_time(run.launch()["soak_end"])
    run.world.metrics.pairs = canary_pairs(1, commit="errors")
    run.analyze()
    run.do("canary.stop_canary", StopCanaryOperator)
    with pytest.raises(AirflowFailException, match="no-go"):
        run.do("gate_score", GateScoreOperator)


def select(run: Run, run_id: str, run_type: str) -> Any:
    later = Run(run.world, run_id, run_type)
    later.do("build.select_commit", SelectCommitOperator)
    return later


def test_stopped_content_is_tried_again_only_by_a_person(run: Run) -> None:
    stop_content(run)
    for run_type in ("asset_triggered", "scheduled"):
        with pytest.raises(AirflowSkipException, match=r"a canary stopped(.|\n)*report\.html"):
            select(run, f"{run_type}__1", run_type)
    assert select(run, "manual__2", "manual").results["build.select_commit"]["commit"] == run.world.commit
    stopped = (run.world.origin.work / "app.py").read_text()
    run.world.origin.commit("prod", {"app.py": "VALUE = 5\n"})
    select(run, "asset_triggered__3", "asset_triggered")
    run.world.origin.commit("prod", {"app.py": stopped}, "the stopped content under another commit")
    with pytest.raises(AirflowSkipException, match="a canary stopped"):
        select(run, "asset_triggered__4", "asset_triggered")


def test_cleared_run_tries_the_content_again_that_it_stopped(world: DeliveryWorld) -> None:
    run = Run(world, "asset_triggered__1", "asset_triggered")
    run.until_baked()
    stop_content(run)
    first = run.results["build.select_commit"]
    assert run.do("build.select_commit", SelectCommitOperator) == first


def test_go_after_a_no_go_lifts_the_stop(run: Run) -> None:
    stop_content(run)
    again = select(run, "manual__2", "manual")
    again.until_baked()
    again.pass_time(again.launch()["soak_end"])
    run.world.metrics.pairs = canary_pairs(1)
    again.analyze()
    assert again.do("gate_score", GateScoreOperator)["go"]
    select(run, "asset_triggered__4", "asset_triggered")


def test_push_that_comes_to_no_end_is_left_to_a_person(run: Run) -> None:
    class Waiting(PushRedBlackOperator):
        def goal(self, context: Any) -> Any:
            return replace(super().goal(context), launch_within_seconds=1e9)

    run.world.fleets[REGION].broken_images = {run.results["build.bake_image"]["images"][REGION]}
    with pytest.raises(AirflowFailException, match=r"after 3600 s; last: wait until api-main-v001 is healthy"):
        run.do("push.push_red_black", Waiting, region=REGION)
    assert run.world.serving()[REGION] == {""}


def test_every_station_keeps_an_account_for_its_link(run: Run) -> None:
    run.launch()
    run.launch()
    run.do("canary.stop_canary", StopCanaryOperator)
    folder = next((run.world.storage / "stations" / "api").iterdir())
    text = {path.stem: path.read_text() for path in folder.iterdir()}
    assert set(text) == {"select_commit", "choose_baseline", "bake_image", "launch_canary", "stop_canary"}
    assert run.world.commit in text["select_commit"]
    assert run.results["build.bake_image"]["images"]["eu-west-1"] in text["bake_image"]
    assert text["launch_canary"].count("canary   api-main-canary") == 2, "a retry adds to what the try before told"


def test_hostile_commit_message_stays_one_line_of_the_log(run: Run) -> None:
    run.world.origin.commit("prod", {"app.py": "VALUE = 3\n"}, "fix\x1b[2J<script>\rFAKE go: score 100" + "x" * 5000)
    stored = run.do("build.select_commit", SelectCommitOperator)
    assert stored["subject"].isprintable()
    assert len(stored["subject"]) == 200
