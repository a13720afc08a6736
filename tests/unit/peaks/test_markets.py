"""Simulated markets with holes, spikes, outages, growth, holidays and changes of the clock: 60 of the 1,000 of
benchmarks/bench_peaks.py, by the same truth."""

from __future__ import annotations

import numpy as np
import pytest

from include.peaks import Source, learn_curve, quiet_windows
from tests.support.market_scores import ALLOWED_SECONDS, Score, score_of
from tests.support.markets import HORIZON_DAYS, market, true_windows

MARKETS = 60


@pytest.fixture(scope="module")
def scores() -> list[Score]:
    found = []
    for seed in range(MARKETS):
        world = market(seed)
        curve = learn_curve(world.counts, world.calendar, world.now)
        outlook = quiet_windows(curve, world.calendar, world.rules, world.now, HORIZON_DAYS)
        assert outlook.source is Source.LEARNED, f"seed {seed}"
        found.append(score_of(world, outlook.windows))
    return found


def test_edges_are_within_half_an_hour_of_the_truth(scores):
    edges = np.concatenate([np.asarray(score.edges) for score in scores])
    assert np.mean(edges <= ALLOWED_SECONDS) >= 0.95
    assert np.median(edges) < 15 * 60


def test_no_window_overlaps_the_true_top_third_of_a_day(scores):
    assert [seed for seed, score in enumerate(scores) if score.busy_seconds] == []


def test_most_of_the_truly_quiet_time_is_found(scores):
    found, true = (sum(getattr(score, name) for score in scores) for name in ("found_seconds", "true_seconds"))
    assert found / true > 0.95


def test_without_mishaps_hardly_an_edge_is_off():
    edges = []
    for seed in range(12):
        world = market(seed, holes=0.0, spikes=False)
        curve = learn_curve(world.counts, world.calendar, world.now)
        outlook = quiet_windows(curve, world.calendar, world.rules, world.now, HORIZON_DAYS)
        edges += score_of(world, outlook.windows).edges
    assert np.mean(np.asarray(edges) <= ALLOWED_SECONDS) >= 0.95


def test_the_truth_itself_keeps_off_the_top_third():
    for seed in range(12):
        world = market(seed)
        if not world.calendar.holidays.keys() - {day for day in world.calendar.holidays if day < world.now.date()}:
            assert score_of(world, true_windows(world)).busy_seconds == 0
