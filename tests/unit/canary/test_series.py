"""Grids, pairs and verdicts survive their journeys."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from include.canary import (
    MetricGrid,
    MetricPairs,
    Thresholds,
    judge_config,
    pair_scopes,
    verdict_from_json,
    verdict_json,
)
from include.canary.judge import judge
from include.errors import ConfigError
from tests.support.canary_world import world

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "canary"
CONFIG = judge_config(
    {
        "groups": {"all": 1},
        "rules": [{"match": "*5xx", "group": "all", "kind": "count"}, {"match": "*", "group": "all"}],
    },
    source="test",
)


def grid() -> MetricGrid:
    values = np.arange(12.0).reshape(2, 2, 3)
    values[1, 0, 1] = np.nan
    return MetricGrid(("a", "b"), ("old", "new"), START, 5, values, {"b": "no such query", "lost": "timed out"})


def test_pairs_of_a_grid_keep_failed_metrics() -> None:
    pairs = pair_scopes(grid(), baseline="old", canary="new", metadata={"canary_image": "ami-1"})
    assert pairs.names == ("a", "b", "lost")
    np.testing.assert_array_equal(pairs.baseline[0], [0.0, 1.0, 2.0])
    np.testing.assert_array_equal(pairs.canary[0], [6.0, np.nan, 8.0])
    assert np.isnan(pairs.baseline[2]).all()
    assert pairs.metadata == {"baseline_group": "old", "canary_group": "new", "canary_image": "ami-1"}
    labels = {metric.name: metric.label.value for metric in judge(CONFIG, Thresholds(), pairs).metrics}
    assert labels["b"] == labels["lost"] == "ERROR"


def test_an_unknown_scope_is_refused() -> None:
    with pytest.raises(ConfigError, match="not among old, new"):
        pair_scopes(grid(), baseline="old", canary="newer")


def test_pairs_survive_a_file() -> None:
    pairs = world(1, points=12)
    file = io.BytesIO()
    pairs.to_npz(file)
    file.seek(0)
    back = MetricPairs.from_npz(file)
    np.testing.assert_array_equal(back.baseline, pairs.baseline)
    np.testing.assert_array_equal(back.canary, pairs.canary)
    assert (back.names, back.start, back.step_seconds, back.metadata) == (pairs.names, pairs.start, 5, pairs.metadata)


def test_something_else_is_no_recorded_canary() -> None:
    with pytest.raises(ConfigError, match="not a recorded canary"):
        MetricPairs.from_npz(io.BytesIO(b"PK nonsense"))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"start": datetime(2026, 1, 1)}, "time zone"),  # noqa: DTZ001  (naive on purpose)
        ({"names": ("a", "a")}, "twice"),
        ({"canary": np.zeros((2, 4))}, "both sides alike"),
        ({"step_seconds": 0}, "over 0"),
    ],
)
def test_pairs_that_do_not_fit_are_refused(change: dict[str, object], word: str) -> None:
    good = {
        "names": ("a", "b"),
        "baseline": np.zeros((2, 3)),
        "canary": np.zeros((2, 3)),
        "start": START,
        "step_seconds": 5,
    }
    with pytest.raises(ConfigError, match=word):
        MetricPairs(**{**good, **change})  # type: ignore[arg-type]


def test_verdict_survives_json_with_all_its_numbers() -> None:
    rng = np.random.default_rng(1)
    names = ("http.5xx", "gone", "latency")
    baseline = np.stack([np.zeros(48), np.full(48, np.nan), rng.normal(10, 1, 48)])
    canary = np.stack([rng.poisson(1.0, 48), rng.normal(10, 1, 48), rng.normal(10, 1, 48)])
    verdict = judge(CONFIG, Thresholds(), MetricPairs(names, baseline, canary, START, 5))
    text = json.dumps(verdict_json(verdict), allow_nan=False)
    back = verdict_from_json(json.loads(text))
    assert verdict_json(back) == verdict_json(verdict)
    assert back.metric("http.5xx") == verdict.metric("http.5xx")
    assert back.counts == verdict.counts


def test_a_stored_verdict_of_version_1_still_loads() -> None:
    back = verdict_from_json(json.loads((GOLDEN / "verdict_v1.json").read_text()))
    assert [metric.label.value for metric in back.metrics] == ["HOT", "NO_DATA", "PASS"]
    assert back.metrics[0].effect == float("inf")


def test_a_stored_canary_of_version_1_still_loads() -> None:
    with (GOLDEN / "pairs_v1.npz").open("rb") as file:
        pairs = MetricPairs.from_npz(file)
    assert (len(pairs.names), pairs.points, pairs.metadata["canary_image"]) == (3, 12, "ami-1")


def test_a_later_verdict_is_refused() -> None:
    with pytest.raises(ConfigError, match="version"):
        verdict_from_json({"version": 3})


def test_a_torn_file_is_refused() -> None:
    buffer = io.BytesIO()
    MetricPairs(("m",), np.ones((1, 3)), np.ones((1, 3)), datetime(2026, 1, 1, tzinfo=UTC), 60).to_npz(buffer)
    torn = buffer.getvalue()[: len(buffer.getvalue()) // 2]
    with pytest.raises(ConfigError, match="not a recorded canary"):
        MetricPairs.from_npz(io.BytesIO(torn))


def test_tags_and_lengths_travel_with_the_pairs() -> None:
    pairs = MetricPairs(
        ("m", "m"),
        np.ones((2, 3)),
        np.ones((2, 3)),
        datetime(2026, 1, 1, tzinfo=UTC),
        60,
        tags=({"zone": "a"}, {"zone": "b"}),
        lengths=np.array([[3, 2], [3, 3]]),
    )
    buffer = io.BytesIO()
    pairs.to_npz(buffer)
    buffer.seek(0)
    again = MetricPairs.from_npz(buffer)
    assert again.tags == pairs.tags
    assert again.lengths is not None
    np.testing.assert_array_equal(again.lengths, [[3, 2], [3, 3]])
    with pytest.raises(ConfigError, match="is there twice"):
        MetricPairs(("m", "m"), np.ones((2, 3)), np.ones((2, 3)), datetime(2026, 1, 1, tzinfo=UTC), 60)
