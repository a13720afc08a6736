"""Growing and sliding windows, and what the last score says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from include.canary.kayenta.mix import MetricSet, mix_all
from include.canary.kayenta.scope import parse_scope
from include.canary.kayenta.windows import Schedule, Window, decide_finally, is_worth_going_on, lifetime_of
from include.errors import ConfigError

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def test_as_many_judgements_as_whole_intervals() -> None:
    found = Schedule(25 * MINUTE, begin_after=10 * MINUTE).windows(HOUR, now=NOW)
    begin = NOW + 10 * MINUTE
    assert found == [Window(begin, begin + 25 * MINUTE), Window(begin, begin + 50 * MINUTE)]


@pytest.mark.parametrize("interval", [timedelta(0), 2 * HOUR, HOUR])
def test_without_a_shorter_interval_one_judgement_sees_it_all(interval: timedelta) -> None:
    assert Schedule(interval).windows(HOUR, now=NOW) == [Window(NOW, NOW + HOUR)]


def test_sliding_window_keeps_its_length() -> None:
    found = Schedule(20 * MINUTE, lookback=10 * MINUTE).windows(HOUR, now=NOW)
    assert [window.end - window.start for window in found] == [10 * MINUTE] * 3


def test_score_on_the_marginal_threshold_ends_the_canary() -> None:
    assert not is_worth_going_on(50.0, 50.0)
    assert is_worth_going_on(50.01, 50.0)
    assert is_worth_going_on(0.0, None)
    assert not decide_finally(50.0, marginal=50.0, passing=50.0).passed
    assert decide_finally(95.0, marginal=75.0, passing=95.0).passed
    assert decide_finally(0.0, marginal=None, passing=None).passed
    assert "below the pass" in decide_finally(80.0, marginal=75.0, passing=95.0).message


def test_end_before_the_start_is_refused() -> None:
    with pytest.raises(ConfigError, match="over 0"):
        lifetime_of(start=NOW, end=NOW - HOUR, lifetime=HOUR)


@pytest.mark.parametrize(
    ("change", "place"),
    [({"scope": ""}, "scope"), ({"start": "soon"}, "start"), ({"end": None}, "end"), ({"step": 0}, "step")],
)
def test_scope_that_cannot_be_read_names_the_place(change: dict[str, object], place: str) -> None:
    body = {"scope": "api", "start": "2026-03-02T09:00:00Z", "end": "2026-03-02T10:00:00Z", "step": 60}
    with pytest.raises(ConfigError) as refused:
        parse_scope({**body, **change}, source="request")
    assert refused.value.key == place


def test_series_without_a_partner_is_paired_with_gaps_over_its_sides_time() -> None:
    times = {"start_ms": 0, "end_ms": 180_000, "step_ms": 60_000}
    control = [MetricSet("errors", np.ones(3), {"zone": zone}, **times) for zone in "ab"]
    pairs = mix_all(["errors"], control, [MetricSet("errors", np.ones(2), {"zone": "a"}, **times)])
    assert [(pair.tags["zone"], len(pair.canary), int(np.isnan(pair.canary).sum())) for pair in pairs] == [
        ("a", 3, 1),
        ("b", 3, 3),
    ]
    assert pairs[0].id != pairs[1].id
