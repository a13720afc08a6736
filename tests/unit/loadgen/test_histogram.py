"""Histograms: quantiles within 2 %, merging and subtracting without loss."""

from __future__ import annotations

import json
from random import Random

import pytest

from include.loadgen import Counters, Histogram
from include.loadgen.histogram import GROWTH, HIGHEST_MS


def test_quantiles_are_at_most_two_percent_above_the_truth() -> None:
    rng = Random(1)
    values = sorted(rng.lognormvariate(3, 1) for _ in range(5000))
    histogram = Histogram.of(values)
    for level in (0.01, 0.5, 0.9, 0.99, 1.0):
        true = values[max(int(level * 5000 + 0.999999) - 1, 0)]
        assert true <= histogram.quantile(level) <= true * GROWTH * 1.0001
    assert histogram.mean_ms == pytest.approx(sum(values) / 5000)


def test_an_empty_histogram_has_no_latencies() -> None:
    assert (Histogram().count, Histogram().quantile(0.5), Histogram().mean_ms) == (0, 0.0, 0.0)


def test_values_outside_are_counted_as_the_nearest() -> None:
    histogram = Histogram.of([0.0, -1.0, 1e12])
    assert histogram.count == 3
    assert histogram.quantile(1.0) == pytest.approx(HIGHEST_MS, rel=0.03)


def test_merged_and_subtracted_histograms_are_those_of_the_values() -> None:
    first, second = [1.0, 2.0, 3.0], [2.0, 500.0]
    merged = Histogram.of(first) + Histogram.of(second)
    assert merged.counts == Histogram.of(first + second).counts
    assert (merged - Histogram.of(second)).counts == Histogram.of(first).counts


def test_counters_survive_json() -> None:
    counters = Counters(
        9,
        {200: 5, 404: 1, 503: 1},
        {"timeout": 1},
        {"g/i/v": 6},
        Histogram.of([3.0, 700.0]),
        Histogram.of([0.2]),
        skipped=2,
        abandoned=1,
    )
    again = Counters.from_document(json.loads(json.dumps(counters.to_document())))
    assert again == counters
    assert (again.ok, again.failed, again.under_way) == (6, 2, 0)


def test_an_interval_is_after_minus_before() -> None:
    before = Counters(2, {200: 2}, {}, {"a/i/1": 2}, Histogram.of([1.0, 2.0]))
    after = before + Counters(3, {200: 1, 500: 1}, {"reset": 1}, {"b/i/2": 2}, Histogram.of([5.0, 6.0]))
    interval = after - before
    assert interval.statuses == {200: 1, 500: 1}
    assert interval.by_part(0) == {"b": 2}
    assert interval.by_part(2) == {"2": 2}
    assert interval.latency.counts == Histogram.of([5.0, 6.0]).counts


def test_answers_of_somebody_else_have_no_group() -> None:
    assert Counters(served_by={"": 1, "solo": 2}).by_part(2) == {"unknown": 3}
