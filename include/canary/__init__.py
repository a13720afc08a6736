"""The judge: series in, score and reasons out. Pure: no I/O, no clock, no chance.

Importing this package is cheap; numpy is loaded when a name that needs it is first used. The verb itself is
`include.canary.judge.judge`: a module and a function cannot share one name here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from include.canary.config import Evidence, JudgeConfig, Rule, judge_config, parse_judge_config
    from include.canary.gate import GateDecision, decide
    from include.canary.grid import order_of_importance
    from include.canary.series import MetricGrid, MetricPairs, pair_scopes
    from include.canary.verdict import (
        GroupScore,
        Label,
        MetricVerdict,
        Thresholds,
        Verdict,
        verdict_from_json,
        verdict_json,
    )

_HOME = {
    "Evidence": "config",
    "JudgeConfig": "config",
    "Rule": "config",
    "judge_config": "config",
    "parse_judge_config": "config",
    "GateDecision": "gate",
    "decide": "gate",
    "order_of_importance": "grid",
    "MetricGrid": "series",
    "MetricPairs": "series",
    "pair_scopes": "series",
    "GroupScore": "verdict",
    "Label": "verdict",
    "MetricVerdict": "verdict",
    "Thresholds": "verdict",
    "Verdict": "verdict",
    "verdict_from_json": "verdict",
    "verdict_json": "verdict",
}

__all__ = [
    "Evidence",
    "GateDecision",
    "GroupScore",
    "JudgeConfig",
    "Label",
    "MetricGrid",
    "MetricPairs",
    "MetricVerdict",
    "Rule",
    "Thresholds",
    "Verdict",
    "decide",
    "judge_config",
    "order_of_importance",
    "pair_scopes",
    "parse_judge_config",
    "verdict_from_json",
    "verdict_json",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
