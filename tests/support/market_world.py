"""Markets for a DeliveryWorld: each region's requests of the weeks past, as its metric store would have them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from include.apps import App, load_app
from include.ledger import Place
from include.ledger.overrides import Override, override_event
from include.peaks import Counts
from tests.support.delivery_world import DeliveryWorld

DAY = 86400
LOW_RPS, HIGH_RPS = 200.0, 1000.0


@dataclass
class Market:
    """A day like every other, with its peak at `peak` and as quiet as can be 12 hours from it. `days`: so many are
    known; `surge`: what the last hour had is so many times the usual; `away`: what the store answers instead."""

    peak: datetime
    now: Callable[[], datetime]
    days: float = 40.0
    surge: float = 1.0
    away: Exception | None = None
    reads: list[tuple[datetime, datetime, int]] = field(default_factory=list)

    def counts(self, since: datetime, until: datetime, period_seconds: int) -> Counts:
        self.reads.append((since, until, period_seconds))
        if self.away is not None:
            raise self.away
        known = max(since, self.now() - timedelta(days=self.days))
        first, last = (int(one.timestamp()) // period_seconds for one in (known, until))
        starts = np.arange(first + 1, last, dtype=np.int64) * period_seconds
        rates = self.rps(starts.astype(np.float64))
        rates[starts >= self.now().timestamp() - 3600] *= self.surge
        return Counts(starts, rates * period_seconds, period_seconds)

    def rps(self, moments: np.ndarray) -> np.ndarray:
        hours = (moments - self.peak.timestamp()) % DAY / 3600
        from_peak = np.minimum(hours, 24 - hours)
        return np.asarray(LOW_RPS + (HIGH_RPS - LOW_RPS) * np.exp(-0.5 * (from_peak / 3.0) ** 2))


def put_markets(world: DeliveryWorld, monkeypatch: pytest.MonkeyPatch, *, hours_from_peak: float) -> dict[str, Market]:
    """Every region's market, whose peak was so many hours ago when this is called."""
    peak = world.now() - timedelta(hours=hours_from_peak)
    markets = {region: Market(peak, world.now) for region in world.fleets}

    def market(self: Any, region: str, balancer: str = "api-main", metric: Any = None) -> Market:
        return markets[region]

    monkeypatch.setattr("redstart.hooks.fleet.FleetHook.market", market)
    return markets


def put_override(world: DeliveryWorld, region: str, *, minutes: float, why: str = "the fix cannot wait") -> None:
    """Ana's; with 0 minutes it ends the one in force."""
    place, now = Place("api", "main", region), world.now()
    wanted = Override(place, "ana", why, now, now + timedelta(minutes=minutes))
    number = len(world.ledger.events(place=place))
    world.ledger.record(override_event(wanted, f"{region}/override/{number}"))


def end_overrides(world: DeliveryWorld) -> None:
    """From now on windows are waited for."""
    for region in world.fleets:
        put_override(world, region, minutes=0)


def with_windows(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> App:
    """The shipped settings of `api`, with other windows in production."""
    app = load_app("api")
    assert app.prod.windows is not None
    prod = app.prod.model_copy(update={"windows": app.prod.windows.model_copy(update=changes)})
    changed = app.model_copy(update={"environments": app.environments.model_copy(update={"prod": prod})})
    monkeypatch.setattr("redstart.operators.station.load_app", lambda name: changed)
    return changed
