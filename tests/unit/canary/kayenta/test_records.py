"""The numbers of Kayenta's own tests (tests/golden/kayenta, each with its source), in profile `kayenta`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from include.canary.kayenta.classify import Classified, Options, Word, classify, mean_ratio, superiority
from include.canary.kayenta.exchange import judge_result, read_request
from include.canary.kayenta.interval import StepFunction, find_shift, normal_quantile
from include.canary.kayenta.judge import judge_kayenta
from include.canary.kayenta.lookup import lookup, number_at
from include.canary.kayenta.prepare import (
    iqr_outliers,
    ksigma_outliers,
    percentile,
    remove_gaps,
    replace_gaps,
    summarize,
)
from include.canary.kayenta.score import Result, score_results
from include.canary.kayenta.windows import decide_finally
from tests.unit.canary.kayenta.records import Record, cases, numbers

# Kayenta comes to interval ends and estimates with a tolerance of 1e-4; ours are where they truly are.
SOLVER_TOLERANCE = 1.001e-4
COUNTS = {
    "classifier": 34,
    "e2e_properties": 9,
    "effect_sizes": 9,
    "mannwhitney": 8,
    "map_lookup": 22,
    "outliers": 8,
    "scorer": 13,
    "statistics": 11,
    "transforms": 3,
}


def require_close(record: Record, found: Mapping[str, Any]) -> None:
    for key, value in record["expected"].items():
        if key in {"is_nan", "deviation_is_nan"}:
            continue
        tolerance = record.get("tolerance_abs", {}).get(key, 0.0)
        if key in {"ci_lower", "ci_upper", "estimate"}:
            tolerance = SOLVER_TOLERANCE
        wanted = math.nan if value is None else value
        assert found[key] == pytest.approx(wanted, abs=tolerance, rel=0, nan_ok=True), key


def options_of(inputs: Mapping[str, Any]) -> Options:
    classifier = inputs["classifier"]
    return Options(
        direction=inputs["direction"],
        replaces_gaps=inputs["nan_strategy"] == "replace",
        critical=inputs["critical"],
        must_have_data=inputs["must_have_data"],
        measure={"meanRatio": "ratio", "cles": "cles"}[classifier["effect_size_measure"]],
        allowed=tuple(classifier["effect_size_thresholds"]),
        critical_allowed=tuple(classifier["critical_thresholds"]),
        tolerance=classifier["tolerance"],
        confidence=classifier["conf_level"],
    )


def classified(inputs: Mapping[str, Any]) -> Classified:
    return classify(inputs["metric"], options_of(inputs), numbers(inputs["experiment"]), numbers(inputs["control"]))


def classify_mann_whitney(record: Record) -> None:
    found = classified(record["inputs"])
    said = {"classification": found.word, "critical": found.stops, "deviation": found.ratio}
    for key, value in record["expected"].items():
        if key == "reason_non_empty":
            assert found.reason
        elif key == "deviation_is_nan":
            assert math.isnan(found.ratio)
        elif value is not None:
            assert said[key] == value


def mean_ratio_record(record: Record) -> None:
    inputs = record["inputs"]
    require_close(record, {"value": mean_ratio(numbers(inputs["experiment"]), numbers(inputs["control"]))})


def cles(record: Record) -> None:
    inputs = record["inputs"]
    require_close(record, {"value": superiority(numbers(inputs["experiment"]), numbers(inputs["control"]))})


def mann_whitney_ci(record: Record) -> None:
    inputs = record["inputs"]
    x, y = numbers(inputs["experiment"]), numbers(inputs["control"])
    shift = find_shift(x, y, inputs["confidence_level"])
    found = {"ci_lower": shift.lower.value, "ci_upper": shift.upper.value, "estimate": shift.estimate.value}
    require_close(record, found)


def mann_whitney_intermediate(record: Record) -> None:
    inputs = record["inputs"]
    x, y, confidence = numbers(inputs["x"]), numbers(inputs["y"]), inputs["confidence_level"]
    w, shift = StepFunction(x, y), find_shift(x, y, confidence)
    z = normal_quantile(0.5 + confidence / 2)
    found = {
        "mu_min": w.low,
        "mu_max": w.high,
        "zq_lower": z,
        "zq_upper": -z,
        "f_lower_at_zq_lower": w(w.low) - z,
        "f_upper_at_zq_lower": w(w.high) - z,
        "f_lower_at_zq_upper": w(w.low) + z,
        "f_upper_at_zq_upper": w(w.high) + z,
        "ci_lower": shift.lower.value,
        "ci_upper": shift.upper.value,
        "estimate": shift.estimate.value,
    }
    require_close(record, found)


def wilcoxon_diff(record: Record) -> None:
    inputs = record["inputs"]
    # Shifted beforehand: the record has the ties that values rounded by the shift make among themselves.
    w = StepFunction(numbers(inputs["x"]) - inputs["mu"], numbers(inputs["y"]))
    require_close(record, {"value": w(0.0) - inputs["quantile"]})


def normal_quantile_record(record: Record) -> None:
    require_close(record, {"value": normal_quantile(record["inputs"]["p"])})


def map_get(record: Record) -> None:
    nothing = object()
    found = lookup(record["inputs"]["data"], record["inputs"]["path"], nothing)
    assert (found is not nothing) == record["expected"]["found"]
    if found is not nothing:
        assert found == record["expected"]["value"]


def get_as_double(record: Record) -> None:
    found = number_at(record["inputs"]["data"], record["inputs"]["path"], record["inputs"]["default"])
    assert isinstance(found, float)
    assert found == record["expected"]["value"]


def outliers(inputs: Mapping[str, Any]) -> np.ndarray:
    values = numbers(inputs["data"])
    if inputs["detector"] == "ksigma":
        return ksigma_outliers(values, inputs["k"])
    return iqr_outliers(values, inputs["factor"], reduce_sensitivity=inputs["reduce_sensitivity"])


def detect_outliers(record: Record) -> None:
    assert outliers(record["inputs"]).tolist() == record["expected"]["mask"]


def remove_outliers(record: Record) -> None:
    values = numbers(record["inputs"]["data"])
    assert values[~outliers(record["inputs"])].tolist() == record["expected"]["data"]


def weighted_sum_score(record: Record) -> None:
    inputs, expected = record["inputs"], record["expected"]
    results = [
        Result(
            Word(one["classification"]), tuple(one["groups"]), one["name"], stops=one["critical"], muted=one["muted"]
        )
        for one in inputs["results"]
    ]
    score = score_results(results, inputs["group_weights"])
    assert score.score == expected["summary_score"]
    if "group_count" in expected:
        assert len(score.groups) == expected["group_count"]
        assert sorted(group.score or 0.0 for group in score.groups) == expected["group_scores_sorted"]


def summary_statistics(record: Record) -> None:
    require_close(record, vars(summarize(numbers(record["inputs"]["data"]))))


def percentile_r7(record: Record) -> None:
    require_close(record, {"value": percentile(np.sort(numbers(record["inputs"]["data"])), record["inputs"]["p"])})


def remove_nans(record: Record) -> None:
    assert remove_gaps(numbers(record["inputs"]["data"])).tolist() == record["expected"]["data"]


def replace_nans(record: Record) -> None:
    inputs = record["inputs"]
    assert replace_gaps(numbers(inputs["data"]), inputs["value"]).tolist() == record["expected"]["data"]


def drawn(how: Mapping[str, Any], rng: np.random.Generator) -> list[float]:
    low, points = how.get("low", 0), how.get("points", 0)
    above = max(how.get("high_exclusive", 1), low + 1)
    if how["distribution"] == "mean_of_3_uniform_int":
        return rng.integers(low, above, (points, 3)).mean(axis=1).tolist()
    return rng.integers(low, above, points).tolist()


def judge_property(record: Record) -> None:
    inputs, expected = record["inputs"], record["expected"]
    for seed in range(5):
        rng = np.random.default_rng(seed)
        pairs = [
            {"name": name, "tags": {}, "values": {side: drawn(how[side], rng) for side in ("control", "experiment")}}
            for name, how in inputs["metrics"].items()
        ]
        body = {
            "canaryConfig": inputs["config"],
            "scoreThresholds": inputs["thresholds"],
            "metricSetPairList": pairs,
        }
        config, thresholds, series = read_request(body, source=record["id"], profile="kayenta")
        result = judge_result(config, series, judge_kayenta(config, thresholds, series))
        require_outcome(expected, inputs["thresholds"], result)


def require_outcome(expected: Mapping[str, Any], thresholds: Mapping[str, float], result: Mapping[str, Any]) -> None:
    score = result["score"]
    final = decide_finally(score["score"], marginal=thresholds["marginal"], passing=thresholds["pass"])
    found = {one["name"]: one["classification"] for one in result["results"]}
    assert score["classification"] == expected.get("score_classification", score["classification"])
    assert final.passed == expected.get("did_pass_thresholds", final.passed)
    assert final.message == expected.get("message", final.message)
    assert found == {**found, **expected.get("classifications", {})}
    assert expected.get("reason_contains", "") in (score["classificationReason"] or "")


CHECKS: dict[str, Callable[[Record], None]] = {
    "classify_mann_whitney": classify_mann_whitney,
    "cles": cles,
    "detect_outliers": detect_outliers,
    "get_as_double": get_as_double,
    "judge_property": judge_property,
    "mann_whitney_ci": mann_whitney_ci,
    "mann_whitney_intermediate": mann_whitney_intermediate,
    "map_get": map_get,
    "mean_ratio": mean_ratio_record,
    "normal_quantile": normal_quantile_record,
    "percentile_r7": percentile_r7,
    "remove_nans": remove_nans,
    "remove_outliers": remove_outliers,
    "replace_nans": replace_nans,
    "summary_statistics": summary_statistics,
    "weighted_sum_score": weighted_sum_score,
    "wilcoxon_diff": wilcoxon_diff,
}


def records() -> list[Record]:
    return [record for name in COUNTS for record in cases(name)]


@pytest.mark.parametrize("record", records(), ids=lambda record: record["id"])
def test_record_of_kayenta(record: Record) -> None:
    CHECKS[record["function"]](record)


@pytest.mark.parametrize("name", COUNTS)
def test_no_record_was_lost(name: str) -> None:
    assert len(cases(name)) == COUNTS[name]


def observed() -> list[Record]:
    """What the genuine classes were seen to say of the classifier's records that have a canary."""
    return [
        record
        for record in records()
        if "observed_jvm" in record and record["function"] == "classify_mann_whitney" and record["inputs"]["experiment"]
    ]


@pytest.mark.parametrize("record", observed(), ids=lambda record: record["id"])
def test_what_the_genuine_judge_was_seen_to_say(record: Record) -> None:
    inputs, seen = record["inputs"], record["observed_jvm"]
    if not inputs["control"]:
        return
    found = classified(inputs)
    assert (found.word, found.stops, found.reason or None) == (seen["classification"], seen["critical"], seen["reason"])
    if found.shift is None:
        return
    bounds = (found.shift.lower.value, found.shift.upper.value, found.shift.estimate.value)
    is_noisy = len(set(inputs["experiment"])) == len(set(inputs["control"])) == 1
    tolerance = 1e-3 if is_noisy else SOLVER_TOLERANCE
    assert bounds == pytest.approx((seen["ci_lower"], seen["ci_upper"], seen["estimate"]), abs=tolerance, rel=0)
