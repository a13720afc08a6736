"""The ledger through a connection of type sqlite (`host`: the file) or postgres."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from airflow.sdk import BaseHook

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from include.adapters.ledger_store import SqlLedger

CONNECTION_ID = "redstart_ledger"


class LedgerHook(BaseHook):
    """Opens the ledger of one connection."""

    def __init__(self, conn_id: str = CONNECTION_ID) -> None:
        super().__init__()
        self.conn_id = conn_id

    def ledger(self) -> SqlLedger:
        """The ledger, over connections of its own. ConfigError where its tables are not of this code's revision."""
        return self._open(self.get_connection(self.conn_id))

    async def aledger(self) -> SqlLedger:
        """The same, from a trigger's event loop."""
        return await asyncio.to_thread(self._open, await self.aget_connection(self.conn_id))

    def _open(self, connection: Connection) -> SqlLedger:
        from include.adapters.ledger_connection import url_of
        from include.adapters.ledger_store import SqlLedger

        return SqlLedger(url_of(connection, name=f"connection {self.conn_id}"))
