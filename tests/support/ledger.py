"""Ledgers for tests: migrated once, copied from then on."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import event

from include.adapters.ledger_engine import ledger_engine
from include.adapters.ledger_schema import upgrade
from include.adapters.ledger_store import SqlLedger


def fresh_ledger(path: Path) -> SqlLedger:
    """An empty ledger in the file `path`, which must not exist. Its writes survive a kill, but not a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_template())
    return open_ledger(path)


def open_ledger(path: Path) -> SqlLedger:
    """The ledger of the file, over connections of its own: what another process would see."""
    engine = ledger_engine(ledger_url(path))
    event.listen(engine, "connect", _wait_for_no_disk)
    return SqlLedger(engine)


def ledger_url(path: Path) -> str:
    return f"sqlite:///{path}"


@cache
def _template() -> bytes:
    with tempfile.TemporaryDirectory(prefix="redstart-test-ledger-") as folder:
        file = Path(folder, "ledger.db")
        engine = ledger_engine(ledger_url(file))
        upgrade(engine)
        engine.dispose()  # the last connection writes the log into the file
        return file.read_bytes()


def _wait_for_no_disk(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous = OFF")
