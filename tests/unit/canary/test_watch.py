"""After the push: what a watch says of red beside previous, and of red alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from include.canary import JudgeConfig, MetricGrid, parse_judge_config
from include.canary.stretches import beside, is_watched, merged, part_of
from include.canary.watch import watch_levels, watch_side_by_side
from include.canary.watch_looks import LOOKS, is_look_due
from tests.support.watch_world import SOUND, START, Fault, Hours, grid_of, measured, pairs_of

SETTINGS = Path(__file__).resolve().parents[3] / "include" / "apps" / "api.judge.toml"
ERRORS, SLOW, LEAK = Fault(errors=0.019), Fault(slower=1.6), Fault(leak_mib_a_minute=7.0)


@pytest.fixture(scope="module")
def shipped() -> JudgeConfig:
    return parse_judge_config(SETTINGS.read_text(), source=SETTINGS.name)


def side_by_side(config: JudgeConfig, fault: Fault, *, points: int = 24, seed: int = 3, shares: tuple = (0.4, 0.45)):
    rng = np.random.default_rng(seed)
    hours = Hours.drawn(rng, points, 5)
    old, new = (measured(rng, hours, share, own) for share, own in zip(shares, (SOUND, fault), strict=True))
    return watch_side_by_side(config, pairs_of(old, new, 5))


def soak(seed: int = 5, *, slow: float = 1.0, points: int = 240):
    rng = np.random.default_rng(seed)
    hours = Hours.drawn(rng, points, 5, slow=slow)
    return pairs_of(measured(rng, hours, 0.15), measured(rng, hours, 0.15), 5)


def alone(fault: Fault, *, rps: float = 60.0, slow: float = 1.0, points: int = 60, seed: int = 6):
    rng = np.random.default_rng(seed)
    hours = Hours.drawn(rng, points, 5, rps=rps, slow=slow)
    return grid_of(measured(rng, hours, 0.85), 5, "previous"), grid_of(measured(rng, hours, 0.85, fault), 5)


# --- side by side --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_identical_red_is_sound(shipped: JudgeConfig, seed: int) -> None:
    assert side_by_side(shipped, SOUND, seed=seed).state == "sound"


@pytest.mark.parametrize(
    ("fault", "points", "culprit", "is_severe"),
    [
        (ERRORS, 24, "http.5xx higher in red than in previous", True),
        (SLOW, 24, "http.latency_mean_ms higher in red than in previous", False),
        (LEAK, 60, "runtime.memory_rss_bytes higher in red than in previous", False),
    ],
)
def test_fault_beside_previous_is_unsound_by_name(
    shipped: JudgeConfig, fault: Fault, points: int, culprit: str, is_severe: bool
) -> None:
    found = side_by_side(shipped, fault, points=points)
    assert found.state == "unsound"
    assert any(reason.startswith(culprit) and "allowed" in reason for reason in found.reasons), found.reasons
    if is_severe:
        assert found.is_severe
    assert side_by_side(shipped, replace(fault, slower=max(fault.slower, 2.5)), points=points).is_severe


@pytest.mark.parametrize("shares", [(0.1, 0.8), (0.8, 0.1), (0.05, 0.9)])
def test_unequal_shares_of_the_traffic_are_no_difference(shipped: JudgeConfig, shares: tuple[float, float]) -> None:
    assert side_by_side(shipped, SOUND, shares=shares).state == "sound"
    assert side_by_side(shipped, ERRORS, shares=shares, points=60).state == "unsound"


def test_few_points_say_nothing_good(shipped: JudgeConfig) -> None:
    found = side_by_side(shipped, SOUND, points=5)
    assert found.state == "unknown"
    assert "5 points so far, 6 are needed" in found.reasons[0]


def test_before_the_first_point_nothing_is_known(shipped: JudgeConfig) -> None:
    nothing = part_of(alone(SOUND)[1], START, START)
    assert watch_side_by_side(shipped, beside(nothing, nothing)).state == "unknown"
    assert watch_levels(shipped, soak(), nothing, nothing).state == "unknown"


def test_red_without_requests_is_unknown(shipped: JudgeConfig) -> None:
    found = side_by_side(shipped, SOUND, shares=(0.8, 0.0))
    assert found.state == "unknown"
    assert "nothing that can be compared with previous" in found.reasons[0]


def test_errors_that_previous_never_published_count(shipped: JudgeConfig) -> None:
    rng = np.random.default_rng(1)
    hours = Hours.drawn(rng, 24, 5)
    old, new = measured(rng, hours, 0.4), measured(rng, hours, 0.4, ERRORS)
    old["http.5xx"] = np.full(24, np.nan)
    found = watch_side_by_side(shipped, pairs_of(old, new, 5))
    assert (found.state, found.is_severe) == ("unsound", True)


def test_only_critical_metrics_speak(shipped: JudgeConfig) -> None:
    assert is_watched(shipped, "http.5xx")
    assert not is_watched(shipped, "http.latency_p99_ms")
    rng = np.random.default_rng(1)
    hours = Hours.drawn(rng, 24, 5)
    old, new = measured(rng, hours, 0.4), measured(rng, hours, 0.4)
    old["http.latency_p99_ms"], new["http.latency_p99_ms"] = np.full(24, 10.0), np.full(24, 99.0)
    assert watch_side_by_side(shipped, pairs_of(old, new, 5)).state == "sound"


def test_what_the_store_failed_on_is_unknown(shipped: JudgeConfig) -> None:
    rng = np.random.default_rng(1)
    hours = Hours.drawn(rng, 24, 5)
    pairs = pairs_of(measured(rng, hours, 0.4), measured(rng, hours, 0.4), 5)
    row = pairs.names.index("http.latency_mean_ms")
    pairs.baseline[row] = pairs.canary[row] = np.nan
    found = watch_side_by_side(shipped, replace(pairs, errors={"http.latency_mean_ms": "InternalError"}))
    assert found.state == "unknown"
    assert "http.latency_mean_ms" in found.reasons[0]


# --- alone ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rps", [20.0, 60.0, 300.0])
def test_sound_red_alone_is_sound_whatever_the_traffic(shipped: JudgeConfig, rps: float) -> None:
    previous, red = alone(SOUND, rps=rps)
    assert watch_levels(shipped, soak(), red).state == "sound"
    assert watch_levels(shipped, soak(), red, previous).state == "sound"


@pytest.mark.parametrize(
    ("fault", "culprit"),
    [(ERRORS, "http.5xx"), (SLOW, "http.latency_p90_ms"), (LEAK, "runtime.memory_rss_bytes")],
)
def test_fault_of_red_alone_is_unsound_by_name(shipped: JudgeConfig, fault: Fault, culprit: str) -> None:
    previous, red = alone(replace(fault, slower=1.0 if fault.slower == 1.0 else 2.5))
    for reference in (None, previous):
        found = watch_levels(shipped, soak(), red, reference)
        assert found.state == "unsound"
        assert any(f"{culprit} higher in red than in the canary's worst stretch" in reason for reason in found.reasons)
    assert found.is_severe is (fault is not LEAK)


def test_slower_region_is_no_fault_of_red(shipped: JudgeConfig) -> None:
    previous, red = alone(SOUND, slow=2.0)
    assert watch_levels(shipped, soak(), red).state == "unsound"
    assert watch_levels(shipped, soak(), red, previous).state == "sound"


def test_what_the_canary_passed_with_is_no_fault_of_red(shipped: JudgeConfig) -> None:
    calm, busy = soak(points=120), soak(seed=8, slow=2.0, points=120)
    whole = replace(
        calm,
        baseline=np.concatenate([calm.baseline, busy.baseline], axis=1),
        canary=np.concatenate([calm.canary, busy.canary], axis=1),
    )
    _, red = alone(SOUND, slow=2.0)
    assert watch_levels(shipped, whole, red).state == "sound"


def test_soak_recorded_by_the_minute_is_compared_by_the_minute(shipped: JudgeConfig) -> None:
    rng = np.random.default_rng(4)
    then, now = Hours.drawn(rng, 480, 60), Hours.drawn(rng, 10, 60)
    recorded = pairs_of(measured(rng, then, 0.15), measured(rng, then, 0.15), 60)
    minutes = shipped.with_point(60, written_for_seconds=5)
    states = {
        fault: watch_levels(minutes, recorded, grid_of(measured(rng, now, 0.85, fault), 60), None, 1).state
        for fault in (SOUND, ERRORS, replace(SLOW, slower=2.0), LEAK)
    }
    assert list(states.values()) == ["sound", "unsound", "unsound", "unsound"]


def test_short_recording_is_compared_with_the_newest_points(shipped: JudgeConfig) -> None:
    _, red = alone(Fault(errors=0.1))
    assert watch_levels(shipped, soak(points=12), red).state == "unsound"


def test_metric_that_the_recording_lacks_has_no_say(shipped: JudgeConfig) -> None:
    recorded = soak()
    rows = [row for row, name in enumerate(recorded.names) if name != "http.5xx"]
    names = tuple(recorded.names[row] for row in rows)
    fewer = replace(recorded, names=names, baseline=recorded.baseline[rows], canary=recorded.canary[rows])
    found = watch_levels(shipped, fewer, alone(ERRORS)[1])
    assert not any("http.5xx" in reason for reason in found.reasons)


# --- grids and looks -----------------------------------------------------------------------------------------------


def test_groups_are_merged_by_kind(shipped: JudgeConfig) -> None:
    values = np.array([[[1.0, 2.0], [10.0, 20.0]], [[3.0, np.nan], [30.0, np.nan]]])
    grid = MetricGrid(("http.5xx", "http.latency_mean_ms"), ("a", "b"), START, 5, values, {})
    assert merged(shipped, grid, ("a", "b")).values.tolist() == [[[4.0, 2.0], [20.0, 20.0]]]
    assert merged(shipped, grid, ("b",)).values[0, 0, 0] == 3.0


def test_part_holds_whole_points_only() -> None:
    grid = MetricGrid(("m",), ("a",), START, 5, np.arange(6.0)[None, None], {})
    part = part_of(grid, START + timedelta(seconds=7), START + timedelta(seconds=24))
    assert (part.values.ravel().tolist(), part.start) == ([2.0, 3.0], START + timedelta(seconds=10))
    assert part_of(grid, START - timedelta(seconds=9), START + timedelta(hours=1)).values.size == 6
    assert part_of(grid, START + timedelta(hours=1), START + timedelta(hours=2)).values.size == 0


def test_looks_are_few_and_one_is_at_the_end() -> None:
    until, taken, looks = START + timedelta(seconds=60), None, []
    for second in range(121):
        now = START + timedelta(seconds=second)
        if is_look_due(START, until, taken, now):
            taken = now
            looks.append(second)
    assert looks == [*range(0, 121, 60 // LOOKS)]
