"""What the judge says of canaries, good and bad, under the shipped settings."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from include.canary import JudgeConfig, Label, MetricPairs, Thresholds, decide, judge_config, parse_judge_config
from include.canary.judge import judge
from tests.support.canary_world import autoregressive, world

SETTINGS = Path(__file__).resolve().parents[3] / "include" / "apps" / "api.judge.toml"
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
POINTS = 48


@pytest.fixture(scope="module")
def shipped() -> JudgeConfig:
    return parse_judge_config(SETTINGS.read_text(), source=SETTINGS.name)


def config_of(**rule: object) -> JudgeConfig:
    return judge_config({"groups": {"all": 1}, "rules": [{"match": "*", "group": "all", **rule}]}, source="test")


def pairs_of(baseline: object, canary: object, name: str = "m", **more: object) -> MetricPairs:
    sides = [np.atleast_2d(np.asarray(side, dtype=np.float64)) for side in (baseline, canary)]
    return MetricPairs((name,), sides[0], sides[1], START, 5, **more)  # type: ignore[arg-type]


def judged(config: JudgeConfig, baseline: object, canary: object, **more: object):
    return judge(config, Thresholds(), pairs_of(baseline, canary, **more)).metrics[0]


@pytest.mark.parametrize("seed", range(12))
def test_identical_canary_goes(shipped: JudgeConfig, seed: int) -> None:
    verdict = judge(shipped, Thresholds(), world(seed))
    assert len(verdict.metrics) > 1000
    assert decide(verdict).go, decide(verdict).reasons
    assert verdict.unknown_weight < 5.0


@pytest.mark.parametrize(
    ("commit", "culprit"),
    [
        ("slow", "http.latency_p50_ms"),
        ("errors", "http.5xx"),
        ("leak", "runtime.memory_rss_bytes"),
        ("heat", "dependency.d07.latency_mean_ms"),
        ("calls", "dependency.d07.calls"),
    ],
)
@pytest.mark.parametrize("seed", [1, 3])
def test_bad_commit_is_stopped_by_name(shipped: JudgeConfig, commit: str, culprit: str, seed: int) -> None:
    verdict = judge(shipped, Thresholds(), world(seed, commit=commit))
    decision = decide(verdict)
    assert (decision.go, decision.outcome) == (False, "no-go")
    assert any(culprit in reason for reason in decision.reasons)
    metric = verdict.metric(culprit)
    assert metric is not None
    assert metric.label is Label.HOT


@pytest.mark.parametrize("tilt", [1.05, 0.95])
def test_slightly_different_machines_are_no_reason_to_stop(shipped: JudgeConfig, tilt: float) -> None:
    assert decide(judge(shipped, Thresholds(), world(5, tilt=tilt))).go


def test_one_minute_soak_is_judged_under_the_test_evidence(shipped: JudgeConfig) -> None:
    short = shipped.with_evidence("test")
    assert decide(judge(short, Thresholds(), world(4, points=12))).go
    assert not decide(judge(short, Thresholds(), world(4, points=12, commit="calls"))).go


def test_same_series_same_verdict(shipped: JudgeConfig) -> None:
    pairs = world(2, commit="slow")
    assert judge(shipped, Thresholds(), pairs) == judge(shipped, Thresholds(), pairs)


@pytest.mark.parametrize("scale", [1.0, 1e-4, 1e-9, 1e9])
def test_verdict_does_not_depend_on_the_unit(scale: float) -> None:
    rng = np.random.default_rng(1)
    baseline, canary = rng.normal(10.0, 2.0, POINTS), rng.normal(13.0, 2.6, POINTS)
    metric = judged(config_of(allowed=0.1), baseline * scale, canary * scale)
    assert metric.label is Label.HOT
    assert metric.effect == pytest.approx(0.3, abs=0.1)
    low, high = metric.interval
    assert low <= metric.estimate <= high
    assert metric.estimate / scale == pytest.approx(3.0, abs=1.0)


def test_direction_masks_the_harmless_side() -> None:
    rng = np.random.default_rng(2)
    baseline, canary = rng.normal(10.0, 1.0, POINTS), rng.normal(6.0, 1.0, POINTS)
    assert judged(config_of(direction="increase"), baseline, canary).label is Label.PASS
    assert judged(config_of(direction="either"), baseline, canary).label is Label.COLD
    assert judged(config_of(direction="decrease"), baseline, canary).label is Label.COLD
    assert judged(config_of(direction="decrease"), canary, baseline).label is Label.PASS


def test_relevance_needs_both_share_and_floor() -> None:
    rng = np.random.default_rng(3)
    baseline, canary = rng.normal(1.0, 0.01, POINTS), rng.normal(1.5, 0.01, POINTS)
    assert judged(config_of(allowed=0.25, floor=0.2), baseline, canary).label is Label.HOT
    assert judged(config_of(allowed=0.25, floor=1.0), baseline, canary).label is Label.PASS
    assert judged(config_of(allowed=0.60, floor=0.2), baseline, canary).label is Label.PASS


def test_correlated_wandering_is_worth_fewer_points() -> None:
    rng = np.random.default_rng(4)
    walk = np.cumsum(rng.normal(0.0, 1.0, (2, 300)), axis=1) + 100.0
    steady = rng.normal(100.0, 1.0, (2, 300))
    assert judged(config_of(), *walk).effective_points < 30 < judged(config_of(), *steady).effective_points


def test_noise_common_to_both_sides_does_not_hide_a_shift() -> None:
    rng = np.random.default_rng(5)
    shared = np.exp(0.2 * autoregressive(rng, 0.7, (POINTS,)))
    baseline, canary = (shared * factor * np.exp(0.05 * rng.standard_normal(POINTS)) for factor in (10.0, 14.0))
    assert judged(config_of(allowed=0.15), baseline, canary).label is Label.HOT


def test_errors_only_in_the_canary_are_found() -> None:
    rng = np.random.default_rng(6)
    metric = judged(config_of(kind="count", floor=0.05), np.zeros(POINTS), rng.poisson(0.7, POINTS))
    assert metric.label is Label.HOT
    assert metric.effect == np.inf
    assert "from nothing" in metric.reason


def test_a_counter_that_the_baseline_never_published_is_zero() -> None:
    rng = np.random.default_rng(6)
    pairs = MetricPairs(
        ("http.5xx", "http.requests"),
        np.stack([np.full(POINTS, np.nan), rng.poisson(100, POINTS)]),
        np.stack([rng.poisson(0.9, POINTS), rng.poisson(100, POINTS)]),
        START,
        5,
    )
    verdict = judge(config_of(kind="count"), Thresholds(), pairs)
    metric = verdict.metric("http.5xx")
    assert metric is not None
    assert metric.label is Label.HOT


def test_errors_as_steady_as_the_traffic_stop_the_canary() -> None:
    rng = np.random.default_rng(12)
    traffic = 110.0 * np.exp(0.1 * autoregressive(rng, 0.5, (POINTS,)))
    metric = judged(
        config_of(kind="count", critical=True).with_evidence("shipped"), rng.poisson(0.1, POINTS), np.ceil(traffic / 10)
    )
    assert (metric.label, metric.stops) == (Label.HOT, True)


def test_one_burst_of_errors_is_one_accident() -> None:
    canary = np.zeros(POINTS)
    canary[20] = 30
    assert judged(config_of(kind="count"), np.zeros(POINTS), canary).label is Label.PASS
    assert judged(config_of(kind="count"), np.zeros(POINTS), np.tile([1.0, 0.0, 1.0, 1.0], 12)).label is Label.HOT


def test_zero_on_both_sides_of_a_count_passes() -> None:
    metric = judged(config_of(kind="count"), np.zeros(POINTS), np.zeros(POINTS))
    assert metric.label is Label.PASS
    assert "zero on both sides" in metric.reason


def test_a_leak_is_read_at_the_end_of_the_window() -> None:
    rng = np.random.default_rng(7)
    baseline = 80.0 + 0.2 * rng.standard_normal(POINTS)
    canary = baseline + np.linspace(0.0, 20.0, POINTS)
    metric = judged(config_of(kind="stock", allowed=0.1, floor=6.0), baseline, canary)
    assert metric.label is Label.HOT
    assert metric.estimate == pytest.approx(20.0, abs=1.0)


def test_different_constants_deviate_only_beyond_the_allowed() -> None:
    assert judged(config_of(), np.full(POINTS, 5.0), np.full(POINTS, 5.001)).label is Label.PASS
    assert judged(config_of(), np.full(POINTS, 5.0), np.full(POINTS, 8.0)).label is Label.HOT


def test_a_critical_metric_in_doubt_is_inconclusive() -> None:
    rng = np.random.default_rng(11)
    baseline, canary = rng.normal(100.0, 20.0, POINTS), rng.normal(108.0, 20.0, POINTS)
    assert judged(config_of(allowed=0.05), baseline, canary).label is Label.HOT
    metric = judged(config_of(allowed=0.05, critical=True).with_evidence("shipped"), baseline, canary)
    assert (metric.label, metric.stops) == (Label.INCONCLUSIVE, False)
    assert metric.reason.startswith("not sure enough for a metric that alone stops the canary")
    sure = judged(config_of(allowed=0.05, critical=True).with_evidence("shipped"), baseline, canary + 40.0)
    assert (sure.label, sure.stops) == (Label.HOT, True)


def test_infinities_keep_their_rank() -> None:
    rng = np.random.default_rng(8)
    baseline, canary = rng.normal(10.0, 1.0, POINTS), rng.normal(20.0, 1.0, POINTS)
    canary[3] = np.inf
    metric = judged(config_of(), baseline, canary)
    assert metric.label is Label.HOT
    assert np.isfinite(metric.estimate)


def test_missing_sides_and_few_points_are_no_pass() -> None:
    rng = np.random.default_rng(9)
    full, empty = rng.normal(10.0, 1.0, POINTS), np.full(POINTS, np.nan)
    few = np.where(np.arange(POINTS) % 6 == 0, full, np.nan)
    assert judged(config_of(), full, empty).label is Label.NO_DATA
    assert judged(config_of(), empty, empty).label is Label.NO_DATA
    assert "canary" in judged(config_of(), full, empty).reason
    metric = judged(config_of(), full, few)
    assert (metric.label, metric.points) == (Label.INCONCLUSIVE, 8)


def test_a_failed_query_is_an_error_of_one_metric() -> None:
    pairs = replace(world(2), errors={"http.requests": "Throttling: rate exceeded"})
    verdict = judge(config_of(), Thresholds(), pairs)
    metric = verdict.metric("http.requests")
    assert metric is not None
    assert metric.label is Label.ERROR
    assert "rate exceeded" in metric.reason
    assert verdict.counts[Label.ERROR] == 1


def test_no_metrics_at_all_scores_nothing() -> None:
    empty = MetricPairs((), np.zeros((0, POINTS)), np.zeros((0, POINTS)), START, 5)
    verdict = judge(config_of(), Thresholds(), empty)
    assert (verdict.score, verdict.classification) == (0.0, "unknown")
    assert decide(verdict).outcome == "cannot tell yet"


def test_no_points_at_all_is_no_data() -> None:
    none = MetricPairs(("m",), np.zeros((1, 0)), np.zeros((1, 0)), START, 5)
    assert judge(config_of(), Thresholds(), none).metrics[0].label is Label.NO_DATA


@pytest.mark.parametrize("points", [1, 2, 3])
@pytest.mark.parametrize("kind", ["level", "count", "stock"])
def test_hardly_any_points_never_raise_and_never_pass(kind: str, points: int) -> None:
    metric = judged(config_of(kind=kind), np.arange(points) + 1.0, np.arange(points) + 2.0)
    assert metric.label is not Label.PASS


def test_grid_starts_with_what_matters(shipped: JudgeConfig) -> None:
    metrics = judge(shipped, Thresholds(), world(1)).metrics
    assert metrics[0].name == "http.5xx"
    criticals = [metric.critical for metric in metrics]
    assert criticals == sorted(criticals, reverse=True)
