"""Profile `kayenta`: the verdict of NetflixACAJudge-v1.0. What differs on purpose is listed in docs/kayenta.md."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from include.canary.config import JudgeConfig, Rule
from include.canary.kayenta.classify import Classified, Word, classify, options_of, superiority
from include.canary.kayenta.prepare import Summary, prepare, summarize
from include.canary.kayenta.score import Result, Score, score_results
from include.canary.series import Floats, MetricPairs
from include.canary.verdict import GroupScore, Label, MetricVerdict, Thresholds, Verdict

_LABELS = {
    Word.PASS: Label.PASS,
    Word.HIGH: Label.HOT,
    Word.LOW: Label.COLD,
    Word.NODATA: Label.NO_DATA,
    Word.NODATA_FAIL: Label.NO_DATA,
    Word.ERROR: Label.ERROR,
}
_FAILS = {Word.HIGH, Word.LOW, Word.NODATA_FAIL}
# From so many points on, all metrics and both sides together, loading the compiled functions pays.
_MANY_POINTS = 20_000


@dataclass(frozen=True)
class _Judged:
    """One row of the pairs: its rule, both sides as compared, and what was said."""

    rule: Rule
    baseline: Floats
    canary: Floats
    found: Classified

    @property
    def result(self) -> Result:
        found = self.found
        return Result(found.word, self.rule.groups, found.reason, found.stops, self.rule.muted)


def sides_of(pairs: MetricPairs, row: int, rule: Rule) -> tuple[Floats, Floats]:
    """Baseline and canary of a row as they are compared: the points asked for, without gaps and outliers."""
    ends = (pairs.points, pairs.points) if pairs.lengths is None else pairs.lengths[row]
    rows = (pairs.baseline[row, : ends[0]], pairs.canary[row, : ends[1]])
    baseline, canary = (prepare(side, gaps=rule.gaps, outlier_factor=rule.outlier_factor) for side in rows)
    return baseline, canary


def percent_weights(config: JudgeConfig, used: Collection[str]) -> dict[str, float]:
    """Kayenta's weights are percent; ours, where they did not come from there, are relative to those in use."""
    if config.share_rest:
        return dict(config.groups)
    whole = sum(weight for group, weight in config.groups.items() if group in used)
    return {group: 100.0 * weight / whole for group, weight in config.groups.items() if group in used}


def judge_kayenta(config: JudgeConfig, thresholds: Thresholds, pairs: MetricPairs) -> Verdict:
    """Judge as Kayenta does; metrics stand in the order of `pairs`. Deterministic, no I/O.

    `fails` counts against the score (High, Low, NodataFailMetric), `stops` is Kayenta's critical flag, `reason` its
    words; `effect` is the ratio of the means - 1, `interval` and `estimate` are those of the rank-sum test. A metric
    whose query failed is an ERROR: Kayenta itself never comes to judge such a canary. Raises ConfigError for a metric
    that no rule judges.
    """
    compiled = pairs.baseline.size + pairs.canary.size >= _MANY_POINTS
    judged = [_judge_row(config, pairs, row, compiled=compiled) for row in range(len(pairs.names))]
    weights = percent_weights(config, {group for one in judged if not one.rule.muted for group in one.rule.groups})
    score = score_results([one.result for one in judged], weights)
    metrics = tuple(_metric(config, pairs, row, one, score) for row, one in enumerate(judged))
    unknown = sum(metric.weight for metric in metrics if not metric.muted and not metric.is_scored)
    return Verdict(
        score=score.score,
        classification=_classify(score.score, thresholds),
        metrics=metrics,
        groups=tuple(_group(group.name, group.score, group.weight, metrics) for group in score.groups),
        unknown_weight=round(unknown, 2) if score.groups else 100.0,
        unknown_limit=config.unknown_limit_pct,
        thresholds=thresholds,
        start=pairs.start,
        step_seconds=pairs.step_seconds,
        points=pairs.points,
        profile="kayenta",
        reason=score.reason,
        warnings=config.warnings,
        metadata=dict(pairs.metadata),
    )


def _judge_row(config: JudgeConfig, pairs: MetricPairs, row: int, *, compiled: bool) -> _Judged:
    name = pairs.names[row]
    rule = config.rules[config.rule_index(name)]
    baseline, canary = sides_of(pairs, row, rule)
    if name in pairs.errors:
        return _Judged(rule, baseline, canary, Classified(Word.ERROR, pairs.errors[name], ratio=math.nan))
    options = options_of(rule, config.confidence)
    return _Judged(rule, baseline, canary, classify(name, options, canary, baseline, compiled=compiled))


def _weight(rule: Rule, score: Score) -> float:
    if rule.muted:
        return 0.0
    return sum(group.weight / group.metrics for group in score.groups if group.name in rule.groups)


def _mean(summary: Summary) -> float:
    return summary.mean if summary.count else math.nan


def _metric(config: JudgeConfig, pairs: MetricPairs, row: int, one: _Judged, score: Score) -> MetricVerdict:
    found, shift = one.found, one.found.shift
    points = min(len(one.baseline), len(one.canary))
    return MetricVerdict(
        name=pairs.names[row],
        label=_LABELS[found.word],
        reason=found.reason,
        groups=one.rule.groups,
        critical=one.rule.critical,
        muted=one.rule.muted,
        fails=found.word in _FAILS,
        stops=found.stops,
        weight=_weight(one.rule, score),
        estimate=math.nan if shift is None else shift.estimate.value,
        interval=(math.nan, math.nan) if shift is None else (shift.lower.value, shift.upper.value),
        effect=found.ratio - 1.0,
        superiority=superiority(one.canary, one.baseline) if points else math.nan,
        points=points,
        effective_points=float(points),
        baseline=_mean(summarize(one.baseline)),
        canary=_mean(summarize(one.canary)),
        tags=pairs.tags_of(row),
    )


def _group(name: str, score: float | None, weight: float, metrics: tuple[MetricVerdict, ...]) -> GroupScore:
    members = [metric for metric in metrics if name in metric.groups and not metric.muted]
    unknown = sum(not metric.is_scored for metric in members)
    return GroupScore(
        name=name,
        score=score,
        weight=weight,
        unknown_weight=weight * unknown / len(members),
        metrics=len(members),
        deviating=sum(metric.label.is_deviating for metric in members),
    )


def _classify(score: float, thresholds: Thresholds) -> str:
    if score >= thresholds.go:
        return "pass"
    return "marginal" if score >= thresholds.marginal else "fail"
