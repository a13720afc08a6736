"""The watch of a push: what it reads from where, when it looks, and what it makes of a store that stays away."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from include.apps import load_app
from include.canary import MetricGrid
from include.canary.limits import Served
from include.canary.watch_looks import LOOKS
from include.errors import RefusedError, RetryableError
from include.redblack.look import Finding, WatchKind, WatchRequest
from redstart.hooks.installation import InstallationHook
from redstart.operators.watch import make_watch
from tests.support.watch_world import SOUND, START, Fault, Hours, measured, pairs_of

REGION, PREVIOUS, RED = "eu-west-1", "api-main-v001", "api-main-v002"
SECONDS, STEP = 120, 5
ERRORS = Fault(errors=0.05)


class Store:
    """Holds the application's series of both groups from `SECONDS` before START on; knows which it was asked for."""

    def __init__(self, fault: Fault = SOUND) -> None:
        rng = np.random.default_rng(2)
        hours = Hours.drawn(rng, 4 * SECONDS // STEP, STEP)
        self.groups = {PREVIOUS: measured(rng, hours, 0.4), RED: measured(rng, hours, 0.45, fault)}
        self.listed = dict.fromkeys(self.groups, True)
        self.fetches: list[dict[str, Any]] = []
        self.lists = 0
        self.away: Exception | None = None

    def discover(self, namespace: str, dimensions: Mapping[str, str], *, patience_seconds: float) -> list[str]:
        assert namespace == "Api"
        self.lists += 1
        group = dimensions["AutoScalingGroupName"]
        return list(self.groups[group]) if self.listed[group] else []

    def fetch(
        self,
        names: Sequence[str],
        namespace: str,
        scopes: Mapping[str, Mapping[str, str]],
        start: datetime,
        end: datetime,
        step_seconds: int,
        stat: Callable[[str], str],
        *,
        patience_seconds: float,
    ) -> MetricGrid:
        if self.away is not None:
            raise self.away
        stats = {name: stat(name) for name in names}
        self.fetches.append({"start": start, "end": end, "step": step_seconds, "stats": stats, "scopes": list(scopes)})
        began = START - timedelta(seconds=SECONDS)
        first, last = (int((moment - began).total_seconds() // step_seconds) for moment in (start, end))
        nothing = np.full(4 * SECONDS // STEP, np.nan)
        rows = [[self.groups[group].get(name, nothing)[first:last] for name in names] for group in scopes]
        return MetricGrid(tuple(names), tuple(scopes), start, step_seconds, np.array(rows), {})


class Balancer:
    """Counts the same in every point."""

    period_seconds = 5

    def __init__(self) -> None:
        self.errors, self.asked = 0.0, 0
        self.away: Exception | None = None

    def served(self, group: str, since: datetime, until: datetime) -> Served:
        assert group == RED
        self.asked += 1
        if self.away is not None:
            raise self.away
        points = int((until - since).total_seconds() // STEP)
        values = {"requests": 300.0, "errors": self.errors, "latency_ms": 40.0, "healthy": 3.0, "unhealthy": 0.0}
        return Served(**{name: np.full(points, value) for name, value in values.items()})


class World:
    def __init__(self, storage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.store, self.balancer, self.regions = START, Store(), Balancer(), set[str]()
        hook = "redstart.hooks.fleet.FleetHook"
        monkeypatch.setattr(f"{hook}.metrics", lambda _, region: self.regions.add(region) or self.store)
        monkeypatch.setattr(f"{hook}.balancer", lambda _, region, name: self.regions.add(region) or self.balancer)
        monkeypatch.setattr("redstart.operators.clock.now", lambda: self.now)
        monkeypatch.setenv("AIRFLOW_VAR_REDSTART_STORAGE", f"file://{storage}")
        self.results = InstallationHook().results()
        self.watch = make_watch(load_app("api"), "prod", self.results, "run-1", REGION)

    def keep_canary(self, step: int = STEP) -> None:
        """A soak of 120 points, hours ago."""
        rng = np.random.default_rng(3)
        hours = Hours.drawn(rng, 120, step)
        buffer = io.BytesIO()
        pairs_of(measured(rng, hours, 0.15), measured(rng, hours, 0.15), step).to_npz(buffer)
        self.results.write("canaries/api/run-1/pair.npz", buffer.getvalue())

    def look(self, seconds: float, kind: WatchKind = WatchKind.SIDE_BY_SIDE) -> Any:
        """Ask when so many seconds have passed."""
        self.now = START + timedelta(seconds=seconds)
        until = START + timedelta(seconds=SECONDS)
        return self.watch(WatchRequest(kind, REGION, RED, (PREVIOUS,), START, until))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path / "storage", monkeypatch)


def test_sound_red_is_sound_at_the_end_of_its_time(world: World) -> None:
    assert world.look(0).finding is Finding.UNKNOWN
    found = world.look(SECONDS)
    assert (found.finding, found.at, found.reason) == (Finding.SOUND, START + timedelta(seconds=SECONDS), "")
    assert world.regions == {REGION}


def test_counts_are_summed_and_levels_averaged_of_the_critical_metrics(world: World) -> None:
    world.look(60)
    asked = world.store.fetches[-1]
    assert (asked["step"], asked["scopes"]) == (STEP, [RED, PREVIOUS])
    assert (asked["stats"]["http.5xx"], asked["stats"]["http.latency_mean_ms"]) == ("Sum", "Average")
    assert "http.requests" in asked["stats"]
    assert "http.latency_p99_ms" not in asked["stats"]


def test_errors_beside_previous_are_unsound_and_severe(world: World) -> None:
    world.store = Store(ERRORS)
    found = world.look(60)
    assert (found.finding, found.is_severe) == (Finding.UNSOUND, True)
    assert "http.5xx higher in red than in previous" in found.reason


def test_store_is_asked_a_few_times_however_often_the_watch_is(world: World) -> None:
    for second in range(SECONDS + 1):
        last = world.look(second)
    assert last.finding is Finding.SOUND
    assert len(world.store.fetches) == LOOKS + 1


def test_look_is_one_read_where_the_names_are_known_from_the_canary(world: World) -> None:
    world.keep_canary()
    assert world.look(SECONDS).finding is Finding.SOUND
    assert world.look(SECONDS, WatchKind.ALONE).finding is Finding.SOUND
    assert (len(world.store.fetches), world.store.lists) == (2, 0)


def test_store_that_stays_away_is_unknown_and_asked_again(world: World) -> None:
    for away in (RetryableError("CloudWatch throttles: Rate exceeded."), RefusedError("GetMetricData: AccessDenied")):
        world.store.away = away
        found = world.look(SECONDS)
        assert (found.finding, found.reason) == (Finding.UNKNOWN, str(away))
    world.store.away = None
    assert world.look(SECONDS).finding is Finding.SOUND


def test_names_of_a_group_that_aws_does_not_list_yet_are_known_from_previous(world: World) -> None:
    world.store = Store(ERRORS)
    world.store.listed[RED] = False
    assert world.look(60).finding is Finding.UNSOUND


def test_red_alone_is_held_against_the_recorded_canary(world: World) -> None:
    world.keep_canary()
    assert world.look(SECONDS, WatchKind.ALONE).finding is Finding.SOUND
    start = world.store.fetches[-1]["start"]
    assert start == START - timedelta(seconds=SECONDS)  # previous before it left the traffic
    world.store = Store(ERRORS)
    found = world.look(2 * SECONDS, WatchKind.ALONE)
    assert (found.finding, found.is_severe) == (Finding.UNSOUND, True)
    assert "http.5xx higher in red than in the canary's worst stretch" in found.reason


def test_red_alone_without_a_canary_is_held_against_limits(world: World) -> None:
    assert world.look(SECONDS, WatchKind.ALONE).finding is Finding.SOUND
    assert not world.store.fetches
    world.balancer.errors = 30.0
    found = world.look(2 * SECONDS, WatchKind.ALONE)
    assert (found.finding, found.is_severe) == (Finding.UNSOUND, True)
    assert "requests failed (10 %), 1 % may" in found.reason


def test_soak_kept_in_points_longer_than_the_watch_leaves_it_to_the_limits(world: World) -> None:
    world.keep_canary(step=SECONDS)
    assert world.look(SECONDS, WatchKind.ALONE).finding is Finding.SOUND
    assert not world.store.fetches


def test_limits_hold_with_a_canary_too(world: World) -> None:
    world.keep_canary()
    world.balancer.errors = 30.0
    assert world.look(60, WatchKind.ALONE).finding is Finding.UNSOUND


def test_groups_that_publish_nothing_are_held_against_limits(world: World) -> None:
    world.store.listed = dict.fromkeys(world.store.groups, False)
    assert world.look(SECONDS).finding is Finding.SOUND
    assert world.balancer.asked == 1
