"""What other processes do to a ledger in the tests of races and kills; each runs in a process of its own."""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from include.adapters.ledger_engine import transaction
from include.adapters.ledger_store import SqlLedger
from include.ledger import Claim, Event, Holder, Kind, LockedError, Place

PLACE = Place("api", "main", "us-east-1")
SPAWNED = get_context("forkserver")  # children of a process without threads and without our connections
SPAWNED.set_forkserver_preload(["tests.support.ledger_workers"])
FACTS = 50


def fact(number: int, kind: Kind = Kind.PUSH_STARTED) -> Event:
    return Event(f"fact-{number}", kind, datetime(2026, 11, 23, tzinfo=UTC), PLACE, run="run", data={"n": number})


def claim_often(url: str, owner: str, times: int, inside: str) -> int:
    """Claim, be alone inside, free; `times` over. Returns how often somebody else was there at the same time."""
    ledger, met = SqlLedger(url), 0
    for _ in range(times):
        _claim(ledger, owner)
        try:
            os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            met += 1
        Path(inside).unlink(missing_ok=True)
        assert ledger.free(PLACE, datetime.now(UTC), owner=owner, who=owner, why="done") is not None
    return met


def _claim(ledger: SqlLedger, owner: str) -> None:
    while True:
        try:
            ledger.claim(PLACE, Claim(owner, Holder.PUSH, owner, "a race", 600), datetime.now(UTC))
        except LockedError:
            continue
        return


def record_all(url: str, seed: int) -> int:
    """Record the same facts as everybody else, in an order of its own; how many were new."""
    ledger, numbers = SqlLedger(url), list(range(FACTS))
    random.Random(seed).shuffle(numbers)
    return sum(ledger.record(fact(number)) for number in numbers)


def nudge_often(url: str, times: int) -> list[int]:
    """Nudge one branch `times` over; what was counted."""
    ledger = SqlLedger(url)
    return [ledger.nudge("api", "prod", "", datetime.now(UTC)) for _ in range(times)]


def record_for_ever(url: str, acknowledge: Connection) -> None:
    """Record one fact after the other, and say each number once it is kept."""
    ledger, number = SqlLedger(url), 0
    while True:
        ledger.record(fact(number))
        acknowledge.send(number)
        number += 1


def stop_inside_a_claim(url: str, reached: Connection) -> None:
    """Write a claim and its event, and never come to the commit."""
    from include.adapters import ledger_store

    def stop(*_arguments: Any) -> None:
        reached.send("written")
        reached.recv()

    ledger, write = SqlLedger(url), ledger_store._record
    ledger_store._record = lambda connection, event: (write(connection, event), stop())[0]
    _claim(ledger, "killed")


def hold_the_lock_row(url: str, reached: Connection) -> None:
    """Hold the place's lock row in an open transaction, until told to let go."""
    from include.adapters.ledger_store import _lock

    with transaction(SqlLedger(url).engine) as connection:
        _lock(connection, PLACE)
        reached.send("held")
        reached.recv()
