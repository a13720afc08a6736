"""A canary as large as they come, with something of everything, for whoever looks at its report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np

from include.canary import GateDecision, MetricPairs, Thresholds, Verdict, decide, judge_config, parse_judge_config
from include.canary.judge import judge
from include.canary.looks import Look
from tests.support.canary_world import world

ROOT = Path(__file__).resolve().parents[2]
CONTEXT: Mapping[str, str] = {
    "application": "api",
    "version": "20260302.084100-3f2a91c",
    "commit": "3f2a91c04d7be2a9d1",
    "subject": "API-101 Ask two backing services at a time",
    "author": "A. Developer",
    "region": "us-east-1",
}
METRICS = 1200


@dataclass(frozen=True)
class ReportCase:
    """What `render_canary_report` is given."""

    verdict: Verdict
    pairs: MetricPairs
    decision: GateDecision
    context: Mapping[str, str]
    history: tuple[Look, ...]


def _more(rng: np.random.Generator, count: int, points: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of queues and caches: most alike, some fallen, some risen, a few empty or nearly so."""
    sides = rng.lognormal(2.0, 0.4, (2, count, points))
    sides[1, 0:4] *= np.array([[0.7], [0.5], [0.3], [0.02]])
    sides[1, 4:8] *= np.array([[1.3], [1.6], [2.5], [40.0]])
    sides[1, 8:11] = np.nan
    sides[:, 11:14, 5:] = np.nan
    sides[1, 14, ::9] *= 60.0
    sides[:, 15, 100:180] = np.nan
    return sides[0], sides[1]


def report_case(*, commit: str = "slow", points: int = 480, seed: int = 7, looks: int = 14) -> ReportCase:
    """1,200 metrics of `points` x 60 s, judged by the shipped settings, with a history of looks; the same each time."""
    small = world(seed, commit=commit, points=points)
    count = METRICS - len(small.names)
    old, new = _more(np.random.default_rng(seed), count, points)
    names = tuple(f"queue.q{row:03d}.wait_ms" if row < count // 2 else f"cache.c{row:03d}.hits" for row in range(count))
    pairs = replace(
        small,
        names=small.names + names,
        baseline=np.vstack([small.baseline, old]),
        canary=np.vstack([small.canary, new]),
        step_seconds=60,
        errors=dict.fromkeys(names[-4:], "the metric store answered 503 Slow Down, five times"),
    )
    settings = parse_judge_config((ROOT / "include/apps/api.judge.toml").read_text(), source="api.judge.toml")
    body = settings.model_dump()
    both_ways = {"match": "[qc][ua][ec][uh]e.*", "groups": ("endpoints",), "direction": "either", "allowed": 0.1}
    rules = [both_ways, *({**rule, "groups": rule["groups"]} for rule in body["rules"])]
    config = judge_config({**body, "rules": rules}, source="report case")
    verdict = judge(config, Thresholds(), pairs)
    return ReportCase(verdict, pairs, decide(verdict), CONTEXT, _looks(verdict, looks))


def _looks(verdict: Verdict, count: int) -> tuple[Look, ...]:
    rng = np.random.default_rng(3)
    whole = timedelta(seconds=verdict.points * verdict.step_seconds)
    found = []
    for number in range(1, count + 1):
        share = number / count
        score = float(np.clip(99.0 - (99.0 - verdict.score) * share**0.7 + rng.normal(0, 1.0), 0, 100))
        at = verdict.start + share * whole
        if number == 1:
            found.append(Look(at, verdict.start, 97.0, "cannot tell yet", 64.0, 0, "64 % of the weight has no answer"))
        elif number == 5:
            found.append(Look(at, verdict.start, None, "no answer", 100.0, 0, "the metric store was throttled"))
        else:
            outcome = "go" if score >= 95.0 else "no-go"
            reason = f"score {score:.3g} of {len(verdict.metrics)} metrics"
            found.append(Look(at, verdict.start, score, outcome, 1.5, round(300 * share), reason))
    return tuple(found)
