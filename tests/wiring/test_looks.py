"""Judgements in the middle of a soak: taken at their moments, kept, and able to end it; and a store that stays away."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.canary import MetricPairs, judge_config, verdict_json
from include.canary.recording import settings_from_json
from include.errors import RetryableError
from redstart.operators.canary import LaunchCanaryOperator
from tests.support.delivery_world import DeliveryWorld, few_pairs, make_world
from tests.support.station_run import Run

AWAY = RetryableError("CloudWatch throttles: Rate exceeded.")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeliveryWorld:
    """A soak of 240 s with looks after 60, 120 and 180 s."""
    found = make_world(tmp_path, monkeypatch)
    found.metrics.pairs = few_pairs()
    monkeypatch.setenv("AIRFLOW_VAR_REDSTART_LOOK_SECONDS", "60")
    return found


@pytest.fixture
def run(world: DeliveryWorld) -> Run:
    started = Run(world)
    started.given_images()
    started.launch()
    return started


def file(run: Run, name: str) -> Path:
    return next((run.world.storage / "canaries" / "api").iterdir()) / name


def looks(run: Run) -> list[dict[str, Any]]:
    return list(json.loads(file(run, "looks.json").read_text())["looks"])


def after(run: Run, moments: list[str]) -> list[int]:
    """Seconds after the soak's start."""
    start = datetime.fromisoformat(run.results["canary.launch_canary"]["soak_start"])
    return [int((datetime.fromisoformat(moment) - start).total_seconds()) for moment in moments]


def to_first_look(run: Run) -> None:
    run.pass_time(run.results["canary.launch_canary"]["soak_start"], seconds=71)


def test_soak_is_judged_at_its_moments_over_a_growing_window(run: Run) -> None:
    found = run.soak()
    assert found["go"]
    assert found["looks"] == 4
    assert after(run, [look["at"] for look in looks(run)]) == [60, 120, 180, 240]
    assert {look["outcome"] for look in looks(run)} <= {"go", "cannot tell yet", "no-go"}
    windows = [(after(run, [start.isoformat(), end.isoformat()])) for _, start, end, _ in run.world.metrics.fetches]
    assert windows == [[0, 60], [0, 120], [0, 180], [0, 240]]
    assert "pair.npz" in found["pairs"]
    run.stop()
    assert run.gate()["go"]


def test_window_may_slide_and_the_end_is_of_the_whole_soak(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from include.apps import load_app

    canary = load_app("api").prod.canary
    monkeypatch.setitem(canary.__dict__, "lookback_seconds", 90)
    run.soak()
    windows = [(after(run, [start.isoformat(), end.isoformat()])) for _, start, end, _ in run.world.metrics.fetches]
    assert windows == [[0, 60], [30, 120], [90, 180], [0, 240]]


def test_restart_waits_for_the_same_moment_and_takes_no_look_twice(run: Run) -> None:
    first = run.deferral()
    run.world.sleep(20)
    assert run.deferral().trigger.serialize() == first.trigger.serialize()
    to_first_look(run)
    second = run.deferral()
    assert second.trigger.end_epoch == first.trigger.end_epoch + 60
    assert run.deferral().trigger.serialize() == second.trigger.serialize()
    assert len(run.world.metrics.fetches) == 1


def test_report_is_there_after_the_first_look(run: Run) -> None:
    to_first_look(run)
    run.deferral()
    assert file(run, "report.html").stat().st_size > 10_000
    assert not file(run, "pair.npz").exists(), "a part of a soak is no evidence for the gate"


def test_bad_canary_ends_early_and_the_gate_says_after_how_much(run: Run) -> None:
    run.world.metrics.pairs = few_pairs("broken")
    found = run.soak()
    soaked = after(run, [found["judged_until"]])[0]
    assert soaked < 240
    assert found["outcome"] == "no-go"
    assert looks(run)[-1]["reason"].startswith("ended the soak: ")
    run.stop()
    fetches = len(run.world.metrics.fetches)
    with pytest.raises(AirflowFailException, match=rf"stopped early after 0:0{soaked // 60}:00 h of 0:04:00 h(.|\n)*"):
        run.gate()
    assert run.analyze() == found, "a retry says the same"
    assert len(run.world.metrics.fetches) == fetches


def test_bad_look_without_the_minimum_points_goes_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_REDSTART_LOOK_SECONDS", "30")
    run.world.metrics.pairs = few_pairs("broken")
    found = run.soak()
    assert after(run, [looks(run)[0]["at"]]) == [30]
    assert after(run, [found["judged_until"]])[0] >= 60, "6 points are not 12"


def mute_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """A judge setting is corrected: what deviated did so rightly."""
    body = {"groups": {"all": 1}, "rules": [{"match": "*", "group": "all", "allowed": 1e6, "floor": 1e9}]}
    corrected = judge_config(body, source="test")
    monkeypatch.setattr("redstart.operators.judgement.judge_settings", lambda app: corrected)


def test_soak_goes_on_after_the_setting_that_ended_it_was_corrected(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run.world.metrics.pairs = few_pairs("broken")
    early = run.soak()
    run.stop()
    mute_everything(monkeypatch)
    with pytest.raises(AirflowFailException, match=r"cannot tell yet(.|\n)*stopped early"):
        run.gate()
    run.world.metrics.pairs = few_pairs()
    run.do("canary.launch_canary", LaunchCanaryOperator)
    found = run.soak()
    assert found["soak_end"] == early["soak_end"] == found["judged_until"]
    assert len([look for look in looks(run) if look["at"] == early["judged_until"]]) == 1


def test_store_that_is_away_costs_a_look_and_no_more(run: Run) -> None:
    run.world.metrics.away = AWAY
    to_first_look(run)
    deferred = run.deferral()
    assert deferred.trigger.end_epoch == datetime.fromisoformat(looks(run)[0]["at"]).timestamp() + 70
    assert (looks(run)[0]["outcome"], looks(run)[0]["score"]) == ("no answer", None)
    run.world.metrics.away = None
    assert run.soak()["go"]
    assert [look["outcome"] == "no answer" for look in looks(run)] == [True, False, False, False]


def test_store_that_is_away_at_the_end_is_asked_again(run: Run) -> None:
    run.pass_time(run.results["canary.launch_canary"]["soak_end"])
    run.world.metrics.away = AWAY
    with pytest.raises(RetryableError, match="Rate exceeded"):
        run.analyze()
    run.world.metrics.away = None
    assert run.analyze()["go"]
    assert [look["outcome"] for look in looks(run)] == ["go"], "the answer replaces the lack of one"


def test_store_that_stays_away_to_the_end_is_told_at_the_gate_and_never_a_pass(run: Run) -> None:
    run.pass_time(run.results["canary.launch_canary"]["soak_end"])
    run.world.metrics.away = AWAY
    run.try_number = 5
    found = run.analyze()
    assert (found["outcome"], found["go"], found["judged"]) == ("cannot tell yet", False, 0)
    run.stop()
    with pytest.raises(
        AirflowFailException, match=r"the metric store did not answer(.|\n)*clear canary.analyze_canary"
    ):
        run.gate()
    run.world.metrics.away = None
    run.try_number = 6
    assert run.analyze()["go"]
    assert run.gate()["go"]


def test_recorded_canary_is_judged_again_to_the_same_verdict(run: Run) -> None:
    from include.canary.judge import judge

    run.soak()
    with file(run, "pair.npz").open("rb") as stored:
        pairs = MetricPairs.from_npz(stored)
    config, thresholds = settings_from_json(json.loads(file(run, "settings.json").read_text()))
    again = json.loads(json.dumps(verdict_json(judge(config, thresholds, pairs))))
    assert again == json.loads(file(run, "verdict.json").read_text())
    assert config.evidence == "shipped"


def test_looks_of_one_pair_say_nothing_of_another(run: Run) -> None:
    to_first_look(run)
    run.deferral()
    run.results["build.bake_image"] = {"schema": 1, "name": "new", "images": {"us-east-1": "ami-new"}}
    run.launch()
    run.deferral()
    run.pass_time(run.results["canary.launch_canary"]["soak_start"], seconds=71)
    run.deferral()
    assert len(looks(run)) == 1
