"""From labels to one score: weighted groups, and honesty about what could not be judged."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from include.canary.config import UNGROUPED, JudgeConfig, Rule
from include.canary.series import MetricPairs
from include.canary.verdict import GroupScore, Label, MetricVerdict, Thresholds, Verdict


def weigh(config: JudgeConfig, rules: Sequence[Rule]) -> list[float]:
    """Each metric's percentage of the whole: its group's weight, shared out evenly; groups without metrics drop out."""
    sizes = Counter(group for rule in rules if not rule.muted for group in groups_of(rule))
    whole = sum(config.weights[group] for group in sizes)
    share = {group: 100.0 * config.weights[group] / whole / size if whole else 0.0 for group, size in sizes.items()}
    return [0.0 if rule.muted else sum(share[group] for group in groups_of(rule)) for rule in rules]


def groups_of(rule: Rule) -> tuple[str, ...]:
    """Where a rule's metrics count."""
    return rule.groups or (UNGROUPED,)


def _group_scores(config: JudgeConfig, metrics: Sequence[MetricVerdict]) -> tuple[GroupScore, ...]:
    members: dict[str, list[MetricVerdict]] = {}
    for metric in metrics:
        for group in metric.groups:
            members.setdefault(group, []).append(metric)
    whole = sum(config.weights[group] for group in members)
    return tuple(
        _group_score(name, members[name], 100.0 * weight / whole if whole else 0.0)
        for name, weight in config.weights.items()
        if name in members
    )


def _group_score(name: str, metrics: Sequence[MetricVerdict], weight: float) -> GroupScore:
    scored = sum(metric.is_scored for metric in metrics)
    passed = sum(metric.is_scored and not metric.fails for metric in metrics)
    return GroupScore(
        name=name,
        score=round(100.0 * passed / scored, 2) if scored else None,
        weight=round(weight, 2),
        unknown_weight=round(weight * (1.0 - scored / len(metrics)), 2),
        metrics=len(metrics),
        deviating=sum(metric.label.is_deviating for metric in metrics),
    )


def _classify(score: float, thresholds: Thresholds) -> str:
    if score >= thresholds.go:
        return "pass"
    return "marginal" if score >= thresholds.marginal else "fail"


def _advice(config: JudgeConfig, pairs: MetricPairs, metrics: Sequence[MetricVerdict]) -> str:
    """What soak or traffic would give the missing answers.

    Points come at the rate at which they came so far; the soak named is what 9 of 10 unanswered metrics would need.
    """
    minimum = config.minimum
    short = [m for m in metrics if m.label is Label.INCONCLUSIVE and not m.muted]
    silent = sum(m.label is Label.NO_DATA and not m.muted for m in metrics)
    failed = sum(m.label is Label.ERROR and not m.muted for m in metrics)
    said = []
    if short:
        lacking = sorted(
            # one that has points enough is in doubt: twice the evidence decides most such cases
            max(minimum.points / max(m.points, 1), minimum.effective_points / max(m.effective_points, 0.5))
            if m.points < minimum.points or m.effective_points < minimum.effective_points
            else 2.0
            for m in short
        )
        factor = lacking[min(int(0.9 * len(lacking)), len(lacking) - 1)]
        minutes = math.ceil(factor * pairs.points * pairs.step_seconds / 60.0)
        need = f"a soak of about {minutes} min (or {factor:.2g} times the traffic)"
        said.append(f"{need} would settle most of {len(short)} with too little data")
    if silent:
        said.append(f"{silent} had no data on one side: no soak helps until they are published and get traffic")
    if failed:
        said.append(f"the metric store failed for {failed}: judge again when it answers")
    return "; ".join(said)


def summarise(
    config: JudgeConfig, thresholds: Thresholds, pairs: MetricPairs, metrics: tuple[MetricVerdict, ...]
) -> Verdict:
    """The verdict over `metrics`: score = passed weight / judged weight, 0 if nothing was judged.

    NO_DATA, INCONCLUSIVE and ERROR leave the denominator and add to `unknown_weight`.
    """
    scored = [metric for metric in metrics if not metric.muted]
    judged = sum(metric.weight for metric in scored if metric.is_scored)
    passed = sum(metric.weight for metric in scored if metric.is_scored and not metric.fails)
    whole = sum(metric.weight for metric in scored)
    # Rounded down: 94.996 must not read as 95, nor go as 95.
    score = math.floor(10_000.0 * passed / judged + 1e-6) / 100.0 if judged else 0.0
    return Verdict(
        score=score,
        classification=_classify(score, thresholds) if judged else "unknown",
        metrics=metrics,
        groups=_group_scores(config, scored),
        unknown_weight=round(whole - judged, 2) if whole else 100.0,
        unknown_limit=config.unknown_limit_pct,
        thresholds=thresholds,
        start=pairs.start,
        step_seconds=pairs.step_seconds,
        points=pairs.points,
        advice=_advice(config, pairs, metrics),
        profile=config.profile,
        warnings=config.warnings,
        metadata=dict(pairs.metadata),
    )
