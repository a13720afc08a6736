"""The one verb: settings, thresholds and series in, verdict out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from include.canary.config import JudgeConfig, Rule
from include.canary.counts import compare_counts
from include.canary.grid import order_of_importance
from include.canary.score import groups_of, summarise, weigh
from include.canary.series import Floats, MetricPairs
from include.canary.statistics import Findings, compare_levels, reject_dependent
from include.canary.stocks import compare_stocks
from include.canary.verdict import Label, MetricVerdict, Thresholds, Verdict
from include.canary.words import explain, explain_missing, explain_too_little

Flags = npt.NDArray[np.bool_]

_TESTS: dict[str, Callable[[Floats, Floats, float], Findings]] = {
    "auto": compare_levels,
    "level": compare_levels,
    "count": compare_counts,
    "stock": compare_stocks,
}


@dataclass(frozen=True)
class _Case:
    """One judgement under way: rows of `pairs` with the rule of each and the series as they are compared."""

    config: JudgeConfig
    pairs: MetricPairs
    placed: tuple[int, ...]
    baseline: Floats
    canary: Floats

    @property
    def rules(self) -> list[Rule]:
        return [self.config.rules[place] for place in self.placed]

    def rule_of(self, row: int) -> Rule:
        return self.config.rules[self.placed[row]]

    def of_rules(self, key: str) -> npt.NDArray[np.generic]:
        return np.array([getattr(rule, key) for rule in self.rules])

    @property
    def is_answered(self) -> Flags:
        return np.array([name not in self.pairs.errors for name in self.pairs.names], dtype=np.bool_)

    @property
    def has_data(self) -> tuple[Flags, Flags]:
        return np.any(~np.isnan(self.baseline), axis=1), np.any(~np.isnan(self.canary), axis=1)


def judge(config: JudgeConfig, thresholds: Thresholds, pairs: MetricPairs) -> Verdict:
    """Compare every metric of a canary with its baseline and score the whole. Deterministic, no I/O.

    A metric deviates (HOT above, COLD below, on the sides its rule looks at) if the difference is more than chance
    makes (statistics.py, counts.py, stocks.py; at the alarm rates of `config.minimum`) and its estimate exceeds the
    rule's `allowed` share and `floor`. Too few points, or too few after autocorrelation, allow no PASS: INCONCLUSIVE.
    An empty side is NO_DATA, except that a count which the store never saw on one side was 0 while that side lived.
    A metric whose query failed is an ERROR. Never raises on data; an empty set of pairs scores 0.
    """
    placed = tuple(config.rule_index(name) for name in pairs.names)
    case = _Case(config, pairs, placed, *_with_silent_counts(config, pairs, placed))
    findings = _compare(case)
    chances = _chances(case, findings)
    is_certain = _beyond_chance(case, findings, chances)
    labels = _labels(case, findings, is_certain)
    weights = weigh(config, case.rules)
    metrics = [
        _metric_verdict(case, findings, row, labels[row], weights[row], float(chances[row]), bool(is_certain[row]))
        for row in range(len(pairs.names))
    ]
    ordered = tuple(metrics[row] for row in order_of_importance(config, pairs.names, placed, weights))
    return summarise(config, thresholds, pairs, ordered)


def _with_silent_counts(config: JudgeConfig, pairs: MetricPairs, placed: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Counts that one side never published, the other did: zeros wherever that side published anything at all.

    A counter is often created by its first event, so a baseline without the series is a baseline without errors.
    """
    sides = [np.asarray(side, dtype=np.float64) for side in (pairs.baseline, pairs.canary)]
    is_count = np.array(
        [
            config.rules[place].kind == "count" and name not in pairs.errors
            for name, place in zip(pairs.names, placed, strict=True)
        ],
        dtype=np.bool_,
    )
    silent = [np.isnan(side).all(axis=1) for side in sides]
    for own, other in ((0, 1), (1, 0)):
        rows = np.flatnonzero(is_count & silent[own] & ~silent[other])
        if len(rows):
            alive = ~np.isnan(sides[own]).all(axis=0)
            sides[own] = sides[own].copy()
            sides[own][rows] = np.where(alive, 0.0, np.nan)
    return sides[0], sides[1]


def _compare(case: _Case) -> Findings:
    """Each row by the test of its kind, back in the rows' own order."""
    kinds = case.of_rules("kind")
    merged = {field.name: np.zeros(len(kinds)) for field in fields(Findings)}
    for kind, test in _TESTS.items():
        rows = np.flatnonzero(kinds == kind)
        if len(rows) and case.pairs.points:
            found = test(case.baseline[rows], case.canary[rows], case.config.confidence)
            for name, column in merged.items():
                column[rows] = getattr(found, name)
    return Findings(**{**merged, "points": merged["points"].astype(np.int64)})  # type: ignore[arg-type]


def _chances(case: _Case, findings: Findings) -> Floats:
    """The p-value on the side, or the two sides, that each rule looks at."""
    either = np.minimum(2.0 * np.minimum(findings.above, findings.below), 1.0)
    directions = case.of_rules("direction")
    return np.where(
        directions == "increase", findings.above, np.where(directions == "decrease", findings.below, either)
    )


def _beyond_chance(case: _Case, findings: Findings, chances: Floats) -> Flags:
    """Whose difference is no accident, at the alarm rates in force: critical ones strictly, the rest together."""
    minimum = case.config.minimum
    certain = np.zeros(len(chances), dtype=np.bool_)
    if not len(chances):
        return certain
    judged = case.is_answered & (findings.points >= 2)
    muted = case.of_rules("muted").astype(np.bool_)
    critical = case.of_rules("critical").astype(np.bool_) & ~muted
    placed = np.array(case.placed)
    in_use = np.unique(placed[critical])
    for place in in_use:
        rows = placed == place
        certain[rows] = chances[rows] <= minimum.critical_alarm / len(in_use) / rows.sum()
    # Muted metrics are a family of their own: they must not cost the others power.
    for family in (judged & ~critical & ~muted, judged & muted):
        rows = np.flatnonzero(family)
        certain[rows] = reject_dependent(chances[rows], minimum.false_share)
    return certain & judged


def _labels(case: _Case, findings: Findings, is_certain: Flags) -> list[Label]:
    minimum = case.config.minimum
    allowed, floor = case.of_rules("allowed").astype(np.float64), case.of_rules("floor").astype(np.float64)
    directions = case.of_rules("direction")
    with np.errstate(invalid="ignore"):
        relevant = is_certain & (np.abs(findings.effect) > allowed) & (np.abs(findings.estimate) > floor)
        # Too correlated to tell chance apart, yet never further apart than is allowed: that is an answer.
        reach = np.maximum(np.abs(findings.low), np.abs(findings.high))
        is_close = reach <= np.maximum(allowed * np.abs(findings.baseline), floor)
    worth = (case.of_rules("kind") == "stock") | is_close | (findings.effective >= minimum.effective_points)
    baseline_has, canary_has = case.has_data
    # The first that holds is the label.
    choices = (
        (Label.ERROR, ~case.is_answered),
        (Label.NO_DATA, ~baseline_has | ~canary_has | (findings.points == 0)),
        (Label.HOT, relevant & (findings.estimate > 0) & (directions != "decrease")),
        (Label.COLD, relevant & (findings.estimate < 0) & (directions != "increase")),
        (Label.INCONCLUSIVE, ~((findings.points >= minimum.points) & worth)),
    )
    labels = [Label.PASS] * len(is_certain)
    for label, rows in reversed(choices):
        for row in np.flatnonzero(rows):
            labels[row] = label
    return labels


def _metric_verdict(
    case: _Case, findings: Findings, row: int, label: Label, weight: float, chance: float, is_certain: bool
) -> MetricVerdict:
    name, rule = case.pairs.names[row], case.rule_of(row)
    metric = MetricVerdict(
        name=name,
        label=label,
        reason="",
        groups=groups_of(rule),
        fails=label.is_deviating,
        stops=label.is_deviating and rule.critical,
        critical=rule.critical,
        muted=rule.muted,
        weight=weight,
        kind=rule.kind,
        points=int(findings.points[row]),
        effective_points=round(float(findings.effective[row]), 1),
    )
    if label is Label.ERROR:
        return replace(metric, reason=f"the metric store failed: {case.pairs.errors[name]}")
    if label is Label.NO_DATA:
        has = [bool((~np.isnan(side[row])).any()) for side in (case.baseline, case.canary)]
        return replace(metric, reason=explain_missing(case.pairs.points, *has))
    measured = replace(
        metric,
        estimate=float(findings.estimate[row]),
        interval=(float(findings.low[row]), float(findings.high[row])),
        effect=float(findings.effect[row]),
        chance=chance,
        baseline=float(findings.baseline[row]),
        canary=float(findings.canary[row]),
    )
    if label is Label.INCONCLUSIVE:
        return replace(measured, reason=explain_too_little(measured, case.config.minimum))
    reason = explain(measured, rule, confidence=case.config.confidence, is_certain=is_certain)
    return replace(measured, reason=reason)
