"""How often a watch is wrong: identical red and previous, and red with the faults that users know.

`python -m benchmarks.bench_watch [watches] [seed] [words of one row]` prints the table of docs/judging.md. A watch is
played look by look, as an operator does: it ends unsound at the first look that says so, and sound at the first look
after its time that says so; one that still says unknown after twice its time counts apart, and is a failed one too.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from math import ceil
from pathlib import Path

import numpy as np

from include.canary import JudgeConfig, parse_judge_config
from include.canary.stretches import part_of
from include.canary.watch import WatchVerdict, watch_levels, watch_side_by_side
from include.canary.watch_looks import LOOKS
from tests.support.watch_world import SOUND, Fault, Hours, grid_of, measured, pairs_of

SETTINGS = Path(__file__).resolve().parents[1] / "include" / "apps" / "api.judge.toml"
FAULTS = {
    "identical": SOUND,
    "5xx 0.1 % -> 2 %": Fault(errors=0.019),
    "latency +50 %": Fault(slower=1.5),
    "leak 7 MiB/min": Fault(leak_mib_a_minute=7.0),
}
STEP, LEAST, PUBLISHED_AFTER_SECONDS = 5, 6, 2.0
Case = Callable[[np.random.Generator, Fault], tuple[str, float]]
UNKNOWN = WatchVerdict("unknown")


@dataclass(frozen=True)
class Soak:
    """How a canary was recorded, and how long red is watched alone."""

    points: int
    step_seconds: int
    watch_seconds: int


# Eight hours, which the store only serves in minutes; and half an hour in the application's own period.
LONG, SHORT = Soak(480, 60, 600), Soak(360, 5, 600)


def play(length_seconds: int, step_seconds: int, look: Callable[[int], WatchVerdict]) -> tuple[str, float]:
    """How a watch ends, and after how many of its lengths; `look` judges so many points."""
    for number in range(1, 2 * LOOKS + 1):
        points = int((length_seconds * number / LOOKS - PUBLISHED_AFTER_SECONDS) // step_seconds)
        verdict = look(points) if points > 0 else UNKNOWN
        if verdict.state == "unsound":
            return "severe" if verdict.is_severe else "unsound", number / LOOKS
        if verdict.state == "sound" and number >= LOOKS:
            return "sound", number / LOOKS
    return "unknown to the end", 2.0


def side_by_side(
    config: JudgeConfig, rng: np.random.Generator, fault: Fault, length: int, least: int = LEAST
) -> tuple[str, float]:
    """Red has half of the traffic and 10 % more of it than previous, and the traffic drifts by up to 30 %."""
    hours = Hours.drawn(rng, 2 * length // STEP, STEP, drift=rng.uniform(-0.3, 0.3))
    pairs = pairs_of(measured(rng, hours, 0.40), measured(rng, hours, 0.45, fault), STEP)

    def look(points: int) -> WatchVerdict:
        sides = (pairs.baseline[:, :points], pairs.canary[:, :points])
        return watch_side_by_side(config, replace(pairs, baseline=sides[0], canary=sides[1]), least)

    return play(length, STEP, look)


def alone(config: JudgeConfig, rng: np.random.Generator, fault: Fault, soak: Soak) -> tuple[str, float]:
    """Red has all traffic, in another hour and region than the canary: three to eleven times its requests, on a host
    that is up to 30 % slower; previous had the same just before."""
    step, length = soak.step_seconds, soak.watch_seconds
    then = Hours.drawn(rng, soak.points, step, drift=rng.uniform(-0.5, 1.0))
    recorded = pairs_of(measured(rng, then, 0.15), measured(rng, then, 0.15), step)
    points = 2 * length // step
    now = Hours.drawn(rng, 2 * points, step, rps=60.0 * rng.uniform(0.5, 2.0), slow=rng.uniform(0.9, 1.3))
    before, after = (Hours(now.rps[half], now.busy[half], step) for half in (slice(0, points), slice(points, None)))
    rows = {name: series[: length // step] for name, series in measured(rng, before, 0.85).items()}
    previous = grid_of(rows, step, "previous")
    red = grid_of(measured(rng, after, 0.85, fault), step)
    least = max(ceil(LEAST * STEP / step), 1)
    written = config.with_point(step, written_for_seconds=STEP)

    def look(seen: int) -> WatchVerdict:
        so_far = part_of(red, red.start, red.start + timedelta(seconds=seen * step))
        return watch_levels(written, recorded, so_far, previous, least)

    return play(length, step, look)


def main() -> None:
    watches = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    config = parse_judge_config(SETTINGS.read_text(), source=SETTINGS.name)
    quick = config.with_evidence("test")
    cases: dict[str, Case] = {
        "side by side, 30 s, evidence of tests": lambda rng, fault: side_by_side(quick, rng, fault, 30, least=2),
        "side by side, 60 s": lambda rng, fault: side_by_side(config, rng, fault, 60),
        "side by side, 600 s": lambda rng, fault: side_by_side(config, rng, fault, 600),
        "alone, 600 s, 8 h soak by the minute": lambda rng, fault: alone(config, rng, fault, LONG),
        "alone, 600 s, 30 min soak by 5 s": lambda rng, fault: alone(config, rng, fault, SHORT),
    }
    print(f"{watches} watches each | unsound | severe | unknown to the end | median end, share of its time")
    for what, case in cases.items():
        if len(sys.argv) > 3 and sys.argv[3] not in what:
            continue
        for name, fault in FAULTS.items():
            some = watches if name == "identical" else max(watches // 10, 100)
            ends = [case(np.random.default_rng([seed, number]), fault) for number in range(some)]
            counts = Counter(end for end, _ in ends)
            median = float(np.median([at for _, at in ends]))
            wrong = " | ".join(f"{counts[key] / some:.2%}" for key in ("unsound", "severe", "unknown to the end"))
            print(f"{what}, {name} ({some}) | {wrong} | {median:.2f}", flush=True)


if __name__ == "__main__":
    main()
