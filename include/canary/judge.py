"""The one verb: settings, thresholds and series in, verdict out."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import numpy.typing as npt

from include.canary.config import JudgeConfig, Rule
from include.canary.counts import compare_counts
from include.canary.deviations import Outcome, critical_rates, find_deviations, standards_of
from include.canary.grid import order_of_importance
from include.canary.levels import compare_levels
from include.canary.metrics import Part, metric_verdicts
from include.canary.prepare import Kinds, prepare
from include.canary.ranks import Scores, score
from include.canary.score import summarise, weigh
from include.canary.series import MetricPairs
from include.canary.statistics import Findings, Floats, Ints
from include.canary.stocks import compare_stocks
from include.canary.verdict import Label, MetricVerdict, Thresholds, Verdict

Flags = npt.NDArray[np.bool_]


def judge(config: JudgeConfig, thresholds: Thresholds, pairs: MetricPairs) -> Verdict:
    """Compare every metric of a canary with its baseline and score the whole. Deterministic, no I/O.

    Profile `redstart`: a metric deviates (HOT above, COLD below, on the sides its rule looks at) if a difference is
    more than chance makes (levels.py, counts.py, stocks.py; at the alarm rates of `config.minimum`) and exceeds the
    rule's `allowed` share and `floor`. Too few points, or too few after autocorrelation, allow no PASS: INCONCLUSIVE.
    A critical metric deviates only where that is surer still; in between it is INCONCLUSIVE as well.
    An empty side is NO_DATA, except that a count which the store never saw on one side was 0 while that side lived;
    of a metric that must have data it counts against the canary, and stops it if it is critical. A metric whose
    query failed is an ERROR. Profile `kayenta`: kayenta/judge.py.

    Raises ConfigError for a metric that no rule names, never on data; an empty set of pairs scores 0.
    """
    if config.profile == "kayenta":
        from include.canary.kayenta.judge import judge_kayenta

        return judge_kayenta(config, thresholds, pairs)
    placed = tuple(config.rule_index(name) for name in pairs.names)
    rules = [config.rules[place] for place in placed]
    with np.errstate(over="ignore", invalid="ignore"):  # values near the largest double: ranks do not mind
        baseline, canary, kinds, units = prepare(pairs, rules)
    case = _Case(config, pairs, rules, baseline, canary, kinds)
    weights = weigh(config, rules)
    rates = critical_rates(config.rules, placed, case.is_answered & case.has_both, config.minimum)
    metrics: dict[int, MetricVerdict] = {}
    with np.errstate(over="ignore", invalid="ignore"):
        compared = _compare(case, units)
    for rows, findings in compared:
        own = [rules[row] for row in rows]
        outcome = find_deviations(findings, standards_of(own, rates[rows], config.minimum))
        labels = _labels(case, rows, findings, outcome)
        part = Part(rows.tolist(), own, labels, findings, outcome)
        metrics.update(metric_verdicts(part, pairs, case.kinds, weights, config))
    ordered = tuple(metrics[row] for row in order_of_importance(config, pairs.names, placed, weights))
    return summarise(config, thresholds, pairs, ordered)


@dataclass(frozen=True)
class _Case:
    """One judgement under way: rows of `pairs` with the rule of each and the series as they are compared."""

    config: JudgeConfig
    pairs: MetricPairs
    rules: list[Rule]
    baseline: Floats
    canary: Floats
    kinds: Kinds

    @cached_property
    def is_answered(self) -> Flags:
        return np.array([name not in self.pairs.errors for name in self.pairs.names], dtype=np.bool_)

    @cached_property
    def has_both(self) -> Flags:
        sides = (self.baseline, self.canary)
        return np.logical_and.reduce([(~np.isnan(side)).any(axis=1) for side in sides])


def _compare(case: _Case, units: Floats) -> list[tuple[Ints, Findings]]:
    """The rows of each kind with what its tests found; rows that have nothing to compare come with empty findings."""
    confidence = case.config.confidence
    scores = score(case.baseline, case.canary)
    parts = []
    for kind in ("level", "count", "stock"):
        rows = np.flatnonzero(case.kinds == kind)
        if not len(rows):
            continue
        own: Scores = scores.of(rows)
        sides = case.baseline[rows], case.canary[rows]
        if not case.pairs.points:
            found = _nothing(len(rows))
        elif kind == "level":
            found = compare_levels(own, confidence, trusts_drift=case.config.minimum.trusts_drift)
        elif kind == "count":
            found = compare_counts(*sides, units[rows], own.superiority, confidence)
        else:
            found = compare_stocks(*sides, own.superiority, confidence)
        parts.append((rows, found))
    return parts


def _nothing(k: int) -> Findings:
    columns = {field.name: np.full(k, np.nan) for field in fields(Findings) if field.name != "deviations"}
    return Findings(**{**columns, "points": np.zeros(k, dtype=np.int64)}, deviations=())


def _labels(case: _Case, rows: Ints, findings: Findings, outcome: Outcome) -> list[Label]:
    minimum = case.config.minimum
    rules = [case.rules[row] for row in rows]
    allowed = np.array([min(rule.allowance(upward=True), rule.allowance(upward=False)) for rule in rules])
    floor = np.array([rule.floor for rule in rules])
    with np.errstate(invalid="ignore"):
        # Too correlated to tell chance apart, yet never further apart than is allowed: that is an answer.
        reach = np.maximum(np.abs(findings.low), np.abs(findings.high))
        is_close = reach <= np.maximum(allowed * np.abs(findings.baseline), floor)
        worth = (case.kinds[rows] == "stock") | is_close | (findings.effective >= minimum.effective_points)
    # The first that holds is the label.
    choices = (
        (Label.ERROR, ~case.is_answered[rows]),
        (Label.NO_DATA, ~case.has_both[rows] | (findings.points == 0)),
        (Label.INCONCLUSIVE, outcome.is_doubtful),
        (Label.HOT, outcome.sign > 0),
        (Label.COLD, outcome.sign < 0),
        (Label.INCONCLUSIVE, ~((findings.points >= minimum.points) & worth)),
    )
    labels = [Label.PASS] * len(rows)
    for label, holds in reversed(choices):
        for place in np.flatnonzero(holds):
            labels[place] = label
    return labels
