"""Waits until a region's quiet window opens: its absolute beginning, so that no restart begins the wait again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from include.errors import RedstartError
from include.ledger import Kind, Ledger, Place
from include.ledger.overrides import override_in_force
from redstart.operators import clock
from redstart.triggers.moment import FIRST_EVENT_SECONDS, clock_words
from redstart.triggers.own_thread import in_own_thread

if TYPE_CHECKING:
    from redstart.hooks.ledger import SqlLedger

SCHEMA = 1
POLL_SECONDS = 5.0
SAY_SECONDS = 60.0
ANSWER_SECONDS = 20.0
STOPS = frozenset({Kind.PUSH_FAILED, Kind.DELIVERY_HALTED})
"""Of any region of the run: whoever waits has to look whether it still should."""


def what_wakes(ledger: Ledger, place: Place, run: str, seen: int, now: datetime) -> str:
    """Why a wait for a window of the place is to be ended before its time, in a sentence; "" where it is not. `seen`:
    the number of the newest event of the run when the wait began."""
    if override := override_in_force(ledger, place, now):
        return override.describe()
    stopped = ledger.events(app=place.app, run=run, kinds=STOPS, newest=1) if run else []
    if stopped and stopped[-1].number > seen:
        event = stopped[-1].event
        return f"{event.place}: {event.kind}: {event.why}"
    return ""


class QuietWindowTrigger(BaseTrigger):
    """Fires at `opens_epoch` (seconds, UTC); before it where a person overrides the windows of the place, or where the
    run stops; never before 5 s. A ledger that does not answer delays nothing.

    What is kept of it outlives deployments of this code, see MomentTrigger. It does not say why it fires: whoever is
    woken looks again. `why` is only for the log.
    """

    def __init__(
        self,
        *,
        place: dict[str, str],
        run: str,
        opens_epoch: float,
        why: str = "",
        seen: int = 0,
        schema: int = SCHEMA,
    ) -> None:
        super().__init__()
        if schema != SCHEMA:
            raise ValueError(f"a wait of schema {schema} cannot be read by this version (it knows {SCHEMA})")
        self.place = Place(**place)
        self.run_key = run
        self.opens_epoch = float(opens_epoch)
        self.why = why
        self.seen = int(seen)
        self.schema = schema
        self._ledger: SqlLedger | None = None
        self._asking: asyncio.Task[str] | None = None

    @classmethod
    def of(cls, place: Place, run: str, opens: datetime, why: str = "", seen: int = 0) -> QuietWindowTrigger:
        return cls(place=asdict(place), run=run, opens_epoch=opens.timestamp(), why=why, seen=seen)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        kwargs = {
            "place": asdict(self.place),
            "run": self.run_key,
            "opens_epoch": self.opens_epoch,
            "why": self.why,
            "seen": self.seen,
            "schema": self.schema,
        }
        return "redstart.triggers.quiet_window.QuietWindowTrigger", kwargs

    async def run(self) -> AsyncIterator[TriggerEvent]:
        await asyncio.sleep(FIRST_EVENT_SECONDS)
        said = float("-inf")
        while (left := self.opens_epoch - clock.now().timestamp()) > 0:
            if word := await self._what_wakes():
                self.log.info("%s", word)
                break
            at = asyncio.get_running_loop().time()
            if at - said >= SAY_SECONDS:
                self.log.info("%s: %s; looked at again in %s", self.place, self.why, clock_words(left))
                said = at
            await asyncio.sleep(min(POLL_SECONDS, max(self.opens_epoch - clock.now().timestamp(), 0.0)))
        yield TriggerEvent({"schema": self.schema})

    async def _what_wakes(self) -> str:
        """As `what_wakes`; "" where the ledger does not answer. One that hangs is asked once, not again and again."""
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        left = self.opens_epoch - clock.now().timestamp()
        await asyncio.wait({self._asking}, timeout=max(min(left, ANSWER_SECONDS), 0.0))
        if not self._asking.done():
            return ""
        asked, self._asking = self._asking, None
        try:
            return asked.result()
        except RedstartError as error:
            self.log.warning("%s: the ledger does not answer: %s", self.place, error)
            return ""

    async def _ask(self) -> str:
        from redstart.hooks.ledger import LedgerHook

        if self._ledger is None:
            self._ledger = await LedgerHook().aledger()
        ledger = self._ledger
        return await in_own_thread(lambda: what_wakes(ledger, self.place, self.run_key, self.seen, clock.now()))

    async def cleanup(self) -> None:
        """On every end; the ledger's connections go with it."""
        if self._asking is not None:
            self._asking.cancel()
        if self._ledger is not None:
            self._ledger.close()
