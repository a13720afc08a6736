"""Fills the cache of compiled loops: `python -m include.canary.compile`, as `make` does."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from include.canary.config import judge_config
from include.canary.judge import judge
from include.canary.series import MetricPairs
from include.canary.verdict import Thresholds


def compile_kernels() -> None:
    """Judge a small canary in each profile: whatever is not compiled yet is, and is kept on disk."""
    rng = np.random.default_rng(0)
    rules = [{"match": "stock", "group": "all", "kind": "stock"}, {"match": "*", "group": "all"}]
    config = judge_config({"groups": {"all": 1}, "rules": rules}, source="compile")
    for points in (10, 200):  # few points take other paths than many; many metrics too
        level, count = rng.gamma(2.0, 1.0, (2, 30, points)), rng.poisson(0.5, (2, 30, points)).astype(np.float64)
        stock = np.cumsum(rng.gamma(2.0, 1.0, (2, 1, points)), axis=2)
        baseline, canary = (np.concatenate([level[side], count[side], stock[side]]) for side in (0, 1))
        names = (*(f"m{row}" for row in range(60)), "stock")
        pairs = MetricPairs(names, baseline, canary, datetime(2026, 1, 1, tzinfo=UTC), 60)
        for profile in ("redstart", "kayenta"):
            judge(config.model_copy(update={"profile": profile}), Thresholds(), pairs)


if __name__ == "__main__":
    compile_kernels()
