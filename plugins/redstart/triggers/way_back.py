"""Waits until a finished region may be taken back: nothing of the run is under way, and who finished later is back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from include.ledger import Holder, Ledger, Place
from include.waves import RegionState, Standings, Waves, regions_to_take_back
from redstart.operators.standing import read_standings, run_back
from redstart.triggers.cluster_turn import LedgerTrigger

SCHEMA = 1


@dataclass(frozen=True)
class WayBack:
    """Whose way back is awaited, in the waves of the run. `given_up`: regions whose way back nobody waits for, as their
    tasks have ended without it."""

    app: str
    stack: str
    region: str
    run: str
    waves: tuple[tuple[str, ...], ...]
    given_up: tuple[str, ...] = ()

    def place(self, region: str) -> Place:
        return Place(self.app, self.stack, region)

    def standings(self, ledger: Ledger) -> Standings:
        return read_standings(ledger, self.app, self.stack, self.run)


def what_delays(ledger: Ledger, back: WayBack, now: datetime) -> str:
    """Why the region is not taken back yet, in a sentence; "" when it may be, or when nothing of it is to be. Only what
    the ledger knows."""
    standings = back.standings(ledger)
    regions = Waves(back.waves, takes_back=True)
    if under_way := standings.regions(RegionState.UNDER_WAY):
        return f"{under_way[0]} is under way: it gets to its end first."
    standing = standings.of(back.region)
    if standing.state is not RegionState.FINISHED:
        return ""
    if not standings.failed:
        return "No push of this run has failed, as far as the ledger knows."
    waiting = [one for one in standings.finished if one not in back.given_up or one == back.region]
    first = regions_to_take_back(regions, standings.states, waiting)[0]
    if first != back.region:
        return f"{first} came to its end after {back.region}, and goes back before it."
    return _who_works(ledger, back, standing.attempt, now)


def _who_works(ledger: Ledger, back: WayBack, attempt: int, now: datetime) -> str:
    """Whose lock is waited for: of this run's pushes, which are about to end, and of rollbacks."""
    for region in (one for wave in back.waves for one in wave):
        lease = ledger.lease(back.place(region))
        if lease is None or not lease.is_running(now):
            continue
        is_ours = lease.owner == back.run
        if region != back.region:
            if is_ours:
                return f"{region} is still worked on: {lease.describe()}"
        elif lease.holder is Holder.ROLLBACK if not is_ours else not _has_begun(ledger, back, attempt):
            return lease.describe()
    return ""


def _has_begun(ledger: Ledger, back: WayBack, attempt: int) -> bool:
    """Whether the region's lock is that of the way back itself, which was interrupted."""
    return bool(ledger.events(place=back.place(back.region), run=run_back(back.run, attempt), newest=1))


class WayBackTrigger(LedgerTrigger):
    """Fires when the region may be taken back. What is kept of it outlives deployments of this code, see
    MomentTrigger."""

    def __init__(self, *, back: Mapping[str, Any], look_again_epoch: float, schema: int = SCHEMA) -> None:
        if schema != SCHEMA:
            raise ValueError(f"a way back of schema {schema} cannot be read by this version (it knows {SCHEMA})")
        super().__init__(look_again_epoch=look_again_epoch, schema=schema)
        waves = tuple(tuple(wave) for wave in back["waves"])
        self.back = WayBack(**{**back, "waves": waves, "given_up": tuple(back["given_up"])})

    @classmethod
    def of(cls, back: WayBack, look_again: datetime) -> WayBackTrigger:
        return cls(back=_plain(back), look_again_epoch=look_again.timestamp())

    def serialize(self) -> tuple[str, dict[str, Any]]:
        kwargs = {"back": _plain(self.back), "look_again_epoch": self.look_again_epoch, "schema": self.schema}
        return "redstart.triggers.way_back.WayBackTrigger", kwargs

    def hindrance(self, ledger: Ledger, now: datetime) -> str:
        return what_delays(ledger, self.back, now)


def _plain(back: WayBack) -> dict[str, Any]:
    def lists(value: Any) -> Any:
        return [lists(one) for one in value] if isinstance(value, Iterable) and not isinstance(value, str) else value

    return {name: lists(value) for name, value in asdict(back).items()}
