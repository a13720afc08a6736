"""Recorded pairs and rules as the body that a Kayenta judge reads."""

from __future__ import annotations

from typing import Any

from include.canary.config import JudgeConfig, Rule
from include.canary.kayenta.answer import json_number, pair_id
from include.canary.kayenta.judge import percent_weights
from include.canary.series import Floats, MetricPairs
from include.canary.verdict import Thresholds

_JUDGE = "NetflixACAJudge-v1.0"
_MEASURES = {"ratio": ("meanRatio", 1.0), "cles": ("cles", 0.5)}


def request_body(config: JudgeConfig, thresholds: Thresholds, pairs: MetricPairs) -> dict[str, Any]:
    """The body of Kayenta's request to a remote judge: one metric a name, judged by its rule, and every pair.

    Strict JSON: gaps are "NaN". What Kayenta has no word for is left out: kind, floor, the evidence settings, and which
    metrics the store failed on (their values are gaps).
    """
    names = list(dict.fromkeys([*pairs.names, *(rule.match for rule in config.rules if rule.exact)]))
    used = {group for name in names for group in config.rules[config.rule_index(name)].groups}
    return {
        "canaryConfig": {
            "name": "redstart",
            "configVersion": "1",
            "applications": ["ad-hoc"],
            "judge": {"name": _JUDGE, "judgeConfigurations": {}},
            "metrics": [_metric(name, config.rules[config.rule_index(name)]) for name in names],
            "classifier": {"groupWeights": percent_weights(config, used)},
        },
        "scoreThresholds": {"pass": thresholds.go, "marginal": thresholds.marginal},
        "metricSetPairList": [_pair(pairs, row) for row in range(len(pairs.names))],
    }


def _metric(name: str, rule: Rule) -> dict[str, Any]:
    outliers: dict[str, Any] = {"strategy": "keep"}
    if rule.outlier_factor is not None:
        outliers = {"strategy": "remove", "outlierFactor": rule.outlier_factor}
    canary = {
        "direction": rule.direction,
        "nanStrategy": "replace" if rule.gaps == "zero" else "remove",
        "critical": rule.critical,
        "mustHaveData": rule.must_have_data,
        "muted": rule.muted,
        "effectSize": _effect_size(rule),
        "outliers": outliers,
    }
    return {
        "name": name,
        "groups": list(rule.groups),
        "analysisConfigurations": {"canary": canary},
        "scopeName": "default",
    }


def _effect_size(rule: Rule) -> dict[str, Any]:
    measure, neutral = _MEASURES[rule.measure]
    sizes = {
        "allowedIncrease": rule.allowed,
        "allowedDecrease": -rule.allowance(upward=False),
        "criticalIncrease": rule.critical_allowed,
        "criticalDecrease": None if rule.critical_allowed_down is None else -rule.critical_allowed_down,
    }
    # Rounded: 0.05 above 1 is 1.05, not its neighbour.
    given = {key: round(neutral + size, 12) for key, size in sizes.items() if size is not None}
    return {"measure": measure, **given}


def _values(side: Floats) -> list[float | str]:
    return [json_number(value) for value in side.tolist()]


def _pair(pairs: MetricPairs, row: int) -> dict[str, Any]:
    control, experiment = (pairs.points, pairs.points) if pairs.lengths is None else pairs.lengths[row]
    scope = {
        "startTimeIso": pairs.start.isoformat(),
        "startTimeMillis": int(pairs.start.timestamp() * 1000),
        "stepMillis": pairs.step_seconds * 1000,
    }
    return {
        "id": pair_id(pairs, row),
        "name": pairs.names[row],
        "tags": dict(pairs.tags_of(row)),
        "values": {
            "control": _values(pairs.baseline[row, :control]),
            "experiment": _values(pairs.canary[row, :experiment]),
        },
        "scopes": {"control": scope, "experiment": scope},
        "attributes": {"control": {}, "experiment": {}},
    }
