"""Kayenta's remote judge from both ends: its request in, its judgeResult out, and the way back."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from include.canary.config import JudgeConfig, Profile, Rule
from include.canary.kayenta.exchange import judge_result, read_request, request_body
from include.canary.kayenta.judge import judge_kayenta
from include.canary.series import MetricPairs
from include.canary.verdict import Label, MetricVerdict, Thresholds, Verdict
from include.errors import ConfigError

SCOPE = {"startTimeIso": "2026-03-02T09:00:00Z", "startTimeMillis": 1, "stepMillis": 30_000}


def request(**change: Any) -> dict[str, Any]:
    metrics = [
        {"name": "cpu", "groups": ["System"], "analysisConfigurations": {"canary": {"direction": "increase"}}},
        {"name": "errors", "groups": ["Errors"], "analysisConfigurations": {"canary": {"critical": True}}},
    ]
    pairs = [
        {
            "id": "6c2f",
            "name": "cpu",
            "tags": {"zone": "a"},
            "values": {"control": [1, 2.5, None, 2.2, 3], "experiment": [20, "NaN", 22, 21, 25, 30]},
            "scopes": {"control": SCOPE, "experiment": SCOPE},
            "attributes": {"control": {"query": "cpu"}, "experiment": {}},
        },
        {"name": "errors", "tags": {}, "values": {"control": [0.0, math.nan], "experiment": ["Infinity", "-Infinity"]}},
    ]
    return {
        "canaryConfig": {"name": "api", "metrics": metrics},
        "scoreThresholds": {"pass": 90, "marginal": 60.5},
        "metricSetPairList": pairs,
        **change,
    }


def test_request_arrives_whole() -> None:
    config, thresholds, pairs = read_request(request(), source="body", profile="kayenta")
    assert (config.profile, thresholds) == ("kayenta", Thresholds(go=90.0, marginal=60.5))
    assert pairs.names == ("cpu", "errors")
    assert [dict(tags) for tags in pairs.tags] == [{"zone": "a"}, {}]
    assert (pairs.start, pairs.step_seconds) == (datetime(2026, 3, 2, 9, tzinfo=UTC), 30)
    nan = math.nan
    np.testing.assert_array_equal(pairs.baseline, [[1, 2.5, nan, 2.2, 3, nan], [0, *[nan] * 5]])
    np.testing.assert_array_equal(pairs.canary, [[20, nan, 22, 21, 25, 30], [math.inf, -math.inf, *[nan] * 4]])
    assert pairs.lengths is not None
    assert pairs.lengths.tolist() == [[5, 6], [2, 2]]


def test_what_the_request_does_not_say() -> None:
    body = request()
    for pair in body["metricSetPairList"]:
        pair["values"] = {"control": [1, 2], "experiment": [1, 2]}
        del pair["tags"]
        pair.pop("scopes", None)
    _, _, pairs = read_request(body, source="body", profile="kayenta")
    assert (pairs.start, pairs.step_seconds) == (datetime(1970, 1, 1, tzinfo=UTC), 60)
    assert pairs.tags == ()
    assert pairs.lengths is None


def test_metric_without_a_pair_is_missed_by_profile_redstart() -> None:
    body = request()
    del body["metricSetPairList"][1]
    _, _, pairs = read_request(body, source="body", profile="redstart")
    assert pairs.names == ("cpu", "errors")
    assert pairs.lengths is not None
    assert pairs.lengths[1].tolist() == [0, 0]
    assert read_request(body, source="body", profile="kayenta")[2].names == ("cpu",)


def with_pair(**change: Any) -> dict[str, Any]:
    body = request()
    body["metricSetPairList"][1].update(change)
    return body


def values(control: Any, experiment: Any = ()) -> dict[str, Any]:
    return {"control": control, "experiment": list(experiment)}


AT = "metricSetPairList.1"
MALFORMED = [
    ([], "", []),
    (request(canaryConfig=None), "canaryConfig", None),
    (request(canaryConfig=[]), "canaryConfig", []),
    (request(canaryConfig={"metrics": [{"name": ""}]}), "canaryConfig.metrics.0.name", ""),
    (request(scoreThresholds=None), "scoreThresholds", None),
    (request(scoreThresholds={"pass": 95}), "scoreThresholds.marginal", None),
    (request(scoreThresholds={"pass": "95", "marginal": 75}), "scoreThresholds.pass", "95"),
    (request(scoreThresholds={"pass": 50, "marginal": 75}), "scoreThresholds", {"pass": 50, "marginal": 75}),
    (request(metricSetPairList={}), "metricSetPairList", {}),
    (request(metricSetPairList=["cpu"]), "metricSetPairList.0", "cpu"),
    (with_pair(name=None), f"{AT}.name", None),
    (with_pair(name="disk"), f"{AT}.name", "disk"),
    (with_pair(name="cpu", tags={"zone": "a"}), f"{AT}.name", "cpu"),
    (with_pair(tags=["zone"]), f"{AT}.tags", ["zone"]),
    (with_pair(tags={"zone": 1}), f"{AT}.tags.zone", 1),
    (with_pair(values=None), f"{AT}.values", None),
    (with_pair(values={"control": [1]}), f"{AT}.values.experiment", None),
    (with_pair(values=values([0] * 17 + ["many"])), f"{AT}.values.control.17", "many"),
    (with_pair(values=values([True])), f"{AT}.values.control.0", True),
    (with_pair(values=values([[1]])), f"{AT}.values.control.0", [1]),
    (with_pair(values=values([1, 10**400])), f"{AT}.values.control.1", 10**400),
    (with_pair(values=values([1], [{}])), f"{AT}.values.experiment.0", {}),
    (with_pair(values=values("1,2")), f"{AT}.values.control", "1,2"),
    (with_pair(scopes={"control": {"startTimeIso": "today"}}), f"{AT}.scopes.control.startTimeIso", "today"),
    (with_pair(scopes={"control": {"stepMillis": 0}}), f"{AT}.scopes.control.stepMillis", 0),
]


@pytest.mark.parametrize("profile", ["kayenta", "redstart"])
@pytest.mark.parametrize(
    ("body", "place", "value"), MALFORMED, ids=[f"{place}={value!r:.20}" for _, place, value in MALFORMED]
)
def test_bad_input_names_its_place(body: Any, place: str, value: object, profile: Profile) -> None:
    with pytest.raises(ConfigError) as refused:
        read_request(body, source="body", profile=profile)
    assert (refused.value.source, refused.value.key, refused.value.value) == ("body", place, value)


def test_times_that_a_metric_store_keeps_in_its_own_words() -> None:
    told = {"control": {"start": "2026-03-02T10:00:00+01:00", "step": "15"}}
    body = with_pair(attributes=told)
    del body["metricSetPairList"][0]["scopes"]
    _, _, pairs = read_request(body, source="body", profile="kayenta")
    assert (pairs.start, pairs.step_seconds) == (datetime(2026, 3, 2, 9, tzinfo=UTC), 15)
    body = with_pair(attributes={"control": {"start": "-1h", "step": "auto"}})
    del body["metricSetPairList"][0]["scopes"]
    assert read_request(body, source="body", profile="kayenta")[2].step_seconds == 60


def answer(body: dict[str, Any]) -> dict[str, Any]:
    config, thresholds, pairs = read_request(body, source="body", profile="kayenta")
    result = judge_result(config, pairs, judge_kayenta(config, thresholds, pairs))
    found: dict[str, Any] = json.loads(json.dumps(result, allow_nan=False))
    return found


def test_answer_is_kayentas_judge_result() -> None:
    body = with_pair(values=values([1.0, 1.0], [1.0, 1.0]))
    found = answer(body)
    assert found["judgeName"] == "NetflixACAJudge-v1.0"
    cpu, errors = found["results"]
    own, stats = cpu.pop("redstart"), cpu["experimentMetadata"]["stats"]
    assert cpu == {
        "name": "cpu",
        "id": "6c2f",
        "tags": {"zone": "a"},
        "classification": "High",
        "classificationReason": "cpu was classified as High",
        "groups": ["System"],
        "experimentMetadata": {
            "stats": {"min": 20.0, "max": 30.0, "mean": 23.6, "std": pytest.approx(4.0373, abs=1e-4), "count": 5}
        },
        "controlMetadata": {
            "stats": {"min": 1.0, "max": 3.0, "mean": 2.175, "std": pytest.approx(0.8500, abs=1e-4), "count": 4}
        },
        "resultMetadata": {"ratio": pytest.approx(stats["mean"] / 2.175)},
        "critical": False,
        "muted": False,
    }
    assert own["label"] == "HOT"
    assert own["interval"] == [pytest.approx(17.0), pytest.approx(29.0)]
    assert errors["classification"] == "Pass"
    assert errors["id"]
    assert found["groupScores"] == [
        {"name": "System", "score": 0.0, "classification": "", "classificationReason": ""},
        {"name": "Errors", "score": 100.0, "classification": "", "classificationReason": ""},
    ]
    assert found["score"] == {"score": 50.0, "classification": "Fail", "classificationReason": None}
    assert found["redstart"]["profile"] == "kayenta"


def test_what_json_has_no_number_for() -> None:
    cpu, errors = answer(with_pair(values=values([0.0, 0.0], ["Infinity", 1.0])))["results"]
    assert errors["experimentMetadata"]["stats"]["max"] == "Infinity"
    assert errors["resultMetadata"]["ratio"] == "NaN"
    assert errors["redstart"]["effect"] is None
    assert cpu["redstart"]["chance"] is None


def test_words_for_metrics_without_an_answer() -> None:
    failing = with_pair(values=values([], [1.0]))
    failing["canaryConfig"]["metrics"][1]["analysisConfigurations"] = {"canary": {"mustHaveData": True}}
    assert [one["classification"] for one in answer(failing)["results"]] == ["High", "NodataFailMetric"]
    critical = answer(with_pair(values=values([], [1.0])))
    assert critical["results"][1]["classification"] == "Nodata"
    assert critical["results"][1]["critical"] is True
    assert critical["score"]["classificationReason"] == "Canary Failed: Missing data for errors"
    single = answer(with_pair(values=values([2.0], [1.0])))
    assert single["results"][1]["classification"] == "Error"
    assert single["results"][1]["resultMetadata"] == {}


def own_verdict(metrics: tuple[MetricVerdict, ...], pairs: MetricPairs, **change: Any) -> Verdict:
    verdict = Verdict(
        score=100.0,
        classification="pass",
        metrics=metrics,
        groups=(),
        unknown_weight=0.0,
        unknown_limit=20.0,
        thresholds=Thresholds(),
        start=pairs.start,
        step_seconds=pairs.step_seconds,
        points=pairs.points,
    )
    return replace(verdict, **change)


def test_no_go_of_profile_redstart_is_no_pass_to_kayenta() -> None:
    config, _, pairs = read_request(request(), source="body", profile="redstart")
    cpu = MetricVerdict("cpu", Label.PASS, "", ("System",), weight=50.0, tags={"zone": "a"})
    errors = MetricVerdict("errors", Label.PASS, "", ("Errors",), critical=True, weight=50.0)
    passed = judge_result(config, pairs, own_verdict((errors, cpu), pairs))
    assert passed["score"] == {"score": 100.0, "classification": "Pass", "classificationReason": None}
    assert [one["name"] for one in passed["results"]] == ["errors", "cpu"]
    hot = replace(errors, label=Label.HOT, reason="3 x the errors", fails=True, stops=True)
    stopped = judge_result(config, pairs, own_verdict((hot, cpu), pairs))["score"]
    assert (stopped["score"], stopped["classification"]) == (0.0, "Fail")
    assert "3 x the errors" in stopped["classificationReason"]
    unclear = replace(errors, label=Label.INCONCLUSIVE, reason="too few points")
    lacking = judge_result(config, pairs, own_verdict((unclear, cpu), pairs, unknown_weight=50.0))
    assert lacking["score"]["score"] == 0.0
    assert lacking["redstart"]["score"] == 100.0
    assert lacking["results"][0]["classification"] == "Nodata"
    assert lacking["results"][0]["classificationReason"] == "too few points"


@pytest.mark.parametrize("profile", ["kayenta", "redstart"])
def test_request_survives_the_way_back(profile: Profile) -> None:
    body = request()
    body["canaryConfig"]["classifier"] = {"groupWeights": {"Errors": 70}}
    body["canaryConfig"]["metrics"][0]["analysisConfigurations"]["canary"] = {
        "nanStrategy": "replace",
        "outliers": {"strategy": "remove", "outlierFactor": 2.5},
        "effectSize": {"measure": "cles", "allowedIncrease": 0.7, "criticalDecrease": 0.2},
    }
    config, thresholds, pairs = read_request(body, source="body", profile=profile)
    back = json.loads(json.dumps(request_body(config, thresholds, pairs), allow_nan=False))
    config_2, thresholds_2, pairs_2 = read_request(back, source="body", profile=profile)
    assert (config_2, thresholds_2) == (config, thresholds)
    for side in ("baseline", "canary", "lengths"):
        np.testing.assert_array_equal(getattr(pairs_2, side), getattr(pairs, side))
    assert (pairs_2.names, pairs_2.tags, pairs_2.start) == (pairs.names, pairs.tags, pairs.start)
    assert pairs_2.step_seconds == pairs.step_seconds


def test_recorded_canary_of_ours_can_be_judged_by_kayenta() -> None:
    """Globs become one metric a name, weights become percent of the groups that have metrics."""
    config = JudgeConfig(
        groups={"latency": 3.0, "errors": 1.0, "unused": 6.0},
        rules=(
            Rule(match="*errors", groups=("errors",), direction="increase", critical=True, allowed=0.5),
            Rule(match="*", groups=("latency",), outlier_factor=3.0),
        ),
    )
    start = datetime(2026, 3, 2, 9, tzinfo=UTC)
    rng = np.random.default_rng(1)
    pairs = MetricPairs(("p50", "errors"), rng.random((2, 20)), rng.random((2, 20)) + 3.0, start, 5)
    read, thresholds, again = read_request(request_body(config, Thresholds(), pairs), source="body", profile="kayenta")
    assert read.groups == {"latency": 75.0, "errors": 25.0}
    assert read.warnings == ()
    assert read.rules[1].allowed == 0.5
    verdict = judge_kayenta(read, thresholds, again)
    assert [metric.label for metric in verdict.metrics] == [Label.HOT, Label.HOT]
    assert verdict.reason == "Canary Failed: The metric errors was classified as High (Critical)"
