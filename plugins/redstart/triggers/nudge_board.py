"""The nudges as this triggerer last read them: one read serves every watcher of every repository."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from redstart.triggers.own_thread import in_own_thread

if TYPE_CHECKING:
    from redstart.hooks.ledger import SqlLedger

Counts = Mapping[tuple[str, str], int]
"""(repository, branch) -> how often it was nudged."""

REST_SECONDS = 10.0
log = logging.getLogger(__name__)


class NudgeBoard:
    """Nobody waits for a ledger that does not answer: then the counts are those of before, and polls find the rest."""

    def __init__(self) -> None:
        self._counts: Counts = {}
        self._read_at = float("-inf")
        self._not_before = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self._ledger: SqlLedger | None = None
        self._is_away = False

    async def counts(self, age_seconds: float) -> Counts:
        """The counts, read again if they are older than `age_seconds`; waits at most as long for the answer."""
        loop = asyncio.get_running_loop()
        if self._reading is None:
            if loop.time() < max(self._read_at + age_seconds, self._not_before):
                return self._counts
            self._reading = loop.create_task(self._read())
        await asyncio.wait({self._reading}, timeout=age_seconds)
        return self._counts

    async def _read(self) -> None:
        from redstart.hooks.ledger import LedgerHook

        loop = asyncio.get_running_loop()
        try:
            if self._ledger is None:
                self._ledger = await LedgerHook().aledger()
            self._counts = await in_own_thread(self._ledger.nudges)
            self._is_away = False
        except Exception as error:  # of the ledger, its connection or Airflow's database: a nudge only makes it faster
            if not self._is_away:
                log.warning("Nudges cannot be read, branches are polled meanwhile: %s", error)
            self._is_away = True
            self._not_before = loop.time() + REST_SECONDS
            self._ledger = None
        finally:
            self._read_at = loop.time()
            self._reading = None


_boards: WeakKeyDictionary[asyncio.AbstractEventLoop, NudgeBoard] = WeakKeyDictionary()


def nudge_board() -> NudgeBoard:
    """The board of the running loop, which all its watchers share."""
    return _boards.setdefault(asyncio.get_running_loop(), NudgeBoard())
