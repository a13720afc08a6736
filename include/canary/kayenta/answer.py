"""A verdict as Kayenta's judgeResult: strict JSON, NaN and infinities as the words that Kayenta's own JSON has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from include.canary.config import JudgeConfig
from include.canary.gate import decide
from include.canary.kayenta.judge import sides_of
from include.canary.kayenta.mix import stable_id
from include.canary.kayenta.prepare import Summary, summarize
from include.canary.kayenta.request import RequestedPairs
from include.canary.series import MetricPairs
from include.canary.verdict import GroupScore, Label, MetricVerdict, Verdict

_NAMES = {"kayenta": "NetflixACAJudge-v1.0", "redstart": "redstart"}
_WORDS = {
    Label.PASS: "Pass",
    Label.HOT: "High",
    Label.COLD: "Low",
    Label.NO_DATA: "Nodata",
    Label.INCONCLUSIVE: "Nodata",
    Label.ERROR: "Error",
}


def json_number(value: float) -> float | str:
    """A number as Kayenta writes it: what JSON has no number for is a word."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def _own_number(value: float) -> float | str | None:
    """In our own fields what cannot be said is null."""
    return None if math.isnan(value) else json_number(value)


def judge_result(config: JudgeConfig, pairs: MetricPairs, verdict: Verdict) -> dict[str, Any]:
    """Kayenta's judgeResult of `verdict`, which must be of these `pairs`; our own fields stand under "redstart".

    INCONCLUSIVE reads Nodata, with the reason. Kayenta acts on the score alone: where profile `redstart` says no-go
    for a critical metric, or because it cannot tell yet, the score that Kayenta reads is 0, and the reason says why.
    """
    rows = {_mark(name, pairs.tags_of(row)): row for row, name in enumerate(pairs.names)}
    results = [_result(config, pairs, rows[_mark(one.name, one.tags)], one, verdict.profile) for one in verdict.metrics]
    return {
        "judgeName": _NAMES.get(verdict.profile, verdict.profile),
        "results": results,
        "groupScores": [_group_score(group) for group in verdict.groups],
        "score": _score(verdict),
        "redstart": _overall(verdict),
    }


def _mark(name: str, tags: Mapping[str, str]) -> tuple[str, tuple[tuple[str, str], ...]]:
    return name, tuple(sorted(tags.items()))


def _word(metric: MetricVerdict) -> str:
    return "NodataFailMetric" if metric.label is Label.NO_DATA and metric.fails else _WORDS[metric.label]


def pair_id(pairs: MetricPairs, row: int) -> str:
    """The id that the request gave, else one that is always the same for this name and these tags."""
    given = pairs.ids[row] if isinstance(pairs, RequestedPairs) and pairs.ids else ""
    return given or stable_id(pairs.names[row], pairs.tags_of(row))


def _stats(summary: Summary) -> dict[str, Any]:
    return {key: value if key == "count" else json_number(value) for key, value in asdict(summary).items()}


def _ratio(metric: MetricVerdict, profile: str, control: Summary, experiment: Summary) -> float:
    """Kayenta's ratio of the means: 1 where nothing was compared, NaN where either is 0."""
    if profile == "kayenta":
        return 1.0 + metric.effect
    if not control.count or not experiment.count:
        return 1.0
    return experiment.mean / control.mean if control.mean and experiment.mean else math.nan


def _result(config: JudgeConfig, pairs: MetricPairs, row: int, metric: MetricVerdict, profile: str) -> dict[str, Any]:
    rule = config.rules[config.rule_index(metric.name)]
    control, experiment = (summarize(side) for side in sides_of(pairs, row, rule))
    is_error = metric.label is Label.ERROR
    ratio = {} if is_error else {"ratio": json_number(_ratio(metric, profile, control, experiment))}
    return {
        "name": metric.name,
        "id": pair_id(pairs, row),
        "tags": dict(metric.tags),
        "classification": _word(metric),
        "classificationReason": metric.reason or None,
        "groups": list(metric.groups),
        "experimentMetadata": {"stats": _stats(experiment)},
        "controlMetadata": {"stats": _stats(control)},
        "resultMetadata": ratio,
        "critical": metric.stops,
        "muted": metric.muted,
        "redstart": _own(metric),
    }


def _own(metric: MetricVerdict) -> dict[str, Any]:
    return {
        "label": metric.label.value,
        "estimate": _own_number(metric.estimate),
        "interval": [_own_number(end) for end in metric.interval],
        "effect": _own_number(metric.effect),
        "superiority": _own_number(metric.superiority),
        "chance": _own_number(metric.chance),
        "points": metric.points,
        "effectivePoints": _own_number(metric.effective_points),
        "test": metric.test,
        "kind": metric.kind,
        "weight": metric.weight,
    }


def _group_score(group: GroupScore) -> dict[str, Any]:
    score = 0.0 if group.score is None else group.score
    return {"name": group.name, "score": score, "classification": "", "classificationReason": ""}


def _score(verdict: Verdict) -> dict[str, Any]:
    score, words, reason = verdict.score, verdict.classification, verdict.reason
    if verdict.profile != "kayenta":
        decision = decide(verdict, verdict.thresholds.go)
        reason = "" if decision.go else "; ".join(decision.reasons)
        if not decision.go and (verdict.failed_criticals or decision.outcome == "cannot tell yet" or _lacks(verdict)):
            score, words = 0.0, "fail"
    known = words if words in {"pass", "marginal", "fail"} else "fail"
    return {"score": score, "classification": known.capitalize(), "classificationReason": reason or None}


def _lacks(verdict: Verdict) -> bool:
    return bool(verdict.unknown_criticals) or verdict.unknown_weight > verdict.unknown_limit


def _overall(verdict: Verdict) -> dict[str, Any]:
    return {
        "profile": verdict.profile,
        "score": verdict.score,
        "classification": verdict.classification,
        "unknownWeight": verdict.unknown_weight,
        "unknownLimit": verdict.unknown_limit,
        "advice": verdict.advice,
        "warnings": list(verdict.warnings),
        "points": verdict.points,
        "stepSeconds": verdict.step_seconds,
        "start": verdict.start.isoformat(),
    }
