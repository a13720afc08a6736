"""How well quiet windows are learned from 28 days of a market's requests, and how long that takes. Seeds are fixed.

    python benchmarks/bench_peaks.py [--markets 1000] [--first-seed 0] [--worst 10]

Each market has 10 % holes, spikes and hours of 10 times the traffic, growth, a holiday and, most of them, a change of
the clock.
Beside it, on the same data: a plain mean per hour of the week, with the same rules.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from include.peaks import Curve, Outlook, Source, learn_curve, quiet_windows
from tests.support.market_scores import ALLOWED_SECONDS, LOOKED_AT_DAYS, Score, score_of
from tests.support.markets import HISTORY_DAYS, HORIZON_DAYS, Market, market, true_windows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--markets", type=int, default=1000)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--worst", type=int, default=0, help="also print the markets that fit worst")
    asked = parser.parse_args()
    worlds = [market(seed) for seed in range(asked.first_seed, asked.first_seed + asked.markets)]
    for title, look in (("learned", learned), ("plain mean per hour of the week", plain)):
        table(title, worlds, look, asked.worst if look is learned else 0)


def learned(world: Market) -> Outlook:
    curve = learn_curve(world.counts, world.calendar, world.now)
    return quiet_windows(curve, world.calendar, world.rules, world.now, HORIZON_DAYS)


def plain(world: Market) -> Outlook:
    """What one would write first: the mean of all counts of each hour of the week, in the market's time."""
    zone = ZoneInfo(world.calendar.time_zone)
    clock = [datetime.fromtimestamp(int(start), zone) for start in world.counts.starts]
    hour = np.asarray([at.weekday() * 24 + at.hour for at in clock])
    rates = world.counts.counts / world.counts.period_seconds
    known = np.bincount(hour, minlength=168)
    level = np.repeat(np.bincount(hour, weights=rates, minlength=168) / np.maximum(known, 1), 4)
    curve = Curve(world.calendar.time_zone, level, np.zeros_like(level), HISTORY_DAYS, world.now)
    return quiet_windows(curve, world.calendar, world.rules, world.now, HORIZON_DAYS)


def table(title: str, worlds: list[Market], look: Callable[[Market], Outlook], worst: int) -> None:
    looked: list[tuple[Market, Score]] = []
    flat, seconds = [0, 0, 0], []
    for world in worlds:
        begin = time.perf_counter()
        outlook = look(world)
        seconds.append(time.perf_counter() - begin)
        is_flat = not true_windows(world, LOOKED_AT_DAYS)
        stands_in = outlook.source is Source.CONFIGURED
        flat[0] += is_flat and stands_in
        flat[1] += is_flat and not stands_in
        flat[2] += stands_in and not is_flat
        if not is_flat or not stands_in:
            looked.append((world, score_of(world, () if stands_in else outlook.windows)))
    _print(title, [score for _, score in looked], flat, seconds)
    for share in sorted({world.rules.below_share for world in worlds}):
        scores = [score for world, score in looked if world.rules.below_share == share]
        print(f"    below {100 * share:.0f} %: {_fitting(scores)}")
    for world, score in sorted(looked, key=lambda one: -_late(one[1]))[:worst]:
        about = f"{world.calendar.time_zone}, peak {world.size:.1f}/s, below {world.rules.below_share}"
        print(f"   seed {world.seed}: {_late(score)} of {len(score.edges)} edges, {about}")


def _print(title: str, scores: list[Score], flat: list[int], seconds: list[float]) -> None:
    edges = np.concatenate([np.asarray(score.edges) for score in scores])
    matched = edges[np.isfinite(edges)] / 60
    true = sum(score.true_seconds for score in scores)
    overlaps = [score.busy_seconds for score in scores if score.busy_seconds]
    middle, most, worst = np.percentile(matched, (50, 99, 100))
    print(f"\n{title}: {len(scores):,} markets with windows, {len(edges):,} edges")
    print(f"  within 30 min: {_fitting(scores)}")
    print(f"  median / 99 % / worst edge   {middle:.0f} / {most:.0f} / {worst:.0f} min")
    print(f"  edges of windows that only one side has {np.count_nonzero(~np.isfinite(edges))}")
    print(f"  overlap with the true top third         {len(overlaps)} markets, {sum(overlaps) / 3600:.2f} h in all")
    print(f"  true quiet time found        {100 * sum(score.found_seconds for score in scores) / true:6.2f} %")
    print(f"  in windows, not truly quiet  {100 * sum(score.beyond_seconds for score in scores) / true:6.2f} %")
    print(f"  no window at all: rightly / not seen / wrongly  {flat[0]} / {flat[1]} / {flat[2]}")
    print(f"  time a market, median / worst  {1e3 * np.median(seconds):.1f} / {1e3 * max(seconds):.1f} ms")


def _fitting(scores: list[Score]) -> str:
    """Of edges; of markets by their next window, and by every window of the week."""
    edges = np.concatenate([np.asarray(score.edges) for score in scores])
    within = 100 * np.mean(edges <= ALLOWED_SECONDS)
    following = 100 * np.mean([score.next_fits for score in scores])
    every = 100 * np.mean([score.fits for score in scores])
    return f"{within:.2f} % of edges; markets: {following:.1f} % next window, {every:.1f} % every window of the week"


def _late(score: Score) -> int:
    return sum(edge > ALLOWED_SECONDS for edge in score.edges)


if __name__ == "__main__":
    main()
