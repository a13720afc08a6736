"""Waits until a region may be pushed: no hold, nobody else's lock, and every wave before its own at its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from include.errors import RetryableError
from include.ledger import EVERY_REGION, Ledger, Place
from include.waves import Standings, Verdict, Waves, turn_of
from include.waves import Turn as WaveTurn
from redstart.operators import clock
from redstart.operators.standing import read_standings
from redstart.triggers.moment import FIRST_EVENT_SECONDS

if TYPE_CHECKING:
    from redstart.hooks.ledger import SqlLedger

SCHEMA = 2
ONE_BY_ONE = 1
"""The schema of turns that had `earlier`, the regions before this one, instead of waves."""
POLL_SECONDS = 5.0


@dataclass(frozen=True)
class Turn:
    """Whose turn is awaited: that of the push `run` of a cluster, in the waves of the run; without waves it waits for
    nobody of its own run. `again`: regions that are begun again by a person, with the attempt that comes (see
    Standings.forgiving)."""

    app: str
    stack: str
    region: str
    run: str
    waves: tuple[tuple[str, ...], ...] = ()
    again: Mapping[str, int] = field(default_factory=dict)

    @property
    def place(self) -> Place:
        return Place(self.app, self.stack, self.region)

    @property
    def line(self) -> Place:
        """The lock of all regions together, which whoever goes into production has."""
        return Place(self.app, self.stack, EVERY_REGION)

    def standings(self, ledger: Ledger) -> Standings:
        """How the run's pushes stand, as far as it matters to this one."""
        return read_standings(ledger, self.app, self.stack, self.run).forgiving(self.again)

    def among(self, standings: Standings) -> WaveTurn:
        """Whether its wave's turn has come."""
        if not self.waves:
            return WaveTurn(Verdict.BEGIN)
        return turn_of(self.region, Waves(self.waves), standings.states)

    @classmethod
    def after(cls, earlier: tuple[str, ...], **of: str) -> Turn:
        """One region after the other."""
        waves = (*((one,) for one in earlier), (of["region"],)) if earlier else ()
        return cls(of["app"], of["stack"], of["region"], of["run"], waves)

    def to_kwargs(self, schema: int = SCHEMA) -> dict[str, Any]:
        kept: dict[str, Any] = {"app": self.app, "stack": self.stack, "region": self.region, "run": self.run}
        if schema == ONE_BY_ONE:
            return {**kept, "earlier": [wave[0] for wave in self.waves[:-1]]}
        return {**kept, "waves": [list(wave) for wave in self.waves], "again": dict(self.again)}

    @classmethod
    def of_kwargs(cls, kept: Mapping[str, Any], schema: int) -> Turn:
        of = {name: str(kept[name]) for name in ("app", "stack", "region", "run")}
        if schema == ONE_BY_ONE:
            return cls.after(tuple(kept["earlier"]), **of)
        again = {region: int(attempt) for region, attempt in kept["again"].items()}
        waves = tuple(tuple(wave) for wave in kept["waves"])
        return cls(of["app"], of["stack"], of["region"], of["run"], waves, again)


def what_hinders(ledger: Ledger, turn: Turn, now: datetime) -> str:
    """Why it is not the run's turn yet, in a sentence; "" when it is, or never will be: another region has failed.
    Only what the ledger knows."""
    among = turn.among(turn.standings(ledger) if turn.waves else Standings())
    if among.verdict is Verdict.HALT:
        return ""
    return what_locks(ledger, turn, now) or (f"{among.why}." if among.verdict is Verdict.WAIT else "")


def what_locks(ledger: Ledger, turn: Turn, now: datetime) -> str:
    """Which hold, or whose lock, the run's push of the cluster must respect, in a sentence; "" where there is none."""
    for place in dict.fromkeys((turn.place, turn.line)):
        if hold := ledger.hold(place, now):
            return hold.describe()
        lease = ledger.lease(place)
        if lease is not None and lease.is_running(now) and lease.owner != turn.run:
            return lease.describe()
    return ""


class LedgerTrigger(BaseTrigger):
    """Fires when nothing hinders any more, as far as the ledger knows, and at `look_again_epoch` (seconds, UTC) at the
    latest; never before 5 s. It does not say why it fires: whoever is woken looks again."""

    def __init__(self, *, look_again_epoch: float, schema: int) -> None:
        super().__init__()
        self.look_again_epoch = float(look_again_epoch)
        self.schema = schema
        self._ledger: SqlLedger | None = None

    def hindrance(self, ledger: Ledger, now: datetime) -> str:
        """What hinders, in a sentence; "" where nothing does. Called in a thread."""
        raise NotImplementedError

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
        """A ledger that does not answer hinders too."""
        from redstart.hooks.ledger import LedgerHook

        try:
            if self._ledger is None:
                self._ledger = await LedgerHook().aledger()
            return await asyncio.to_thread(self.hindrance, self._ledger, clock.now())
        except RetryableError as error:
            return str(error)

    async def cleanup(self) -> None:
        """On every end; the ledger's connections go with it."""
        if self._ledger is not None:
            self._ledger.close()


class ClusterTurnTrigger(LedgerTrigger):
    """Fires when it is the run's turn. What is kept of it outlives deployments of this code, see MomentTrigger."""

    def __init__(self, *, turn: dict[str, Any], look_again_epoch: float, schema: int = SCHEMA) -> None:
        if schema not in (ONE_BY_ONE, SCHEMA):
            raise ValueError(f"a turn of schema {schema} cannot be read by this version (it knows {SCHEMA})")
        super().__init__(look_again_epoch=look_again_epoch, schema=schema)
        self.turn = Turn.of_kwargs(turn, schema)

    @classmethod
    def of(cls, turn: Turn, look_again: datetime) -> ClusterTurnTrigger:
        return cls(turn=turn.to_kwargs(), look_again_epoch=look_again.timestamp())

    def serialize(self) -> tuple[str, dict[str, Any]]:
        turn = self.turn.to_kwargs(self.schema)
        kwargs = {"turn": turn, "look_again_epoch": self.look_again_epoch, "schema": self.schema}
        return "redstart.triggers.cluster_turn.ClusterTurnTrigger", kwargs

    def hindrance(self, ledger: Ledger, now: datetime) -> str:
        return what_hinders(ledger, self.turn, now)
