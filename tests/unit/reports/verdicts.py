"""Verdicts made by hand, for what no judge says on demand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from include.canary import GroupScore, Label, MetricPairs, MetricVerdict, Thresholds, Verdict

START = datetime(2026, 1, 1, tzinfo=UTC)
HOSTILE = (
    '</script><img src=x onerror="alert(1)">',
    """it's "quoted" & {{ 7 * 7 }} ${8 * 8} `tick`""",
    "\u202eمقياس\u200f زمن الاستجابة\u202c",
    "long." + "segment_" * 36 + "end",
    "<!--<script>",
    "line\u2028break\nand\ttab",
    "#m0",
)


def metric(name: str, label: Label = Label.PASS, **more: Any) -> MetricVerdict:
    facts: dict[str, Any] = {"reason": f"as it is: {name}", "groups": ("all",), "weight": 1.0, "points": 48, **more}
    return MetricVerdict(name, label, **facts)


def verdict(metrics: list[MetricVerdict], *, points: int = 48, **more: Any) -> Verdict:
    groups = (GroupScore("all", 97.5, 100.0, 0.0, len(metrics), sum(m.label.is_deviating for m in metrics)),)
    facts: dict[str, Any] = {"score": 97.5, "classification": "pass", "groups": groups, "unknown_weight": 0.0, **more}
    return Verdict(
        metrics=tuple(metrics),
        unknown_limit=20.0,
        thresholds=Thresholds(),
        start=START,
        step_seconds=60,
        points=points,
        **facts,
    )


def pairs_of(metrics: list[MetricVerdict], *, points: int = 48, shift: float = 0.0) -> MetricPairs:
    """Row k lies around 10 (k + 1); the canary `shift` above it. In the reverse order: rows are found by name."""
    rng = np.random.default_rng(5)
    levels = 10.0 * np.arange(1, len(metrics) + 1)[:, None]
    baseline = rng.normal(levels, 0.1, (len(metrics), points))[::-1]
    names, tags = tuple(m.name for m in reversed(metrics)), tuple(dict(m.tags) for m in reversed(metrics))
    return MetricPairs(names, baseline, baseline + shift, START, 60, tags=tags)
