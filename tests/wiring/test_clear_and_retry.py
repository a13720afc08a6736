"""What clear and retry do at each station: it looks at the world and goes on."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.apps.delivery import Delivery
from redstart.operators.bake import BakeImageOperator
from redstart.operators.build import BuildArtifactOperator
from redstart.operators.canary import StopCanaryOperator
from redstart.operators.gate import GateScoreOperator
from redstart.operators.redblack import PushRedBlackOperator
from redstart.operators.source import SelectCommitOperator
from redstart.sensors.canary_analysis import CanaryAnalysisSensor
from redstart.sensors.soak_metrics import resolution
from tests.support.delivery_world import DeliveryWorld, canary_pairs, make_world
from tests.support.fake_fleet import Killed
from tests.support.station_run import Run, Store

REGION = "us-east-1"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeliveryWorld:
    return make_world(tmp_path, monkeypatch)


@pytest.fixture
def run(world: DeliveryWorld) -> Run:
    started = Run(world)
    started.given_images()
    return started


@pytest.fixture
def built(world: DeliveryWorld) -> Run:
    """A run that took every step to its images, rather than being given them."""
    started = Run(world)
    started.until_baked()
    return started


@pytest.fixture
def judged(run: Run) -> Run:
    """A run whose canary has come and gone."""
    run.launch()
    run.do("canary.stop_canary", StopCanaryOperator)
    run.order()
    run.world.sleep(10)
    return run


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


def test_commit_is_built_once(built: Run) -> None:
    first = built.results["build.build_artifact"]
    again = built.do("build.build_artifact", BuildArtifactOperator)
    assert built.world.artifacts.builds == 1
    assert (again["sha256"], again["is_reused"]) == (first["sha256"], True)


def test_image_is_found_and_only_missing_copies_are_made(built: Run) -> None:
    images = built.results["build.bake_image"]["images"]
    built.world.workshops["eu-west-1"].images.clear()
    assert built.do("build.bake_image", BakeImageOperator)["images"] == images
    assert built.world.workshops[REGION].launched == 1


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


def test_soak_retried_waits_for_the_same_end(run: Run) -> None:
    soak = run.launch()
    first = run.deferral()
    run.world.sleep(100)
    second = run.deferral()
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
    run.pass_time(run.launch()["soak_end"])
    sensor = CanaryAnalysisSensor(task_id="analyze_canary", app="api")
    event = {"event": {"schema": 1, "end_epoch": 0}}
    resumed = sensor.resume_execution("analyze", event, run.context("canary.analyze_canary"))
    assert resumed == run.analyze()


def test_gate_judges_the_kept_data_again(run: Run) -> None:
    run.pass_time(run.launch()["soak_end"])
    run.world.metrics.pairs = canary_pairs("errors")
    run.analyze()
    run.do("canary.stop_canary", StopCanaryOperator)
    run.world.metrics.pairs = canary_pairs()
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
    run.do("build.select_commit", SelectCommitOperator, flow="prod")
    run.results["build.bake_image"] = {"schema": 1, "name": "new", "images": {REGION: "ami-new"}}
    with pytest.raises(AirflowFailException, match="No evidence, no go"):
        run.do("gate_score", GateScoreOperator)
    second = run.launch()
    assert second["image"] == "ami-new"
    assert names(run.world, "canary") == [second["canary"]]
    run.deferral()


def test_push_killed_anywhere_goes_on(judged: Run) -> None:
    judged.claim(REGION)
    for call in ("create_auto_scaling_group", "modify_listener", "suspend_processes"):
        kill_at(judged.world, call)
        with pytest.raises(Killed):
            judged.switch(REGION)
    done = judged.switch(REGION)
    assert judged.world.serving()[REGION] == {judged.world.commit}
    assert judged.switch(REGION)["group"] == done["group"]
    assert len(names(judged.world, "main")) == 2


def test_task_that_was_given_up_stops_before_it_acts(judged: Run) -> None:
    class GivenUp(Store):
        def set(self, key: str, value: Any) -> None:
            raise BrokenPipeError

    judged.claim(REGION)
    judged.stores["push.push_red_black"] = GivenUp()
    with pytest.raises(BrokenPipeError):
        judged.switch(REGION)
    assert names(judged.world, "main") == ["api-main-v000"]


def test_commit_that_is_not_on_prod_is_refused(run: Run) -> None:
    run.form = {"commit": run.world.origin.commit("test", {"app.py": "VALUE = 9\n"})}
    with pytest.raises(AirflowFailException, match="not on branch prod"):
        run.do("build.select_commit", SelectCommitOperator, flow="prod")


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
    run.world.metrics.pairs = canary_pairs("errors")
    run.analyze()
    run.do("canary.stop_canary", StopCanaryOperator)
    with pytest.raises(AirflowFailException, match="no-go"):
        run.do("gate_score", GateScoreOperator)


def select(run: Run, run_id: str, run_type: str) -> Any:
    later = Run(run.world, run_id, run_type)
    later.do("build.select_commit", SelectCommitOperator, flow="prod")
    return later


def test_stopped_content_is_tried_again_only_by_a_person(built: Run) -> None:
    stop_content(built)
    for run_type in ("asset_triggered", "scheduled"):
        with pytest.raises(AirflowSkipException, match=r"a canary stopped(.|\n)*report\.html"):
            select(built, f"{run_type}__1", run_type)
    assert select(built, "manual__2", "manual").results["build.select_commit"]["commit"] == built.world.commit
    stopped = (built.world.origin.work / "app.py").read_text()
    built.world.origin.commit("prod", {"app.py": "VALUE = 5\n"})
    select(built, "asset_triggered__3", "asset_triggered")
    built.world.origin.commit("prod", {"app.py": stopped}, "the stopped content under another commit")
    with pytest.raises(AirflowSkipException, match="a canary stopped"):
        select(built, "asset_triggered__4", "asset_triggered")


def test_cleared_run_tries_the_content_again_that_it_stopped(world: DeliveryWorld) -> None:
    run = Run(world, "asset_triggered__1", "asset_triggered")
    run.until_baked()
    stop_content(run)
    first = run.results["build.select_commit"]
    assert run.do("build.select_commit", SelectCommitOperator, flow="prod") == first


def test_go_after_a_no_go_lifts_the_stop(run: Run) -> None:
    content = (run.world.origin.work / "app.py").read_text()
    stop_content(run)
    again = select(run, "manual__2", "manual")
    again.until_baked()
    again.pass_time(again.launch()["soak_end"])
    run.world.metrics.pairs = canary_pairs()
    again.analyze()
    assert again.do("gate_score", GateScoreOperator)["go"]
    with pytest.raises(AirflowSkipException, match="already the subject of run manual__2"):
        select(run, "asset_triggered__4", "asset_triggered")
    run.world.origin.commit("prod", {"app.py": "VALUE = 5\n"})
    run.world.origin.commit("prod", {"app.py": content}, "the same content under another commit")
    select(run, "asset_triggered__5", "asset_triggered")


def test_push_that_comes_to_no_end_is_left_to_a_person(judged: Run) -> None:
    class Waiting(PushRedBlackOperator):
        def goal(self, context: Any, held: Any) -> Any:
            return replace(super().goal(context, held), launch_within_seconds=1e9)

    judged.claim(REGION)
    judged.world.fleets[REGION].broken_images = {judged.results["build.bake_image"]["images"][REGION]}
    with pytest.raises(AirflowFailException, match=r"after 3600 s; last: wait until api-main-v001 is healthy"):
        judged.do("push.push_red_black", Waiting, region=REGION)
    assert judged.world.serving()[REGION] == {""}


def test_every_station_keeps_an_account_for_its_link(built: Run) -> None:
    built.launch()
    built.launch()
    built.do("canary.stop_canary", StopCanaryOperator)
    folder = next((built.world.storage / "stations" / "api").iterdir())
    text = {path.stem: path.read_text() for path in folder.iterdir()}
    assert set(text) == {"select_commit", "choose_baseline", "bake_image", "launch_canary", "stop_canary"}
    assert built.world.commit in text["select_commit"]
    assert built.results["build.bake_image"]["images"]["eu-west-1"] in text["bake_image"]
    assert text["launch_canary"].count("canary   api-main-canary") == 2, "a retry adds to what the try before told"


def test_hostile_commit_message_stays_one_line_of_the_log(run: Run) -> None:
    run.world.origin.commit("prod", {"app.py": "VALUE = 3\n"}, "fix\x1b[2J<script>\rFAKE go: score 100" + "x" * 5000)
    stored = run.do("build.select_commit", SelectCommitOperator, flow="prod")
    assert stored["subject"].isprintable()
    assert len(stored["subject"]) == 200
