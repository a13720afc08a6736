"""Waits until a region may be pushed: no hold, nobody else's lock, and every region before it at its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from include.errors import RetryableError
from include.ledger import EVERY_REGION, Kind, Ledger, Place
from redstart.operators import clock
from redstart.triggers.moment import FIRST_EVENT_SECONDS

if TYPE_CHECKING:
    from include.ledger import Event
    from redstart.hooks.ledger import SqlLedger

SCHEMA = 1
POLL_SECONDS = 5.0


@dataclass(frozen=True)
class Turn:
    """Whose turn is awaited: the push `run` of a cluster, after the regions `earlier` of the same run."""

    app: str
    stack: str
    region: str
    run: str
    earlier: tuple[str, ...] = ()

    @property
    def place(self) -> Place:
        return Place(self.app, self.stack, self.region)

    @property
    def line(self) -> Place:
        """The lock of all regions together, which whoever goes into production has."""
        return Place(self.app, self.stack, EVERY_REGION)


def what_hinders(ledger: Ledger, turn: Turn, now: datetime) -> str:
    """Why it is not the run's turn yet, in a sentence; "" when it is, or never will be: an earlier region has failed.
    Only what the ledger knows."""
    ends = {region: push_end(ledger, Place(turn.app, turn.stack, region), turn.run, now) for region in turn.earlier}
    if any(end is not None and end.kind is Kind.PUSH_FAILED for end in ends.values()):
        return ""
    for place in dict.fromkeys((turn.place, turn.line)):
        if hold := ledger.hold(place, now):
            return hold.describe()
        lease = ledger.lease(place)
        if lease is not None and lease.is_running(now) and lease.owner != turn.run:
            return lease.describe()
    unended = next((region for region, end in ends.items() if end is None), "")
    return f"{unended} comes before {turn.region} and is not at the end of its push." if unended else ""


def push_end(ledger: Ledger, place: Place, run: str, now: datetime) -> Event | None:
    """How the run's push of a place ended last: finished or failed; None while it is under way, or was never begun.

    Under way it is as long as the lock is the run's: also where a cleared task works on what had failed.
    """
    lease = ledger.lease(place)
    if lease is not None and lease.is_running(now) and lease.owner == run:
        return None
    return last_end(ledger, place, run)


def last_end(ledger: Ledger, place: Place, run: str) -> Event | None:
    """The last word about how the run's push of a place ended."""
    ends = ledger.events(place=place, run=run, kinds={Kind.PUSH_FINISHED, Kind.PUSH_FAILED}, newest=1)
    return ends[-1].event if ends else None


class ClusterTurnTrigger(BaseTrigger):
    """Fires when it is the run's turn, and at `look_again_epoch` (seconds, UTC) at the latest; never before 5 s.

    What is kept of it outlives deployments of this code, see MomentTrigger. It does not say why it fires: whoever is
    woken looks again.
    """

    def __init__(self, *, turn: dict[str, Any], look_again_epoch: float, schema: int = SCHEMA) -> None:
        super().__init__()
        if schema != SCHEMA:
            raise ValueError(f"a turn of schema {schema} cannot be read by this version (it knows {SCHEMA})")
        self.turn = Turn(**{**turn, "earlier": tuple(turn["earlier"])})
        self.look_again_epoch = float(look_again_epoch)
        self.schema = schema
        self._ledger: SqlLedger | None = None

    @classmethod
    def of(cls, turn: Turn, look_again: datetime) -> ClusterTurnTrigger:
        return cls(turn=asdict(turn), look_again_epoch=look_again.timestamp())

    def serialize(self) -> tuple[str, dict[str, Any]]:
        turn = {**asdict(self.turn), "earlier": list(self.turn.earlier)}
        kwargs = {"turn": turn, "look_again_epoch": self.look_again_epoch, "schema": self.schema}
        return "redstart.triggers.cluster_turn.ClusterTurnTrigger", kwargs

    async def run(self) -> AsyncIterator[TriggerEvent]:
        await asyncio.sleep(FIRST_EVENT_SECONDS)
        said = ""
        while clock.now().timestamp() < self.look_again_epoch:
            hindrance = await self._hindrance()
            if not hindrance:
                break
            if hindrance != said:
                self.log.info("%s", hindrance)
                said = hindrance
            await asyncio.sleep(POLL_SECONDS)
        yield TriggerEvent({"schema": self.schema})

    async def _hindrance(self) -> str:
        """As `what_hinders`; a ledger that does not answer hinders too."""
        from redstart.hooks.ledger import LedgerHook

        try:
            if self._ledger is None:
                self._ledger = await LedgerHook().aledger()
            return await asyncio.to_thread(what_hinders, self._ledger, self.turn, clock.now())
        except RetryableError as error:
            return str(error)

    async def cleanup(self) -> None:
        """On every end; the ledger's connections go with it."""
        if self._ledger is not None:
            self._ledger.close()
