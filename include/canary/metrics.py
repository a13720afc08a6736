"""From the columns of the findings to one verdict a metric, with its reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from include.canary.config import JudgeConfig, Rule
from include.canary.deviations import Outcome
from include.canary.prepare import Kinds
from include.canary.score import groups_of
from include.canary.series import MetricPairs
from include.canary.statistics import Findings
from include.canary.verdict import Label, MetricVerdict
from include.canary.words import DOUBT, explain, explain_missing, explain_too_little

_COLUMNS = ("estimate", "low", "high", "effect", "superiority", "baseline", "canary")


@dataclass(frozen=True)
class Part:
    """The metrics of one kind: their rows in the pairs, and in the same order rules, labels and what was found."""

    rows: list[int]
    rules: Sequence[Rule]
    labels: Sequence[Label]
    findings: Findings
    outcome: Outcome


def metric_verdicts(
    part: Part, pairs: MetricPairs, kinds: Kinds, weights: Sequence[float], config: JudgeConfig
) -> Iterator[tuple[int, MetricVerdict]]:
    """Each metric's row and verdict. `kinds` and `weights` are those of all rows."""
    # Lists of Python's own numbers: reading single values out of arrays would take longer than the tests did.
    columns = zip(*(getattr(part.findings, name).tolist() for name in _COLUMNS), strict=True)
    points = part.findings.points.tolist()
    worth = np.round(np.nan_to_num(part.findings.effective), 1).tolist()
    chances, stops = part.outcome.chance.tolist(), part.outcome.stops.tolist()
    for place, (row, numbers) in enumerate(zip(part.rows, columns, strict=True)):
        label, rule, kind = part.labels[place], part.rules[place], str(kinds[row])
        estimate, low, high, effect, superiority, baseline, canary = numbers
        is_compared = label not in {Label.ERROR, Label.NO_DATA}
        is_missed = label is Label.NO_DATA and rule.must_have_data and not rule.muted
        figures = {
            "estimate": estimate,
            "interval": (low, high),
            "effect": effect,
            "superiority": superiority,
            "chance": chances[place],
            "baseline": baseline,
            "canary": canary,
        }
        metric = MetricVerdict(
            name=pairs.names[row],
            label=label,
            reason="",
            groups=groups_of(rule),
            critical=rule.critical,
            muted=rule.muted,
            fails=label.is_deviating or is_missed,
            stops=(label.is_deviating and stops[place]) or (is_missed and rule.critical),
            weight=weights[row],
            kind=kind,
            test=part.outcome.test[place] or kind,
            points=points[place],
            effective_points=worth[place],
            tags=pairs.tags_of(row),
            **(figures if is_compared else {}),
        )
        yield row, metric.because(_reason(metric, part, place, pairs, config))


def _reason(metric: MetricVerdict, part: Part, place: int, pairs: MetricPairs, config: JudgeConfig) -> str:
    if metric.label is Label.ERROR:
        return f"the metric store failed: {pairs.errors[metric.name]}"
    if metric.label is Label.NO_DATA:
        row = part.rows[place]
        has = [bool((~np.isnan(side[row])).any()) for side in (pairs.baseline, pairs.canary)]
        return explain_missing(pairs.points, *has) + (" (this metric must have data)" if metric.fails else "")
    is_doubtful = bool(part.outcome.is_doubtful[place])
    if metric.label is Label.INCONCLUSIVE and not is_doubtful:
        return explain_too_little(metric, config.minimum)
    sign = int(part.outcome.sign[place])
    reason = explain(
        metric,
        part.rules[place],
        sign=sign,
        confidence=config.confidence,
        is_certain=bool(part.outcome.is_certain[place]),
        told=_size_of(part.findings, metric.test, sign, place) if sign else (0.0, 0.0),
    )
    return f"{DOUBT}: {reason}" if is_doubtful else reason


def _size_of(findings: Findings, test: str, sign: int, place: int) -> tuple[float, float]:
    """How far apart the sides are in what a test looks at: in the metric's unit, and as a share."""
    found = next(one for one in findings.deviations if one.test == test and one.upward is (sign > 0))
    return float(found.size[place]), float(found.share[place])
