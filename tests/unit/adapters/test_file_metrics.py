"""Recorded canaries as a store: what a live store would have answered for the same groups and times."""

from __future__ import annotations

import dataclasses
import io
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from include.adapters.file_metrics import FileMetrics, read_pairs, to_grid
from include.adapters.metric_store import MetricStore
from include.canary.series import MetricPairs, pair_scopes
from include.errors import ConfigError

NOON = datetime(2026, 5, 6, 12, 0, tzinfo=UTC)
GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "canary" / "pairs_v1.npz"
GROUPS = {"baseline_group": "api-main-baseline-v002", "canary_group": "api-main-canary-v002"}
SCOPES = {group: {"AutoScalingGroupName": group} for group in GROUPS.values()}


def pairs_of(**changed: object) -> MetricPairs:
    """Six points of 10 s of two metrics: 0..5 and 10..15; the canary's are 100 more."""
    values = np.arange(6.0) + np.array([[0.0], [10.0]])
    return dataclasses.replace(MetricPairs(("a", "b"), values, values + 100, NOON, 10, GROUPS), **changed)  # type: ignore[arg-type]


@pytest.fixture
def record(tmp_path: Path) -> Callable[[str, MetricPairs], Path]:
    def write(name: str, pairs: MetricPairs) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            pairs.to_npz(file)
        return path

    return write


Record = Callable[[str, MetricPairs], Path]


def later(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_a_recording_answers_as_the_store_did(record: Record, tmp_path: Path) -> None:
    kept = pairs_of()
    path = record("one.npz", kept)
    store: MetricStore = FileMetrics(tmp_path)
    assert store.discover(SCOPES["api-main-canary-v002"], NOON, later(60)) == ["a", "b"]
    grid = store.fetch(["b", "a", "unknown"], SCOPES, NOON, later(60), 10)
    np.testing.assert_array_equal(grid.values[:, 0], [kept.baseline[1], kept.canary[1]])
    np.testing.assert_array_equal(grid.values[:, 1], [kept.baseline[0], kept.canary[0]])
    assert np.isnan(grid.values[:, 2]).all()
    assert store.health.describe() == ""
    again = pair_scopes(to_grid(read_pairs(path)), baseline=GROUPS["baseline_group"], canary=GROUPS["canary_group"])
    np.testing.assert_array_equal(again.canary, kept.canary)
    assert (again.names, again.start, again.step_seconds) == (kept.names, kept.start, kept.step_seconds)


def test_only_the_asked_time_is_read_and_what_lies_outside_is_a_gap(record: Record, tmp_path: Path) -> None:
    record("one.npz", pairs_of())
    store = FileMetrics(tmp_path)
    grid = store.fetch(["a"], SCOPES, later(20), later(90), 10)
    np.testing.assert_array_equal(grid.values[0, 0], [2, 3, 4, 5, np.nan, np.nan, np.nan])
    assert store.discover(SCOPES["api-main-canary-v002"], later(60), later(90)) == []
    assert np.isnan(store.fetch(["a"], SCOPES, later(60), later(90), 10).values).all()


@pytest.mark.parametrize(
    ("stat", "expected"),
    [("Average", [1.0, 4.0]), ("Sum", [3.0, 12.0]), ("Minimum", [0.0, 3.0]), ("Maximum", [2.0, 5.0])],
)
def test_a_coarser_step_puts_points_together_by_the_statistic(
    record: Record, tmp_path: Path, stat: str, expected: list[float]
) -> None:
    record("one.npz", pairs_of())
    store = FileMetrics(tmp_path)
    np.testing.assert_array_equal(store.fetch(["a"], SCOPES, NOON, later(60), 30, stat).values[0, 0], expected)
    by_name = store.fetch(["a", "b"], SCOPES, NOON, later(60), 30, lambda name: {"a": stat, "b": "Sum"}[name])
    np.testing.assert_array_equal(by_name.values[0], [expected, [33.0, 42.0]])


def test_gaps_stay_gaps_and_do_not_weigh(record: Record, tmp_path: Path) -> None:
    holes = np.array([[np.nan, 1.0, 2.0, np.nan, np.nan, np.nan], [np.nan] * 6])
    record("one.npz", pairs_of(baseline=holes))
    store = FileMetrics(tmp_path)
    for stat, first in (("Average", 1.5), ("Sum", 3.0), ("Minimum", 1.0)):
        grid = store.fetch(["a", "b"], SCOPES, NOON, later(60), 30, stat)
        np.testing.assert_array_equal(grid.values[0], [[first, np.nan], [np.nan, np.nan]])
    assert store.discover(SCOPES["api-main-baseline-v002"], NOON, later(60)) == ["a"]
    assert store.discover({"any": "baseline"}, NOON, later(60)) == ["a"], "a side can be asked for by its own name"


def test_recordings_one_after_the_other_are_one_time_line(record: Record, tmp_path: Path) -> None:
    record("deep/second.npz", pairs_of(start=later(40), baseline=np.full((2, 6), 7.0)))
    record("first.npz", pairs_of())
    record("other.npz", pairs_of(metadata={"baseline_group": "x", "canary_group": "y"}))
    store = FileMetrics(tmp_path)
    assert [path.name for path in store.list_recordings()] == ["second.npz", "first.npz", "other.npz"]
    grid = store.fetch(["a"], SCOPES, NOON, later(120), 10)
    np.testing.assert_array_equal(grid.values[0, 0], [0, 1, 2, 3, *[7] * 6, np.nan, np.nan])


def test_an_error_that_was_recorded_is_an_error_again(record: Record, tmp_path: Path) -> None:
    record("one.npz", pairs_of(errors={"b": "refused", "c": "unknown"}))
    grid = FileMetrics(tmp_path).fetch(["a", "b", "c"], SCOPES, NOON, later(60), 10)
    assert grid.errors == {"b": "refused", "c": "unknown"}
    assert np.isnan(grid.values[:, 1:]).all()
    assert not np.isnan(grid.values[:, 0]).any()


def test_rows_of_one_name_are_told_apart_by_their_tags(record: Record, tmp_path: Path) -> None:
    record("one.npz", pairs_of(names=("a", "a"), tags=({"uri": "/x", "method": "GET"}, {})))
    store = FileMetrics(tmp_path)
    names = store.discover({"g": "canary"}, NOON, later(60))
    assert names == ["a", "a{method=GET,uri=/x}"]
    np.testing.assert_array_equal(store.fetch(names, SCOPES, NOON, later(60), 10).values[1, :, 0], [110.0, 100.0])


def test_a_step_finer_than_what_was_recorded_or_an_unknown_statistic_is_a_config_error(
    record: Record, tmp_path: Path
) -> None:
    record("one.npz", pairs_of())
    with pytest.raises(ConfigError, match=r"step_seconds: is finer than the 10 s.*found 5"):
        FileMetrics(tmp_path).fetch(["a"], SCOPES, NOON, later(60), 5)
    with pytest.raises(ConfigError, match="p99"):
        FileMetrics(tmp_path).fetch(["a"], SCOPES, NOON, later(60), 10, "p99")


def whole() -> bytes:
    file = io.BytesIO()
    pairs_of().to_npz(file)
    return file.getvalue()


def without_start() -> bytes:
    file = io.BytesIO()
    about = np.frombuffer(b'{"format": 2, "names": []}', dtype=np.uint8)
    np.savez(file, about=about, baseline=np.zeros((0, 3)), canary=np.zeros((0, 3)))
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", whole()[:200], whole()[:-30], b"PK\x03\x04" + b"\0" * 90, without_start()],
    ids=["empty", "text", "cut early", "cut late", "broken zip", "lacking"],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.npz").write_bytes(content)
    with pytest.raises(ConfigError, match=r"broken\.npz"):
        read_pairs(tmp_path / "broken.npz")
    with pytest.raises(ConfigError, match=r"broken\.npz"):
        FileMetrics(tmp_path).fetch(["a"], SCOPES, NOON, later(60), 10)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.npz"):
        read_pairs(tmp_path / "gone.npz")
    with pytest.raises(ConfigError, match="is no folder"):
        FileMetrics(tmp_path / "gone")
    assert FileMetrics(tmp_path).list_recordings() == []


def test_recordings_of_earlier_versions_are_read(tmp_path: Path) -> None:
    shutil.copy(GOLDEN, tmp_path)
    pairs = read_pairs(GOLDEN)
    store = FileMetrics(tmp_path)
    end = pairs.start + timedelta(seconds=pairs.points * pairs.step_seconds)
    grid = store.fetch(pairs.names, {"c": {"side": "canary"}}, pairs.start, end, pairs.step_seconds)
    lost = [row for row, name in enumerate(pairs.names) if name in pairs.errors]
    expected = pairs.canary.copy()
    expected[lost] = np.nan
    np.testing.assert_array_equal(grid.values[0], expected)
