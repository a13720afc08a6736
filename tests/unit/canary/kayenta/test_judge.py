"""Profile `kayenta`, rule by rule: short-circuits, decision, effect sizes, score; and where it differs on purpose."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from include.canary.config import JudgeConfig, Rule
from include.canary.kayenta.classify import Options, Word, classify
from include.canary.kayenta.config import read_canary_config
from include.canary.kayenta.judge import judge_kayenta
from include.canary.kayenta.prepare import percentile, prepare
from include.canary.kayenta.score import Result, round_half_up, score_results
from include.canary.series import MetricPairs
from include.canary.verdict import Label, Thresholds, Verdict
from include.errors import ConfigError

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
NOTHING: list[float] = []
UP = [20.0, 22.0, 21.0, 25.0, 30.0]
BASE = [1.0, 2.2, 1.1, 2.5, 3.0]


def said(x: Sequence[float], y: Sequence[float], **options: Any) -> tuple[Word, str, bool]:
    found = classify("cpu", Options(**options), np.array(x, dtype=float), np.array(y, dtype=float))
    return found.word, found.reason, found.stops


MISSING = "Missing data for cpu"
SHORT_CIRCUITS = [
    ({"must_have_data": True}, (Word.NODATA_FAIL, MISSING, False)),
    ({"must_have_data": True, "critical": True}, (Word.NODATA, MISSING, True)),
    ({"critical": True}, (Word.NODATA, MISSING, True)),
    ({}, (Word.NODATA, MISSING, False)),
    ({"replaces_gaps": True, "critical": True, "must_have_data": True}, (Word.PASS, "", False)),
]


@pytest.mark.parametrize(("options", "wanted"), SHORT_CIRCUITS)
@pytest.mark.parametrize("sides", [(NOTHING, BASE), (BASE, NOTHING), (NOTHING, NOTHING)])
def test_a_side_without_data(
    sides: tuple[list[float], list[float]], options: dict[str, Any], wanted: tuple[Word, str, bool]
) -> None:
    assert said(*sides, **options) == wanted


def test_the_same_values_in_any_order_pass() -> None:
    assert said(BASE, BASE[::-1], critical=True) == (Word.PASS, "The Canary and Baseline data are identical", False)
    assert said([3.0] * 4, [3.0] * 7) == (Word.PASS, "", False)


def test_high_low_and_the_side_that_is_not_looked_at() -> None:
    assert said(UP, BASE) == (Word.HIGH, "cpu was classified as High", False)
    assert said(BASE, UP) == (Word.LOW, "cpu was classified as Low", False)
    assert said(UP, BASE, direction="decrease")[0] is Word.PASS
    assert said(BASE, UP, direction="increase")[0] is Word.PASS


def test_effect_size_gates_the_label_and_the_critical_flag() -> None:
    assert said(UP, BASE, allowed=(1.0, 13.0))[0] is Word.PASS
    assert said(UP, BASE, critical=True, critical_allowed=(1.0, 13.0)) == (
        Word.HIGH,
        "cpu was classified as High",
        False,
    )
    stopped = "The metric cpu was classified as High (Critical)"
    assert said(UP, BASE, critical=True, critical_allowed=(1.0, 12.0)) == (Word.HIGH, stopped, True)
    assert said(BASE, UP, allowed=(0.1, 1.0))[0] is Word.LOW
    assert said(BASE, UP, allowed=(0.05, 1.0))[0] is Word.PASS
    assert said(UP, BASE, measure="cles", allowed=(0.2, 1.0))[0] is Word.HIGH


def test_no_ratio_to_nothing_lets_all_through() -> None:
    found = classify("cpu", Options(allowed=(0.1, 50.0), critical=True), np.array(UP), np.zeros(5))
    assert (found.word, found.stops) == (Word.HIGH, True)
    assert math.isnan(found.ratio)


def test_means_below_zero_never_deviate_by_the_ratio() -> None:
    """Kayenta's own defect, kept: the ratio of negative means goes the wrong way."""
    assert said([-value for value in BASE], [-value for value in UP])[0] is Word.PASS
    assert (
        said([-value for value in BASE], [-value for value in UP], measure="cles", allowed=(0.5, 0.5))[0] is Word.HIGH
    )


def test_two_constants_are_told_apart_without_noise() -> None:
    assert said([5.001] * 5, [5.0] * 5, critical=True)[::2] == (Word.HIGH, True)
    assert said([0.0] * 5, [5.0] * 5)[0] is Word.LOW
    found = classify("cpu", Options(), np.full(5, 10.0), np.full(5, 1.0))
    assert found.shift is not None
    assert (found.shift.lower.value, found.shift.estimate.value, found.shift.upper.value) == (9.0, 9.0, 9.0)


@pytest.mark.parametrize(("x", "y"), [([2.0], [1.0]), ([2.0], [0.0, 0.0]), ([0.0, 0.0], [1.0])])
def test_one_point_against_one_cannot_be_compared(x: list[float], y: list[float]) -> None:
    assert said(x, y, critical=True) == (Word.ERROR, "Metric Classification Failed", False)


def test_outliers_leave_one_point_a_side_at_most() -> None:
    values = np.array([1.0] * 20 + [50.0, 60.0])
    assert prepare(values, gaps="remove", outlier_factor=3.0).tolist() == [1.0] * 20 + [50.0]
    assert prepare(values, gaps="remove", outlier_factor=None).tolist() == values.tolist()


def test_gaps_go_before_outliers() -> None:
    values = np.array([math.nan, 1.0, math.nan, 2.0])
    assert prepare(values, gaps="remove", outlier_factor=None).tolist() == [1.0, 2.0]
    assert prepare(values, gaps="zero", outlier_factor=None).tolist() == [0.0, 1.0, 0.0, 2.0]
    assert math.isnan(percentile(np.empty(0), 50.0))


def test_infinite_points_stay() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0, math.inf])
    assert prepare(values, gaps="remove", outlier_factor=3.0).tolist() == values.tolist()


def pairs_of(rows: dict[str, tuple[list[float], list[float]]], **more: Any) -> MetricPairs:
    baseline, canary = (np.array([row[side] for row in rows.values()], dtype=float) for side in (0, 1))
    return MetricPairs(tuple(rows), baseline, canary, START, 60, **more)


def config_of(*metrics: dict[str, Any], weights: dict[str, float] | None = None) -> JudgeConfig:
    body = {"metrics": list(metrics), "classifier": {"groupWeights": weights or {}}}
    return read_canary_config(body, source="body", profile="kayenta")


def metric(name: str, *groups: str, **canary: Any) -> dict[str, Any]:
    return {"name": name, "groups": list(groups), "analysisConfigurations": {"canary": canary}}


def judged(config: JudgeConfig, pairs: MetricPairs) -> Verdict:
    return judge_kayenta(config, Thresholds(95.0, 75.0), pairs)


GAPS = [math.nan] * 5


def test_verdict_tells_what_kayenta_found() -> None:
    config = config_of(
        metric("cpu", "System"),
        metric("errors", "Errors", "System"),
        metric("none", "Errors", mustHaveData=True),
        weights={"Errors": 40},
    )
    verdict = judged(config, pairs_of({"cpu": (BASE, BASE), "errors": (BASE, UP), "none": (GAPS, BASE)}))
    cpu, errors, none = verdict.metrics
    assert [metric.label for metric in verdict.metrics] == [Label.PASS, Label.HOT, Label.NO_DATA]
    assert [metric.fails for metric in verdict.metrics] == [False, True, True]
    assert (cpu.weight, errors.weight, none.weight) == (30.0, 50.0, 20.0)
    assert verdict.score == 30.0
    assert verdict.classification == "fail"
    assert {group.name: group.score for group in verdict.groups} == {"System": 50.0, "Errors": 0.0}
    assert (verdict.unknown_weight, verdict.profile) == (0.0, "kayenta")
    assert errors.interval == pytest.approx((17.0, 29.0))  # of five points a side the whole range, at 98 %
    assert errors.effect == pytest.approx(np.mean(UP) / np.mean(BASE) - 1.0)
    assert (errors.superiority, errors.points, errors.baseline) == (1.0, 5, pytest.approx(1.96))
    assert math.isnan(none.baseline)


def test_critical_metric_alone_fails_the_canary() -> None:
    config = config_of(
        metric("cpu", "a"), metric("errors", "a", critical=True), metric("hidden", "a", critical=True, muted=True)
    )
    verdict = judged(config, pairs_of({"hidden": (BASE, UP), "cpu": (BASE, BASE), "errors": (BASE, UP)}))
    assert (verdict.score, verdict.classification) == (0.0, "fail")
    assert verdict.reason == "Canary Failed: The metric errors was classified as High (Critical)"
    assert [metric.name for metric in verdict.failed_criticals] == ["errors"]
    assert verdict.metrics[0].weight == 0.0


def test_half_without_data_fails_the_canary() -> None:
    config = config_of(metric("cpu", "a"), metric("errors", "b"))
    verdict = judged(config, pairs_of({"cpu": (BASE, BASE), "errors": (GAPS, GAPS)}))
    assert (verdict.score, verdict.reason) == (0.0, "Canary Failed: 50% or more metrics returned NODATA")
    assert verdict.unknown_weight == 50.0


def test_group_without_data_counts_as_100_and_reads_none() -> None:
    config = config_of(metric("cpu", "a"), metric("disk", "a"), metric("errors", "b"))
    verdict = judged(config, pairs_of({"cpu": (BASE, BASE), "disk": (BASE, UP), "errors": (GAPS, GAPS)}))
    assert verdict.score == 75.0
    assert verdict.classification == "marginal"
    assert [group.score for group in verdict.groups] == [50.0, None]


def test_failed_query_is_an_error_and_no_pass_of_zeros() -> None:
    config = config_of(metric("cpu", "a", nanStrategy="replace"))
    verdict = judged(config, pairs_of({"cpu": (GAPS, GAPS)}, errors={"cpu": "timed out"}))
    assert (verdict.metrics[0].label, verdict.metrics[0].reason) == (Label.ERROR, "timed out")
    assert judged(config, pairs_of({"cpu": (GAPS, GAPS)})).metrics[0].label is Label.PASS


def test_points_beyond_a_side_are_no_gaps() -> None:
    """Replaced gaps are zeros; what was never asked for is not there."""
    config = config_of(metric("cpu", "a", nanStrategy="replace"))
    rows = {"cpu": ([1.0, math.nan, 1.0, math.nan, math.nan], [1.0, 1.0, 0.0, 1.0, math.nan])}
    verdict = judged(config, pairs_of(rows, lengths=np.array([[3, 4]])))
    assert verdict.metrics[0].baseline == pytest.approx(2 / 3)
    assert verdict.metrics[0].canary == 0.75
    assert verdict.metrics[0].points == 3


def test_series_of_one_name_are_judged_each() -> None:
    config = config_of(metric("errors", "a"))
    pairs = MetricPairs(
        ("errors", "errors"),
        np.array([BASE, BASE]),
        np.array([BASE, UP]),
        START,
        60,
        tags=({"zone": "a"}, {"zone": "b"}),
    )
    verdict = judged(config, pairs)
    assert [(dict(metric.tags), metric.label) for metric in verdict.metrics] == [
        ({"zone": "a"}, Label.PASS),
        ({"zone": "b"}, Label.HOT),
    ]
    assert verdict.score == 50.0


def test_settings_of_ours_are_weighed_among_the_groups_in_use() -> None:
    """A recorded canary judged again in this profile: 3 to 1 is 75 % to 25 %, whatever an unused group weighs."""
    rules = (Rule(match="cpu", groups=("a",)), Rule(match="*", groups=("b",)))
    config = JudgeConfig(profile="kayenta", groups={"a": 3.0, "b": 1.0, "c": 6.0}, rules=rules)
    verdict = judged(config, pairs_of({"cpu": (BASE, BASE), "errors": (BASE, UP)}))
    assert verdict.score == 75.0
    assert [metric.weight for metric in verdict.metrics] == [75.0, 25.0]


def test_metric_that_is_not_configured_is_refused() -> None:
    with pytest.raises(ConfigError, match="disk"):
        judged(config_of(metric("cpu", "a")), pairs_of({"disk": (BASE, BASE)}))


def test_large_canary_is_judged_as_small_ones_are() -> None:
    rng = np.random.default_rng(4)
    names = tuple(f"m{number}" for number in range(60))
    config = config_of(*(metric(name, "a") for name in names))
    baseline, canary = rng.normal(10.0, 1.0, (60, 180)), rng.normal(10.2, 1.0, (60, 180))
    whole = judged(config, MetricPairs(names, baseline, canary, START, 60))
    for row in range(0, 60, 7):
        one = judged(
            config, MetricPairs(names[row : row + 1], baseline[row : row + 1], canary[row : row + 1], START, 60)
        )
        assert one.metrics[0].interval == whole.metrics[row].interval
        assert one.metrics[0].label is whole.metrics[row].label


def test_score_is_rounded_as_its_decimals_read() -> None:
    assert [round_half_up(value) for value in (2.675, 33.333333, 1.005, 99.995)] == [2.68, 33.33, 1.01, 100.0]


def result(word: Word, *groups: str, **more: Any) -> Result:
    return Result(word, groups, **more)


def test_traps_of_the_score() -> None:
    assert score_results([result(Word.ERROR, "a")], {}).score == 100.0
    assert score_results([result(Word.PASS, "a")], {"a": 60.0, "lost": 40.0}).score == 60.0
    assert score_results([result(Word.PASS, "a")], {"a": 150.0}).score == 150.0
    assert score_results([result(Word.PASS, "a", muted=True)], {}).score == 0.0
    assert score_results([result(Word.PASS)], {}).score == 0.0
    assert score_results([result(Word.PASS, "a"), result(Word.HIGH, "b")], {"a": 120.0}).score == 120.0
