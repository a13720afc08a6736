"""How often the judge cries wolf, what it misses, and how long it takes. Seeds are fixed; one core.

    python benchmarks/bench_judge.py [--full] [--only speed|identical|canaries|power|cases|soaks] [--plots FOLDER]

The quick size (about two minutes) shows that nothing broke; a share of 0.05 % is only told by `--full` (half an hour),
whose tables stand in docs/judge.md. Times are ratios to scipy and numpy on the same arrays in the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(name, "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from scipy import special, stats  # noqa: E402

from benchmarks.canary_cells import (  # noqa: E402
    POINTS,
    RHOS,
    SHAPES,
    START,
    flagged,
    settings,
    shaped,
    standard_error,
    two_sides,
    verdict_on,
)
from include.canary import JudgeConfig, MetricPairs, Thresholds, decide, judge_config, parse_judge_config  # noqa: E402
from include.canary.judge import judge  # noqa: E402
from tests.support.canary_world import COMMITS, autoregressive, world  # noqa: E402

RESULTS: dict[str, object] = {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="the sizes of docs/judge.md")
    parser.add_argument("--only", choices=("speed", "identical", "canaries", "power", "cases", "soaks"))
    parser.add_argument("--json", type=Path, help="write the figures there (for plot_judge.py)")
    asked = parser.parse_args()
    parts: dict[str, Callable[[bool], None]] = {
        "speed": lambda full: speed(),
        "cases": lambda full: cases(),
        "identical": identical,
        "canaries": identical_canaries,
        "power": power,
        "soaks": simulated_soaks,
    }
    for name, part in parts.items():
        if asked.only in {None, name}:
            part(asked.full)
    if asked.json:
        asked.json.write_text(json.dumps(RESULTS, indent=1))


def speed() -> None:
    print("\nTime, one core, 1,200 metrics x 480 + 480 points (900 gamma, 300 Poisson), best of 5")
    baseline, canary = _mixed()
    config = settings(allowed=0.1)
    both = np.concatenate([baseline, canary], axis=1)
    bare = _best(lambda: stats.mannwhitneyu(canary, baseline, axis=1))
    sort = _best(lambda: np.sort(both, axis=1))
    mine = _best(lambda: verdict_on(config, baseline, canary))
    theirs = _best(lambda: verdict_on(settings(profile="kayenta"), baseline, canary), times=2)
    print(f"profile redstart {mine:.3f} s: {mine / bare:.2f} x scipy's bare p-values, {mine / sort:.1f} x np.sort")
    print(f"profile kayenta  {theirs:.3f} s: {theirs / bare:.2f} x scipy's bare p-values")
    print(f"mannwhitneyu {bare:.3f} s, np.sort {sort:.4f} s")
    print("\nFirst judgement of a fresh process, imports included")
    for title, cache in (("kernel cache filled", None), ("kernel cache empty", tempfile.mkdtemp())):
        where = {"NUMBA_CACHE_DIR": cache} if cache else {}
        begin = time.perf_counter()
        told = subprocess.run(
            [sys.executable, __file__, "--only", "speed"], env={**os.environ, **where, "REDSTART_BENCH_FIRST": "1"},
            check=True, capture_output=True, text=True, cwd=ROOT,
        ).stdout.split()  # fmt: skip
        whole = time.perf_counter() - begin
        print(f"{title:20} {float(told[0]):5.2f} s in the process, {whole:5.2f} s in all, {told[1]} MB at most")


def _mixed() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    sides = [np.concatenate([rng.gamma(2.0, 1.0, (900, 480)), rng.poisson(0.7, (300, 480))]) for _ in range(2)]
    return sides[0], sides[1]


def first_judgement() -> None:
    """What the fresh process of `speed` does: its seconds since it began, and its memory."""
    import resource

    baseline, canary = _mixed()
    verdict_on(settings(allowed=0.1), baseline, canary)
    print(time.perf_counter() - BEGIN, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def _best(call: Callable[[], object], times: int = 5) -> float:
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begin)
    return min(taken)


def identical(full: bool) -> None:
    metrics, critical = (5_000, 20_000) if full else (2_000, 4_000)
    print(f"\nIdentical sides, nothing allowed, both directions: % of {metrics:,} metrics that deviate")
    print(f"(in brackets: % of {critical:,} critical ones that stop; profile kayenta at the right, of 400)")
    print(f"{'shape':13}" + "".join(f"{f'n={n} rho={rho:g}':>18}" for n in POINTS for rho in RHOS))
    worst = [0.0, 0.0]
    table = {}
    for shape in SHAPES:
        cells = []
        for points in POINTS:
            for rho in RHOS:
                sides = two_sides(shape, rho, points, critical, seed=points * 10 + int(rho * 10))
                plain = flagged(settings(), sides[0][:metrics], sides[1][:metrics])
                stopped = flagged(settings(is_critical=True), *sides, stops=True)
                theirs = flagged(settings(profile="kayenta"), sides[0][:400], sides[1][:400])
                worst = [max(worst[0], plain), max(worst[1], stopped)]
                cells.append((plain, stopped, theirs))
        table[shape] = cells
        print(f"{shape:13}" + "".join(f"{f'{a:.2f} ({b:.3f}) {c:.0f}':>18}" for a, b, c in cells), flush=True)
    RESULTS["identical"] = table
    print(f"worst cell: {worst[0]:.2f} % (bound 2), critical {worst[1]:.3f} % (bound 0.05)")


def identical_canaries(full: bool) -> None:
    number = 100 if full else 20
    sizes, weights = (40, 160, 300, 350, 150), (35, 25, 20, 15, 5)
    groups = {f"g{place}": weight for place, weight in enumerate(weights)}
    rules = [
        {"match": f"g{place}.{'critical' if place < 5 else ''}*", "group": f"g{place}", "critical": True}
        for place in range(5)
    ]
    rules += [{"match": f"g{place}.*", "group": f"g{place}"} for place in range(5)]
    rules += [{"match": "*", "group": "g0"}]
    wide = [{**rule, "direction": "either", "allowed": 0.0} for rule in rules]
    config = judge_config({"groups": groups, "rules": wide}, source="bench")
    names = tuple(
        f"g{place}.{'critical' if row == 0 else f'm{row}'}" for place, size in enumerate(sizes) for row in range(size)
    )
    scores, going = [], 0
    for seed in range(number):
        sides = two_sides("lognormal", 0.5, 480, 1000, seed=9000 + seed)
        verdict = judge(config, Thresholds(), MetricPairs(names, *sides, START, 60))
        scores.append(verdict.score)
        going += decide(verdict).go
    high = sum(score >= 95.0 for score in scores)
    print(
        "\nIdentical canaries of 1,000 metrics (480 points, rho 0.5, five critical, unequal weights, nothing allowed)"
    )
    print(f"{high} of {number} score >= 95, {going} go; least {min(scores):.2f}, median {np.median(scores):.2f}")


def power(full: bool) -> None:
    metrics = 2_000 if full else 500
    print("\nPower, nothing allowed: % of metrics found that are shifted by 5 standard errors (>= 20 effective points)")
    table = {}
    for shape in SHAPES:
        cells = []
        for points in POINTS:
            for rho in RHOS:
                if points * (1 - rho) / (1 + rho) < 20 or _rate(shape) * points < 5:
                    cells.append(float("nan"))
                    continue
                cells.append(flagged(settings(), *_shifted(shape, rho, points, metrics)))
        table[shape] = cells
        print(f"{shape:13}" + "".join(f"{'-' if np.isnan(cell) else f'{cell:.1f}':>8}" for cell in cells), flush=True)
    print(f"{'':13}" + "".join(f"{f'{n}/{rho:g}':>8}" for n in POINTS for rho in RHOS) + "   (points / rho)")
    RESULTS["power"] = table
    print("\nWith the shipped tolerance of 10 %: % found of a rise by that much (gamma, cv 0.25)")
    rises = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
    print(f"{'points/rho':13}" + "".join(f"{f'+{rise:.0%}':>8}" for rise in rises))
    tolerant = {}
    for points in POINTS:
        for rho in (0.0, 0.5, 0.9):
            rng = np.random.default_rng(points)
            sides = [stats.gamma.ppf(special.ndtr(autoregressive(rng, rho, (metrics, points))), 16.0) for _ in range(2)]
            cells = [flagged(settings(allowed=0.1), sides[0], sides[1] * (1 + rise)) for rise in rises]
            tolerant[f"{points} points, rho {rho:g}"] = [rises, cells]
            print(f"{f'{points}/{rho:g}':13}" + "".join(f"{cell:8.1f}" for cell in cells), flush=True)
    RESULTS["tolerant"] = tolerant


def _rate(shape: str) -> float:
    return float(shape.split()[1]) if shape.startswith("poisson") else np.inf


def _shifted(shape: str, rho: float, points: int, metrics: int) -> tuple[np.ndarray, np.ndarray]:
    """A canary whose mean is five standard errors of the difference higher, by the true autocorrelation."""
    baseline, canary = two_sides(shape, rho, points, metrics, seed=77 + points)
    if not shape.startswith("poisson"):
        return baseline, canary + 5.0 * standard_error(rho, points, 2.0 * float(baseline.var()))
    # counts grow in variance as they grow: the error is that of the alternative, by the spread of long simulated means
    rate, high = _rate(shape), _rate(shape)
    many = two_sides(shape, rho, points, 4_000, seed=5)[0].mean(axis=1)
    for _ in range(4):
        other = two_sides(f"poisson {high}", rho, points, 4_000, seed=6)[0].mean(axis=1)
        high = rate + 5.0 * float(np.sqrt(many.var() + other.var()))
    rng = np.random.default_rng(78 + points)
    return baseline, shaped(f"poisson {high}", autoregressive(rng, rho, (metrics, points)))


def cases() -> None:
    print("\nSingle cases, % of 1,000 found")
    rng = np.random.default_rng(3)
    for scale in (1.0, 1e-3, 1e-6, 1e-9):
        sides = [rng.gamma(16.0, 1.0, (1000, 60)) * scale for _ in range(2)]
        found = [flagged(settings(profile=profile), sides[0], sides[1] * 1.3) for profile in ("redstart", "kayenta")]
        shipped = flagged(settings(allowed=0.1), sides[0], sides[1] * 1.3)
        print(f"+30 %, n = 60, cv 0.25, scale {scale:g}: {found[0]:.1f} (10 % allowed: {shipped:.1f})")
    for points in (60, 180, 480):
        sides = [rng.gamma(16.0, 1.0, (1000, points)) for _ in range(2)]
        exact, random = sides[1].copy(), sides[1].copy()
        exact[:, ::10] *= 100.0
        random[rng.random(random.shape) < 0.1] *= 100.0
        told = [flagged(settings(), sides[0], canary) for canary in (exact, random)]
        theirs = flagged(settings(profile="kayenta"), sides[0], exact)
        print(
            f"10 % of points 100 x slower, n = {points}: every tenth {told[0]:.1f}, at random {told[1]:.1f} "
            f"(profile kayenta {theirs:.1f})"
        )


def shipped_settings() -> JudgeConfig:
    place = ROOT / "include" / "apps" / "api.judge.toml"
    return parse_judge_config(place.read_text(), source=place.name)


def simulated_soaks(full: bool) -> None:
    number, config = (200 if full else 20), shipped_settings()
    print(f"\nSimulated soaks of the sample application, 48 points of 5 s, shipped settings, {number} good ones")
    print(f"{'canary':34}      go   no-go  cannot  score: min  median  deviating  critical")
    fewer = max(number // 4, 10)
    runs = [(commit, {"commit": commit}, number if commit == "good" else fewer) for commit in COMMITS]
    runs += [
        ("good, canary's machines 5 % slower", {"tilt": 1.05}, fewer),
        ("good, host 2.5 x as restless", {"noise": 2.5}, fewer),
    ]
    for place, (title, how, times) in enumerate(runs):
        outcomes: Counter[str] = Counter()
        verdicts = [
            judge(config, Thresholds(), world(1000 * place + seed + 17, points=48, **how)) for seed in range(times)
        ]
        outcomes.update(decide(verdict, 95.0).outcome for verdict in verdicts)
        shares = [100.0 * outcomes[word] / times for word in ("go", "no-go", "cannot tell yet")]
        scores = [verdict.score for verdict in verdicts]
        deviating = np.mean([sum(metric.label.is_deviating for metric in verdict.metrics) for verdict in verdicts])
        critical = np.mean([len(verdict.failed_criticals) for verdict in verdicts])
        print(
            f"{title:34} " + " ".join(f"{share:6.1f}%" for share in shares)
            + f" {min(scores):11.2f} {np.median(scores):7.2f} {deviating:10.2f} {critical:9.3f}", flush=True,
        )  # fmt: skip


BEGIN = time.perf_counter()
if __name__ == "__main__":
    if os.environ.get("REDSTART_BENCH_FIRST"):
        first_judgement()
    else:
        main()
