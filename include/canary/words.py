"""Why a metric got its label, in words that a person on call can use."""

from __future__ import annotations

import math

from include.canary.config import Evidence, Rule
from include.canary.verdict import MetricVerdict

_UNITS = (("_bytes", "B"), ("_ms", "ms"), ("_pct", "%"), ("_seconds", "s"))
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB")


def unit_of(name: str) -> str:
    """The unit that a metric's name ends with; empty for a bare number."""
    return next((unit for ending, unit in _UNITS if name.endswith(ending)), "")


def say_number(value: float, unit: str = "") -> str:
    """Three digits, with its unit; bytes in the size that reads best."""
    if not math.isfinite(value):
        return "unknown" if math.isnan(value) else ("without bound" if value > 0 else "unbounded below")
    if unit == "B":
        step = min(int(math.log(max(abs(value), 1.0), 1024)), len(_BINARY) - 1)
        return f"{value / 1024**step:.3g} {_BINARY[step]}"
    digits = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{digits} {unit}".strip()


def say_share(effect: float) -> str:
    """A share of the baseline as signed percent, or as a multiple where percent would be silly."""
    if math.isnan(effect):
        return "an unknown share"
    if math.isinf(effect):
        return "from nothing"
    if effect >= 9.0:
        return f"{1.0 + effect:.3g} times"
    return f"{effect * 100.0:+.3g} %"


def _figures(metric: MetricVerdict) -> str:
    unit = unit_of(metric.name)
    if metric.kind == "count":
        old, new = (say_number(round(side * metric.points)) for side in (metric.baseline, metric.canary))
        return f"{old} → {new} in all ({say_share(metric.effect)})"
    end = " at the end" if metric.kind == "stock" else ""
    figures = f"{say_number(metric.baseline, unit)} → {say_number(metric.canary, unit)}{end}"
    return f"{figures} ({say_share(metric.effect)})"


def _measured(metric: MetricVerdict, confidence: float) -> str:
    unit = unit_of(metric.name)
    scale = metric.points if metric.kind == "count" else 1
    low, high = (say_number(end * scale, unit) for end in metric.interval)
    points = f"{metric.points} points"
    if metric.points and metric.effective_points < 0.9 * metric.points:
        points += f", worth {metric.effective_points:.3g}"
    return f"difference {low} to {high} with {confidence * 100:g} % confidence; {points}"


DOUBT = "not sure enough for a metric that alone stops the canary, a longer soak would tell"
_WHAT = {"tail": "the {end} tenth of points", "spread": "the spread (half of the middle 80 %)"}


def _say_deviation(metric: MetricVerdict, told: tuple[float, float], *, is_hot: bool) -> str:
    """What deviates: the level itself, or its tail or spread by `told` (the difference, and its share)."""
    if metric.test not in _WHAT:
        return f"{'higher' if is_hot else 'lower'} in the canary: {_figures(metric)}"
    unit = unit_of(metric.name)
    what = _WHAT[metric.test].format(end="highest" if is_hot else "lowest")
    words = {"spread": ("wider", "narrower"), "tail": ("higher", "lower")}[metric.test]
    by = say_number(abs(told[0]), unit)
    figures = f"{say_number(metric.baseline, unit)} → {say_number(metric.canary, unit)}"
    return (
        f"{what} is {words[0 if is_hot else 1]} in the canary, by {by} ({say_share(told[1])}); in the middle {figures}"
    )


def explain(
    metric: MetricVerdict,
    rule: Rule,
    *,
    sign: int,
    confidence: float,
    is_certain: bool,
    told: tuple[float, float] = (0.0, 0.0),
) -> str:
    """Why a metric is PASS (`sign` 0), HOT (1) or COLD (-1).

    `is_certain`: chance alone does not explain the difference. `told`: how far the tail or the spread is apart, and
    as a share of the baseline, where that is what deviates.
    """
    measured = _measured(metric, confidence)
    share = rule.allowance(upward=sign >= 0)
    allowed = f"{share * 100:g} % allowed" if rule.measure == "ratio" else f"{share:g} beyond 1/2 allowed"
    if sign:
        return f"{_say_deviation(metric, told, is_hot=sign > 0)}, {allowed}; {measured}"
    if metric.baseline == 0.0 and metric.canary == 0.0:
        return f"zero on both sides; {metric.points} points"
    if is_certain:
        return f"differs, but by no more than allowed: {_figures(metric)}, {allowed}; {measured}"
    return f"no difference that chance would not make: {_figures(metric)}; {measured}"


def explain_missing(pairs_points: int, baseline_has: bool, canary_has: bool) -> str:
    """Why a metric is NO_DATA."""
    if baseline_has and canary_has:
        return f"never measured on both sides at the same time in {pairs_points} points"
    if not baseline_has and not canary_has:
        return f"no data on either side in {pairs_points} points"
    return f"no data in the {'canary' if baseline_has else 'baseline'} in {pairs_points} points"


def explain_too_little(metric: MetricVerdict, minimum: Evidence) -> str:
    """Why a metric is INCONCLUSIVE."""
    if metric.points < minimum.points:
        return f"{metric.points} points on the poorer side, {minimum.points} needed"
    worth = f"worth only {metric.effective_points:.3g} independent ones"
    return f"{metric.points} points {worth}, {minimum.effective_points:g} needed"
