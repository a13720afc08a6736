"""A world to deliver into without any process: a real git repository, fleets and workshops in memory, one clock.

What the product would reach through its hooks is put in place of what the hooks make; everything between the form
and the hooks is the real thing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from include.adapters.artifact_store import Artifact
from include.adapters.metric_store import PATIENCE_SECONDS, StoreHealth
from include.apps import load_app
from include.bake import BuildResult
from include.canary import MetricGrid, MetricPairs
from include.fleet import ClusterRef, Image
from include.ledger import Ledger, Place
from include.ledger.overrides import Override, override_event
from include.peaks import Counts
from redstart.operators.drive import Fenced
from tests.support.canary_world import world as canary_world
from tests.support.fake_fleet import FakeFleet
from tests.support.fake_rehearsal import FakeRehearsal
from tests.support.fake_workshop import FakeBox, FakeWorkshop
from tests.support.git import Origin, make_origin
from tests.support.ledger import fresh_ledger

BUILD = """
import sys, tarfile
with tarfile.open(sys.argv[sys.argv.index("--out") + 1], "w:gz") as tar:
    tar.add("app.py", "opt/app/run")
"""
TEST = "from app import VALUE\n\n\ndef test_value():\n    assert VALUE > 0\n"
FUNCTIONAL = """
from app import VALUE


def pytest_addoption(parser):
    parser.addoption("--address")


def test_environment(request):
    assert request.config.getoption("--address").startswith("http://")
    assert VALUE != 13, "it does not work there"
"""
SOURCE = {
    "build.py": BUILD,
    "tests/test_app.py": TEST,
    "functional/conftest.py": FUNCTIONAL.partition("def test_")[0],
    "functional/test_environment.py": FUNCTIONAL,
    "app.py": "VALUE = 1\n",
}
CLUSTER = ("api", "main")


@cache
def canary_pairs(variant: str = "good") -> MetricPairs:
    """A soak of 240 s; the same at every call."""
    return canary_world(1, commit=variant)


@cache
def few_pairs(variant: str = "good") -> MetricPairs:
    """The service's own series and a tenth of the others, for tests that judge often; `broken` takes three times as
    long for everything, and fails a tenth of its requests."""
    whole = canary_pairs("good" if variant == "broken" else variant)
    rows = [row for row, name in enumerate(whole.names) if name.startswith("http.") or row % 10 == 0]
    baseline, canary = whole.baseline[rows], whole.canary[rows].copy()
    names = tuple(whole.names[row] for row in rows)
    if variant == "broken":
        canary[["latency" in name for name in names]] *= 3.0
        for name in ("http.5xx", "http.exceptions"):
            canary[names.index(name)] += np.ceil(canary[names.index("http.requests")] / 10)
    return replace(whole, names=names, baseline=baseline, canary=canary)


class Artifacts:
    """An artifact bucket; objects below bakes/ are what the fake builder said."""

    def __init__(self, box: FakeBox) -> None:
        self.box = box
        self.kept: dict[str, Artifact] = {}
        self.builds = 0

    def find(self, app: str, commit: str) -> Artifact | None:
        return self.kept.get(commit)

    def put(self, app: str, commit: str, path: Path, sha256: str) -> Artifact:
        self.builds += 1
        self.kept[commit] = Artifact("bucket", f"{app}/{commit}/{sha256}.tar.gz", sha256, path.stat().st_size)
        return self.kept[commit]

    def read(self, key: str) -> bytes | None:
        found = self.box.read()
        return None if found is None else json.dumps({"ok": found.ok, "reason": found.reason}).encode()

    def delete(self, key: str) -> None:
        self.box.clear()

    def get_url(self, key: str) -> str:
        return f"http://127.0.0.1/{key}?get"

    def put_url(self, key: str) -> str:
        return f"http://127.0.0.1/{key}?put"


class SilentMarket:
    """A metric store that has never heard of the market."""

    def counts(self, start: datetime, end: datetime, period_seconds: int = 900) -> Counts:
        return Counts(np.array([], dtype=np.int64), np.array([], dtype=np.float64), period_seconds)


class Workshop(FakeWorkshop):
    def find_base_image(self, name_pattern: str) -> Image:
        return Image("ami-base", "redstart-base-1", "available", datetime(2026, 1, 1, tzinfo=UTC))


@dataclass
class Metrics:
    """A metric store that holds `pairs` for whichever two groups it is asked for, from the first window's start on.

    While `away` is set, that is what it answers.
    """

    pairs: MetricPairs
    away: Exception | None = None
    health: StoreHealth = field(default_factory=StoreHealth)
    fetches: list[tuple[Sequence[str], datetime, datetime, int]] = field(default_factory=list)
    stats: dict[str, str] = field(default_factory=dict)

    def discover(
        self, namespace: str, dimensions: Mapping[str, str], *, patience_seconds: float = PATIENCE_SECONDS
    ) -> list[str]:
        return list(self.pairs.names)

    def fetch(
        self,
        names: Sequence[str],
        namespace: str,
        scopes: Mapping[str, Mapping[str, str]],
        start: datetime,
        end: datetime,
        step_seconds: int,
        stat: str | Callable[[str], str] = "Average",
        *,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> MetricGrid:
        if self.away is not None:
            raise self.away
        self.fetches.append((tuple(scopes), start, end, step_seconds))
        self.stats = {name: stat if isinstance(stat, str) else stat(name) for name in names}
        order = [self.pairs.names.index(name) for name in names]
        began = min(fetch[1] for fetch in self.fetches)
        first, last = (int((moment - began).total_seconds() // step_seconds) for moment in (start, end))
        if last > self.pairs.points:  # another canary, later
            first, last = 0, last - first
        values = np.stack([self.pairs.baseline[order], self.pairs.canary[order]])[:, :, first:last]
        return MetricGrid(tuple(names), tuple(scopes), start, step_seconds, values, {})


@dataclass
class DeliveryWorld:
    """Three regions that run `old`, and a repository whose prod branch has one commit more."""

    origin: Origin
    fleets: dict[str, FakeFleet]
    workshops: dict[str, Workshop]
    artifacts: Artifacts
    metrics: Metrics
    storage: Path
    ledger: Ledger
    balancer: str = "api-main"
    elsewhere: dict[tuple[str, str], FakeFleet] = field(default_factory=dict)
    """(load balancer, region) -> the fleet of another environment than production; empty at first."""

    def fleet(self, balancer: str, region: str) -> FakeFleet:
        if balancer == self.balancer:
            return self.fleets[region]
        if (balancer, region) not in self.elsewhere:
            self.elsewhere[balancer, region] = FakeFleet(region)
            self.elsewhere[balancer, region].now = self.now()
        return self.elsewhere[balancer, region]

    @property
    def commit(self) -> str:
        return self.origin.head("prod")

    def image_of(self, region: str) -> str:
        """The id that the image of prod's newest commit has there, or will have."""
        return f"ami-{region}-{self.commit[8:12]}"

    def now(self) -> datetime:
        return max(fleet.now for fleet in self.fleets.values())

    def sleep(self, seconds: float) -> None:
        for fleet in (*self.fleets.values(), *self.elsewhere.values()):
            fleet.advance(seconds)

    def serving(self) -> dict[str, set[str]]:
        """Region -> commits of the groups with traffic ('' = the one from before)."""
        return {
            region: {
                fleet.records[name].tags.get("redstart:commit", "")
                for name, weight in fleet.listener.items()
                if weight > 0
            }
            for region, fleet in self.fleets.items()
        }

    def roles(self, region: str) -> list[str]:
        return sorted(record.tags["redstart:role"] for record in self.fleets[region].records.values())


def make_world(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, variant: str = "good", app: str = "api"
) -> DeliveryWorld:
    """The world of one application, put where the hooks would reach AWS, git and storage."""
    prod = load_app(app).prod
    box = FakeBox(BuildResult(True))
    fleets = {name: FakeFleet(name) for name in prod.region_names}
    began, database = datetime.now(UTC), tmp_path / "ledger.db"
    for name, fleet in fleets.items():
        fleet.now = began
        fleet.seed(ClusterRef(app, prod.stack, name), f"{app}-{prod.stack}-v000", f"ami-old-{name}", 3)
    world = DeliveryWorld(
        origin=make_origin(tmp_path / "git", SOURCE),
        fleets=fleets,
        workshops={name: Workshop(name, box) for name in prod.region_names},
        artifacts=Artifacts(box),
        metrics=Metrics(canary_pairs(variant)),
        storage=tmp_path / "storage",
        ledger=fresh_ledger(database),
        balancer=prod.load_balancer,
    )

    for shop in world.workshops.values():
        shop.now = world.now

    def fleet_of(self: Any, region: str, balancer: str = "api-main", *, fence: Callable[[], None] | None = None) -> Any:
        fleet = world.fleet(balancer, region)
        return fleet if fence is None else Fenced(fleet, fence)

    hook = "redstart.hooks.fleet.FleetHook"

    def rehearsal(self: Any, region: str, balancer: str = "api-main", *, start_seconds: float, **moments: Any) -> Any:
        return FakeRehearsal(world.fleet(balancer, region), start_seconds)

    monkeypatch.setattr(f"{hook}.fleet", fleet_of)
    monkeypatch.setattr(f"{hook}.rehearsal", rehearsal)
    monkeypatch.setattr(f"{hook}.workshop", lambda self, region: world.workshops[region])
    monkeypatch.setattr(f"{hook}.artifacts", lambda self, account, region: world.artifacts)
    monkeypatch.setattr(f"{hook}.metrics", lambda self, region: world.metrics)
    monkeypatch.setattr(f"{hook}.market", lambda self, region, balancer, traffic=None: SilentMarket())
    monkeypatch.setattr("redstart.operators.clock.now", world.now)
    monkeypatch.setattr("redstart.operators.clock.sleep", world.sleep)
    ledger = {"conn_type": "sqlite", "host": str(database)}
    monkeypatch.setenv("AIRFLOW_CONN_REDSTART_LEDGER", json.dumps(ledger))
    git: dict[str, Any] = {"conn_type": "generic", "host": str(world.origin.root)}
    monkeypatch.setenv("AIRFLOW_CONN_REDSTART_GIT", json.dumps(git))
    monkeypatch.setenv("AIRFLOW_VAR_REDSTART_STORAGE", f"file://{world.storage}")
    monkeypatch.setenv("AIRFLOW_VAR_REDSTART_SOAK_SECONDS", "240")
    monkeypatch.setenv("AIRFLOW_VAR_REDSTART_WATCH_SECONDS", "0")
    let_pushes_begin(world, app, prod.stack)
    return world


def let_pushes_begin(world: DeliveryWorld, app: str, stack: str) -> None:
    """Nobody waits for a quiet window: tests that are about windows end this first."""
    now = world.now()
    for region in world.fleets:
        place = Place(app, stack, region)
        override = Override(place, "the tests", "at any time", now, now + timedelta(days=365))
        world.ledger.record(override_event(override, f"{place}/at any time"))
