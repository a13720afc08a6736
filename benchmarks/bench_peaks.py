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
    tables = (Table("learned", learned), Table("plain mean per hour of the week", plain))
    for seed in range(asked.first_seed, asked.first_seed + asked.markets):
        world = market(seed)
        for one in tables:
            one.look_at(world)
    for one in tables:
        one.show(asked.worst if one.look is learned else 0)


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


class Table:
    """What one way of learning makes of all markets. A market in which it sees no window is one of no edges found."""

    def __init__(self, title: str, look: Callable[[Market], Outlook]) -> None:
        self.title, self.look = title, look
        self.scores: list[tuple[str, float, Score]] = []
        self.seconds: list[float] = []
        self.flat = [0, 0, 0]

    def look_at(self, world: Market) -> None:
        begin = time.process_time()
        outlook = self.look(world)
        self.seconds.append(time.process_time() - begin)
        is_flat, stands_in = not true_windows(world, LOOKED_AT_DAYS), outlook.source is Source.CONFIGURED
        for place, holds in enumerate((is_flat and stands_in, is_flat and not stands_in, stands_in and not is_flat)):
            self.flat[place] += holds
        if not is_flat or not stands_in:
            about = f"{world.seed}, {world.calendar.time_zone}, {world.size:.1f}/s, {world.counts.period_seconds} s"
            score = score_of(world, () if stands_in else outlook.windows)
            self.scores.append((about, world.rules.below_share, score))

    def show(self, worst: int) -> None:
        _print(self.title, [score for _, _, score in self.scores], self.flat, self.seconds)
        for share in sorted({share for _, share, _ in self.scores}):
            print(
                f"    below {100 * share:.0f} %: {_fitting([score for _, one, score in self.scores if one == share])}"
            )
        for about, share, score in sorted(self.scores, key=lambda one: -_late(one[2]))[:worst]:
            print(f"   seed {about}, below {share}: {_late(score)} of {len(score.edges)} edges")
        for about, share, score in self.scores if worst else ():
            if score.busy_seconds:
                print(f"   seed {about}, below {share}: {score.busy_seconds / 60:.0f} min in the top third")


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
