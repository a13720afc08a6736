"""Canaries as the prod flow keeps them: pair.npz, settings.json, verdict.json in a folder."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from include.canary import JudgeConfig, MetricPairs, Thresholds, judge_config, verdict_json
from include.canary.judge import judge
from include.canary.recording import settings_json

RULES = [
    {"match": "errors", "group": "service", "kind": "level", "critical": True, "allowed": 0.1},
    {"match": "*", "group": "service", "kind": "level", "allowed": 0.1},
]


def config(**changes: Any) -> JudgeConfig:
    return judge_config({"groups": {"service": 100}, "rules": RULES, **changes}, source="test")


def pairs(seed: int, *, worse: float = 1.0, points: int = 60, first: str = "latency") -> MetricPairs:
    rng = np.random.default_rng(seed)
    baseline, canary = rng.normal(100.0, 5.0, (2, 3, points))
    canary[0] *= worse
    start = datetime(2026, 3, 1 + seed, 9, 0, tzinfo=UTC)
    return MetricPairs((first, "errors", "cpu"), baseline, canary, start, 60, {"image": f"ami-{seed}"})


def record(
    folder: Path, seed: int, *, worse: float = 1.0, wrapped: bool = True, then: bool = True, first: str = "latency"
) -> MetricPairs:
    """A canary as the prod flow keeps it; `wrapped` False: its settings alone, without version and thresholds."""
    folder.mkdir(parents=True)
    found, settings = pairs(seed, worse=worse, first=first), config()
    with (folder / "pair.npz").open("wb") as file:
        found.to_npz(file)
    thresholds = Thresholds(go=90.0, marginal=50.0)
    body = settings_json(settings, thresholds) if wrapped else settings.model_dump(mode="json")
    (folder / "settings.json").write_text(json.dumps(body))
    if then:
        verdict = judge(settings, thresholds, found)
        (folder / "verdict.json").write_text(json.dumps(verdict_json(verdict)))
    (folder / "report.html").write_text("<p>")
    return found
