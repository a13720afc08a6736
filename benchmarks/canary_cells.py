"""Simulated metrics for the judge's figures: autocorrelated series of several shapes, judged by the real verb."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from include.canary import Evidence, JudgeConfig, MetricPairs, Thresholds, Verdict, judge_config
from include.canary.judge import judge
from tests.support.canary_world import autoregressive

Floats = npt.NDArray[np.float64]
START = datetime(2026, 1, 1, tzinfo=UTC)
RHOS = (0.0, 0.5, 0.7, 0.9)
POINTS = (50, 180, 480)
RATES = (0.05, 0.2, 0.5, 2.0, 5.0, 10.0, 50.0)
SHAPES = ("normal", "lognormal", "gamma", *(f"poisson {rate:g}" for rate in RATES))
_CHUNK = 4000


def shaped(shape: str, gauss: Floats) -> Floats:
    """Series of another marginal distribution with the same dependence (a Gaussian copula)."""
    if shape == "normal":
        return 100.0 + 10.0 * gauss
    if shape == "lognormal":
        return np.exp(0.6 * gauss)
    if shape == "gamma":
        return stats.gamma.ppf(special.ndtr(gauss), 2.0)
    rate = float(shape.split()[1])
    table = stats.poisson.cdf(np.arange(int(rate + 12.0 * np.sqrt(rate) + 20.0)), rate)
    return np.searchsorted(table, special.ndtr(gauss)).astype(np.float64)


def two_sides(shape: str, rho: float, points: int, metrics: int, seed: int) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    baseline, canary = (shaped(shape, autoregressive(rng, rho, (metrics, points))) for _ in range(2))
    return baseline, canary


def standard_error(rho: float, points: int, variance: float) -> float:
    """Of a difference of two means of AR(1) series whose variances add up to `variance`."""
    inflation = (1 + rho) / (1 - rho) - 2 * rho * (1 - rho**points) / (points * (1 - rho) ** 2)
    return float(np.sqrt(variance * inflation / points))


def settings(*, is_critical: bool = False, allowed: float = 0.0, profile: str = "redstart") -> JudgeConfig:
    """One rule for all, both directions looked at, nothing allowed. Each critical metric is held to `critical_alarm`,
    as it is among five; here thousands are asked at once."""
    shipped = judge_config({"groups": {"a": 1}, "rules": [{"match": "*", "group": "a"}]}, source="bench").minimum
    alone = Evidence(**{**shipped.model_dump(), "canary_alarm": 0.9999})
    rule = {"match": "*", "group": "a", "direction": "either", "allowed": allowed, "critical": is_critical}
    config = judge_config({"groups": {"a": 1}, "rules": [rule]}, source="bench")
    # as many critical rules as metrics would share the alarm of a canary: a thousandfold rate undoes that
    level = alone if not is_critical else alone.model_copy(update={"canary_alarm": 1e9})
    return config.model_copy(update={"evidence_levels": {"shipped": level}, "profile": profile})


def verdict_on(config: JudgeConfig, baseline: Floats, canary: Floats) -> Verdict:
    names = tuple(f"m{row}" for row in range(len(baseline)))
    return judge(config, Thresholds(), MetricPairs(names, baseline, canary, START, 60))


def flagged(config: JudgeConfig, baseline: Floats, canary: Floats, *, stops: bool = False) -> float:
    """Share of metrics that deviate (or stop the canary), in percent."""
    seen = 0
    for first in range(0, len(baseline), _CHUNK):
        verdict = verdict_on(config, baseline[first : first + _CHUNK], canary[first : first + _CHUNK])
        seen += sum(metric.stops if stops else metric.label.is_deviating for metric in verdict.metrics)
    return 100.0 * seen / len(baseline)
