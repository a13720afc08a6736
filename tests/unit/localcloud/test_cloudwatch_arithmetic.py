"""CloudWatch's arithmetic against plain Python, on random samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.localcloud.cloudwatch.aggregate import StatisticSet, Window, aggregate, is_statistic
from include.localcloud.cloudwatch.chunks import Chunk, Head, Samples, join_samples, roll_up

# Sizes at which rounding cannot hide a wrong formula.
sample_lists = st.lists(
    st.tuples(st.integers(0, 400), st.integers(-1000, 1000).map(lambda n: n / 8), st.integers(1, 4)),
    min_size=1,
    max_size=60,
)


def make_samples(rows: list[tuple[int, float, int]], *, is_counted: bool = True) -> Samples:
    counts = np.array([row[2] for row in rows], dtype=np.float64) if is_counted else None
    return Samples(np.array([row[0] for row in rows]), np.array([row[1] for row in rows], dtype=np.float64), counts)


def periods(rows: list[tuple[int, float, int]], start: int, end: int, period: int) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    for time, value, count in rows:
        if start <= time < end:
            found.setdefault(start + (time - start) // period * period, []).extend([value] * count)
    return dict(sorted(found.items()))


@settings(max_examples=60, deadline=None)
@given(sample_lists, st.sampled_from([1, 5, 60]), st.integers(0, 100))
def test_statistics_are_those_of_the_samples_written_out(
    rows: list[tuple[int, float, int]], period: int, start: int
) -> None:
    window = Window(start, 350, period)
    expected = periods(rows, start, 350, period)
    for stat, calculate in {
        "Sum": np.sum, "Average": np.mean, "Minimum": np.min, "Maximum": np.max, "SampleCount": len,
        "p0": np.min, "p50": np.median, "p99.5": lambda v: np.percentile(v, 99.5), "p100": np.max, "tm100": np.mean,
        "tm50": lambda v: trimmed_mean(v, 0.5),
    }.items():  # fmt: skip
        points = aggregate(make_samples(rows), [], window, stat)
        assert points.times.tolist() == list(expected), stat
        np.testing.assert_allclose(points.values, [calculate(v) for v in expected.values()], atol=1e-9, err_msg=stat)


def trimmed_mean(values: list[float], fraction: float) -> float:
    kept = len(values) * fraction
    shares = np.clip(kept - np.arange(len(values)), 0, 1)
    return float((np.sort(values) * shares).sum() / shares.sum())


@settings(max_examples=60, deadline=None)
@given(sample_lists, st.booleans())
def test_sealing_loses_nothing(rows: list[tuple[int, float, int]], is_counted: bool) -> None:
    head = Head()
    for time, value, count in rows:
        if is_counted:
            head.append_counted(time + 1_800_000_000, value, count)
        else:
            head.append(time + 1_800_000_000, value + 0.1)  # 0.1: no float32 holds it
    before, after = head.samples(), Chunk(head.samples()).samples()
    np.testing.assert_array_equal(after.times, before.times)
    np.testing.assert_array_equal(after.values, before.values)
    np.testing.assert_array_equal(after.weights(), before.weights())


@settings(max_examples=60, deadline=None)
@given(sample_lists)
def test_rolling_up_keeps_sums_counts_and_bounds_per_minute(rows: list[tuple[int, float, int]]) -> None:
    samples = make_samples(rows)
    rolled = roll_up(samples, 5)
    window = Window(0, 480, 60)
    for stat in ("Sum", "Average", "Minimum", "Maximum", "SampleCount"):
        before, after = aggregate(samples, [], window, stat), aggregate(rolled, [], window, stat)
        np.testing.assert_array_equal(after.times, before.times)
        np.testing.assert_allclose(after.values, before.values, atol=1e-9)
    assert np.unique(rolled.times, return_counts=True)[1].max() <= 5


def test_a_mix_of_counted_and_plain_samples_joins() -> None:
    joined = join_samples([make_samples([(0, 1.0, 3)]), make_samples([(0, 5.0, 1)], is_counted=False)])
    assert aggregate(joined, [], Window(0, 60, 60), "Average").values.tolist() == [2.0]
    assert len(join_samples([])) == 0


def test_sets_count_in_sums_but_take_percentiles_from_their_period_only() -> None:
    samples = make_samples([(0, 4.0, 1), (60, 9.0, 1)])
    sets = [StatisticSet(30, 3, 8.0, 1.0, 6.0), StatisticSet(500, 1, 1.0, 1.0, 1.0)]
    window = Window(0, 120, 60)
    assert aggregate(samples, sets, window, "Average").values.tolist() == [3.0, 9.0]
    assert aggregate(samples, sets, window, "Minimum").values.tolist() == [1.0, 9.0]
    found = aggregate(samples, sets, window, "p50")
    assert (found.times.tolist(), found.values.tolist()) == ([60], [9.0])


@pytest.mark.parametrize("stat", ["p50", "P99.9", "tm90", "Average", "p0", "p100"])
def test_known_statistics(stat: str) -> None:
    assert is_statistic(stat)


@pytest.mark.parametrize("stat", ["average", "p101", "p", "tm", "TM(1%:9%)", "p-1", "", "p5x"])
def test_unknown_statistics(stat: str) -> None:
    assert not is_statistic(stat)
