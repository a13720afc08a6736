"""A ledger whose every verb, and every commit of a change inside one, can be heard, and ended, by a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import event

from include.adapters.ledger_engine import READS
from tests.support.direct_clients import Listen
from tests.support.ledger import open_ledger


class ListenedLedger:
    """The port over the ledger in `database`: `listen` hears "before" and "after" each verb, "before" each commit."""

    def __init__(self, database: Path, listen: Listen) -> None:
        self._ledger, self._listen = open_ledger(database), listen
        self._verb = ""
        event.listen(self._ledger.engine, "commit", self._before_commit)

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self._ledger, name)

        def call(*arguments: Any, **named: Any) -> Any:
            self._verb = name
            self._listen("before", f"ledger.{name}")
            answer = verb(*arguments, **named)
            self._listen("after", f"ledger.{name}")
            return answer

        return call

    def _before_commit(self, connection: Any) -> None:
        if not connection.get_execution_options().get(READS, False):
            self._listen("before", f"the commit of ledger.{self._verb}")
