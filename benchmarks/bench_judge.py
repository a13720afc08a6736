"""How often the judge cries wolf, what it misses, and how long it takes. Seeds are fixed; about a minute on one core.

    python benchmarks/bench_judge.py [--full] [--canaries 40] [--evidence shipped] [--points 48]

The quick size shows that nothing broke; a share of 1 % is only told by `--full` (some ten minutes). Prints tables:
whole canaries (identical and bad, simulated request by request), single metrics under autocorrelation, and time
beside a bare `scipy.stats.mannwhitneyu` of the same arrays.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from scipy import stats  # noqa: E402

from include.canary import JudgeConfig, MetricPairs, Thresholds, decide, judge_config, parse_judge_config  # noqa: E402
from include.canary.judge import judge  # noqa: E402
from tests.support.canary_world import COMMITS, autoregressive, world  # noqa: E402

START = datetime(2026, 1, 1, tzinfo=UTC)
_KINDS = ("normal", "lognormal", "gamma", "gappy lognormal", "poisson 0.05", "poisson 0.5", "poisson 5", "poisson 50")


def shipped() -> JudgeConfig:
    place = ROOT / "include" / "apps" / "api.judge.toml"
    return parse_judge_config(place.read_text(), source=place.name)


def whole_canaries(config: JudgeConfig, canaries: int, points: int) -> None:
    print(f"\nWhole canaries, {points} points of 5 s, evidence {config.evidence!r}, {canaries} of each")
    print(f"{'canary':34}      go   no-go  cannot  score: min  median  deviating  critical")
    fewer = max(canaries // 4, 10)
    cases = [(commit, {"commit": commit}, canaries if commit == "good" else fewer) for commit in COMMITS]
    cases += [
        ("good, canary's machines 5 % slower", {"tilt": 1.05}, max(canaries // 2, 10)),
        ("good, host 2.5 x as restless", {"noise": 2.5}, max(canaries // 2, 10)),
    ]
    for place, (title, how, number) in enumerate(cases):
        outcomes: Counter[str] = Counter()
        scores, deviating, critical = [], 0, 0
        why: Counter[str] = Counter()
        for seed in range(number):
            verdict = judge(config, Thresholds(), world(1000 * place + seed + 17, points=points, **how))
            decision = decide(verdict, 95.0)
            outcomes[decision.outcome] += 1
            scores.append(verdict.score)
            deviating += sum(metric.label.is_deviating for metric in verdict.metrics)
            critical += len(verdict.failed_criticals)
            if title.startswith("good") and not decision.go:
                why.update(reason[:110] for reason in decision.reasons)
        shares = [100.0 * outcomes[word] / number for word in ("go", "no-go", "cannot tell yet")]
        print(
            f"{title:34} " + " ".join(f"{share:6.1f}%" for share in shares)
            + f" {min(scores):11.2f} {np.median(scores):7.2f} {deviating / number:10.2f} {critical / number:9.3f}"
        )  # fmt: skip
        for reason, times in why.most_common(4):
            print(f"      {times} x {reason}")


def single_metrics(points_tried: tuple[int, ...], metrics: int) -> None:
    """Identical sides, no tolerance, each metric alone: share flagged, as one-sided critical and as `either`."""
    print(f"\nIdentical sides, tolerance 0: % of {metrics} metrics with p under 1 % (two-sided) / 0.1 % (one-sided)")
    rule = {"match": "*", "group": "all", "direction": "either", "allowed": 0.0}
    for kind in _KINDS:
        cells = []
        for points in points_tried:
            for rho in (0.0, 0.5, 0.7, 0.9):
                rng = np.random.default_rng(points * 100 + int(rho * 10))
                sides = [_shape(kind, autoregressive(rng, rho, (metrics, points)), rng) for _ in range(2)]
                names = tuple(f"m{row}" for row in range(metrics))
                pairs = MetricPairs(names, sides[0], sides[1], START, 60)
                of_kind = {**rule, "kind": "count" if kind.startswith("poisson") else "level"}
                config = judge_config({"groups": {"all": 1}, "rules": [of_kind]}, source="bench")
                chances = np.array([metric.chance for metric in judge(config, Thresholds(), pairs).metrics])
                one_sided = 0.5 * (chances < 0.002).mean()
                cells.append(f"{100 * (chances < 0.01).mean():5.2f}/{100 * one_sided:4.2f}")
        print(f"{kind:16} " + "  ".join(cells))
    heads = [f"n={points} rho={rho}" for points in points_tried for rho in (0.0, 0.5, 0.7, 0.9)]
    print(f"{'':16} " + " ".join(f"{head:>11}" for head in heads))


def _shape(kind: str, gauss: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Marginals of another shape with the same dependence: a Gaussian copula."""
    if kind == "normal":
        return 100.0 + 10.0 * gauss
    uniform = stats.norm.cdf(gauss)
    if kind.startswith("poisson"):
        return stats.poisson.ppf(uniform, float(kind.split()[1]))
    if kind == "gamma":
        return stats.gamma.ppf(uniform, 2.0)
    values = np.exp(0.6 * gauss)
    if kind.startswith("gappy"):
        values[rng.random(values.shape) < 0.3] = np.nan
    return values


def speed() -> None:
    print("\nTime, one core, 1,150 metrics (best of 3)")
    config = shipped()
    for points in (12, 48, 480):
        pairs = world(5, points=points)
        extra = 1150 - len(pairs.names)
        rows = [*range(len(pairs.names)), *range(extra)]
        names = pairs.names + tuple(f"endpoint.x{place}.latency_p50_ms" for place in range(extra))
        wide = MetricPairs(names, pairs.baseline[rows], pairs.canary[rows], START, 5)
        mine = _best(lambda wide=wide: judge(config, Thresholds(), wide))
        filled = [np.nan_to_num(side) for side in (wide.canary, wide.baseline)]
        bare = _best(lambda filled=filled: stats.mannwhitneyu(*filled, axis=1, method="asymptotic"))
        print(f"{points:4} points: judge {mine:6.3f} s, bare mannwhitneyu {bare:6.3f} s, ratio {mine / bare:.2f}")


def _best(call: Callable[[], object]) -> float:
    taken = []
    for _ in range(3):
        begin = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begin)
    return min(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="400 canaries and 4,000 metrics of two lengths")
    parser.add_argument("--canaries", type=int, help="good ones; of the others a half or a quarter (40, full: 400)")
    parser.add_argument("--evidence", default="shipped")
    parser.add_argument("--points", type=int, default=48)
    parser.add_argument("--only", choices=("canaries", "metrics", "speed"))
    asked = parser.parse_args()
    canaries = 400 if asked.full else 40
    if asked.only in {None, "speed"}:
        speed()
    if asked.only in {None, "metrics"}:
        single_metrics((50, 180) if asked.full else (50,), 4000 if asked.full else 1000)
    if asked.only in {None, "canaries"}:
        whole_canaries(shipped().with_evidence(asked.evidence), asked.canaries or canaries, asked.points)


if __name__ == "__main__":
    main()
