"""Whole runs of the DAG in one process: real tasks, git and judge; fleets, workshops and metrics in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from include.apps import load_app
from include.apps.delivery import run_key
from include.ledger import Kind
from redstart.cli.airflow_api import AirflowApi
from redstart.cli.approving import approve_refusal, clear_gate
from redstart.operators.cluster import place_of
from tests.support.dag_run import DagRuns
from tests.support.delivery_world import DeliveryWorld, make_world


@pytest.fixture
def run(airflow_db: Path, monkeypatch: pytest.MonkeyPatch) -> DagRuns:
    return DagRuns(monkeypatch)


def test_good_commit_reaches_every_region(run: DagRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world(tmp_path, monkeypatch)
    states = run()
    for only_after_a_failure in ("push.roll_back", "halt.take_back"):
        assert [states.pop(f"{only_after_a_failure}[{index}]") for index in range(3)] == ["skipped"] * 3
    assert set(states.values()) == {"success"}, states
    assert all(serving == {world.commit} for serving in world.serving().values())
    world.sleep(10)
    assert world.roles("us-east-1") == ["main", "main"], "the canary is gone, black is kept"
    assert world.origin.head("release") == world.commit
    assert run.result("finish")["live"]["eu-west-1"][0]["commit"] == world.commit
    pushed = [ti for ti in run.run.get_task_instances() if ti.task_id == "push.push_red_black"]
    labels = {ti.map_index: ti.rendered_map_index for ti in pushed}
    assert labels == {0: "us-east-1", 1: "us-west-2", 2: "eu-west-1"}
    assert run.result("order_regions")["waves"] == [["us-east-1"], ["us-west-2"], ["eu-west-1"]]


def test_second_run_finds_nothing_new(run: DagRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_world(tmp_path, monkeypatch)
    assert run()["run"] == "success"
    states = run()
    assert states.pop("run") == "success"
    assert set(states.values()) == {"skipped"}
    assert "already serves in us-east-1" in run.result("build.select_commit", key="word")


def test_bad_commit_ends_at_the_gate_and_production_is_untouched(
    run: DagRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = make_world(tmp_path, monkeypatch, variant="errors")
    states = run()
    assert (states["run"], states["gate_score"]) == ("failed", "failed")
    assert states["canary.analyze_canary"] == "success", "a no-go is a result until the gate"
    assert states["canary.stop_canary"] == "success"
    assert {states[f"push.{task}[0]"] for task in ("claim_cluster", "roll_back")} == {"upstream_failed"}
    assert states["halt.take_back[0]"] == "skipped", "nothing was pushed"
    assert all(serving == {""} for serving in world.serving().values())
    world.sleep(10)
    assert world.roles("us-east-1") == ["main"]
    folder = world.storage / "canaries" / "api" / run_key(run.run.run_id)
    assert {path.name for path in folder.iterdir()} == {
        "pair.npz",
        "settings.json",
        "verdict.json",
        "report.html",
        "looks.json",
        "refusal.json",
    }


def test_refused_canary_goes_on_when_an_operator_approves_it_from_the_command_line(
    run: DagRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pages: Any, login: Any
) -> None:
    world = make_world(tmp_path, monkeypatch, variant="errors")
    assert run()["gate_score"] == "failed"
    monkeypatch.setattr(AirflowApi, "_log_in", lambda api: None)
    api = AirflowApi("http://127.0.0.1", "oncall", "")
    api._client = pages
    monkeypatch.setitem(pages.headers, "Authorization", login("op")["Authorization"])
    run_id = run.run.run_id
    approved = approve_refusal(api, "api", run_id, "The errors are those of the load test.")
    assert approved.sentence.endswith("is approved by the op")
    cleared = clear_gate(api, approved.refusal)
    assert cleared == 5 + 3 * 7, "the way, the gate, the order of the regions, the push of each, the end: no canary"
    assert run.go_on() == "success"
    assert "approved below the threshold by the op (role op)" in run.result("gate_score")["reasons"][0]
    assert all(serving == {world.commit} for serving in world.serving().values())


def test_canary_that_never_comes_up_is_taken_down(
    run: DagRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(tmp_path, monkeypatch)
    world.fleets["us-east-1"].broken_images.add(world.image_of("us-east-1"))
    states = run()
    assert (states["run"], states["canary.launch_canary"]) == ("failed", "failed")
    assert states["canary.stop_canary"] == "success"
    world.sleep(10)
    assert world.roles("us-east-1") == ["main"]
    assert world.serving()["us-east-1"] == {""}


def test_conflict_with_release_is_reported_and_does_not_stop(
    run: DagRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(tmp_path, monkeypatch)
    world.origin.commit("release", {"app.py": "VALUE = 2\n"})
    world.origin.commit("prod", {"app.py": "VALUE = 3\n"})
    states = run()
    assert states["build.merge_back"] == "failed"
    assert states["run"] == "success"
    assert all(serving == {world.commit} for serving in world.serving().values())


def test_failing_unit_tests_end_the_run_before_any_machine(
    run: DagRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(tmp_path, monkeypatch)
    world.origin.commit("prod", {"app.py": "VALUE = -1\n"})
    states = run()
    assert (states["run"], states["build.run_unit_tests"]) == ("failed", "failed")
    assert states["canary.stop_canary"] in {"upstream_failed", "skipped"}
    assert all(workshop.launched == 0 for workshop in world.workshops.values())
    log = world.storage / "builds" / "api" / run_key(run.run.run_id) / "unit-tests.log"
    assert "1 failed" in log.read_text()


def test_chosen_regions_alone_are_touched(run: DagRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world(tmp_path, monkeypatch)
    states = run(regions=["eu-west-1"], commit=world.commit[:8])
    assert states["run"] == "success"
    assert world.serving() == {"us-east-1": {""}, "us-west-2": {""}, "eu-west-1": {world.commit}}


def test_region_that_fails_keeps_the_later_ones_as_they_were(
    run: DagRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world: DeliveryWorld = make_world(tmp_path, monkeypatch)
    world.fleets["us-west-2"].broken_images.add(world.image_of("us-west-2"))
    states = run()
    assert states["run"] == "failed"
    assert world.serving() == {"us-east-1": {world.commit}, "us-west-2": {""}, "eu-west-1": {""}}
    assert (states["push.push_red_black[1]"], states["push.roll_back[1]"]) == ("failed", "success")
    assert states["push.await_quiet_window[2]"] == "failed", "the region after it is not begun"
    assert {states[f"halt.take_back[{index}]"] for index in range(3)} == {"skipped"}, "finished regions stay"
    (halted,) = world.ledger.events(app="api", kinds={Kind.DELIVERY_HALTED})
    assert halted.event.data["failed"] == ["us-west-2"]
    assert states["finish"] == "upstream_failed"
    places = [place_of(load_app("api"), region) for region in world.fleets]
    assert [world.ledger.lease(place) for place in places] == [None] * 3


def test_region_that_fails_takes_the_finished_one_back_where_the_form_says_so(
    run: DagRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world: DeliveryWorld = make_world(tmp_path, monkeypatch)
    world.fleets["eu-west-1"].broken_images.add(world.image_of("eu-west-1"))
    states = run(on_failure="roll_back")
    assert states["run"] == "failed", "though every region is as it was"
    assert world.serving() == {"us-east-1": {""}, "us-west-2": {""}, "eu-west-1": {""}}
    assert [states[f"halt.take_back[{index}]"] for index in range(3)] == ["success", "success", "skipped"]
    assert states["release_production"] == "success"
    back = [one.event.place.region for one in world.ledger.events(app="api", kinds={Kind.ROLLBACK_SAFE})]
    assert back[-2:] == ["us-west-2", "us-east-1"], "the last to finish goes back first"
    places = [place_of(load_app("api"), region) for region in world.fleets]
    assert [world.ledger.lease(place) for place in places] == [None] * 3
    world.fleets["eu-west-1"].broken_images.clear()
    run.clear("claim_production", "push.", "halt.", "finish", "release_production")
    assert run.go_on() == "success", "cleared, every region is pushed anew"
    assert world.serving() == {region: {world.commit} for region in world.fleets}
