"""Series that users of another judge posted, with the verdict they wished for.

Figures: spinnaker/spinnaker#6278, spinnaker/kayenta#780, spinnaker/kayenta#799 (public issues).
"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from include.canary import JudgeConfig, Label, MetricPairs, MetricVerdict, Thresholds, judge_config
from include.canary.judge import judge

CENTRE = (10.0, 10.1, 10.2, 10.3, 10.4, 10.5, 10.6, 17.0, 17.1, 17.2, 17.3, 17.4, 17.5, 17.6, 17.7)
EXTREMES = (1.0, 100.0, 4.0, 101.0, 5.0, 102.0, 6.0, 103.0, 7.0, 104.0, 8.0, 105.0, 9.0, 106.0, 17.0)
GAP = float("nan")


def config(**rule: object) -> JudgeConfig:
    whole = {"match": "*", "group": "all", "direction": "either", "allowed": 0.05, **rule}
    return judge_config({"groups": {"all": 1}, "rules": [whole]}, source="test")


def verdict_on(baseline: object, canary: object, **rule: object) -> MetricVerdict:
    sides = [np.atleast_2d(np.asarray(side, dtype=float)) for side in (baseline, canary)]
    pairs = MetricPairs(("m",), sides[0], sides[1], datetime(2026, 1, 1, tzinfo=UTC), 60)
    return judge(config(**rule), Thresholds(), pairs).metrics[0]


def test_seven_of_ten_points_a_hundred_times_higher_are_hot() -> None:
    canary = [100.0] * 7 + [1.0] * 3
    metric = verdict_on(np.ones(10), canary)
    assert (metric.label, metric.fails) == (Label.HOT, True)
    assert verdict_on(np.ones(10), canary, direction="increase").label is Label.HOT


@pytest.mark.parametrize("points", [8, 9, 10])
def test_nine_and_ten_of_ten_are_hot_too(points: int) -> None:
    assert verdict_on(np.ones(10), [100.0] * points + [1.0] * (10 - points)).label is Label.HOT


def test_another_spread_about_the_same_middle_fails_either_way() -> None:
    assert verdict_on(EXTREMES, CENTRE).fails
    wider = verdict_on(CENTRE, EXTREMES, direction="increase")
    assert (wider.label, wider.test) == (Label.HOT, "spread")
    assert "wider" in wider.reason


def test_errors_that_only_the_canary_has_fail_it() -> None:
    assert verdict_on(np.zeros(5), [1.0, 4.0, 2.0, 3.0, 1.0]).label is Label.HOT


@pytest.mark.parametrize("gaps", ["remove", "zero"])
def test_rare_errors_beside_a_baseline_that_never_published_any_fail(gaps: str) -> None:
    canary = np.full(25, GAP)
    canary[::5] = [1.0, 2.0, 1.0, 2.0, 1.0]
    metric = verdict_on(np.full(25, GAP), canary, gaps=gaps)
    assert (metric.label, metric.kind) == (Label.HOT, "count")
    assert "0 → 7 in all" in metric.reason


def test_a_level_that_the_baseline_never_published_is_no_data() -> None:
    rng = np.random.default_rng(1)
    assert verdict_on(np.full(25, GAP), rng.gamma(9, 1, 25)).label is Label.NO_DATA


def test_missing_data_of_a_metric_that_must_have_it_fails_and_if_critical_stops() -> None:
    empty, full = np.full(25, GAP), np.arange(25.0)
    assert not verdict_on(full, empty).fails
    missed = verdict_on(full, empty, must_have_data=True)
    assert (missed.label, missed.fails, missed.stops) == (Label.NO_DATA, True, False)
    assert verdict_on(full, empty, must_have_data=True, critical=True).stops
    assert not verdict_on(full, empty, critical=True).stops


def test_a_drop_of_a_negative_metric_is_cold() -> None:
    rng = np.random.default_rng(2)
    metric = verdict_on(-10.0 + rng.normal(0, 1, 60), -14.0 + rng.normal(0, 1, 60))
    assert metric.label is Label.COLD
    assert metric.effect == pytest.approx(-0.4, abs=0.1)
