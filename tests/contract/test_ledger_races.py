"""Eight processes at one ledger, and processes that are killed in the middle of a verb."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from include.adapters.ledger_engine import ledger_engine
from include.adapters.ledger_store import SqlLedger
from include.errors import RetryableError
from include.ledger import Claim, Holder, Kind
from include.ledger.folds import CHAT
from tests.support import ledger_workers
from tests.support.ledger_workers import FACTS, PLACE, SPAWNED, claim_often, fact, record_all

RACERS, CLAIMS = 8, 10
WAIT_SECONDS = 60.0


def test_of_eight_that_race_for_a_cluster_one_has_it_at_a_time(database: str, tmp_path: Path) -> None:
    inside = str(tmp_path / "inside")
    with SPAWNED.Pool(RACERS) as pool:
        met = pool.starmap(claim_often, [(database, f"racer {n}", CLAIMS, inside) for n in range(RACERS)], chunksize=1)

    ledger = SqlLedger(database)
    claimed, freed = (
        [one.event.data["token"] for one in ledger.events(kinds=[kind])]
        for kind in (Kind.LOCK_CLAIMED, Kind.LOCK_RELEASED)
    )
    assert met == [0] * RACERS
    assert claimed == freed == sorted(set(claimed))
    assert len(claimed) == RACERS * CLAIMS
    assert ledger.lease(PLACE) is None


def test_a_fact_that_eight_record_is_kept_and_told_once(database: str) -> None:
    with SPAWNED.Pool(RACERS) as pool:
        new = pool.starmap(record_all, [(database, seed) for seed in range(RACERS)], chunksize=1)

    ledger = SqlLedger(database)
    assert sum(new) == FACTS
    assert sorted(one.event.key for one in ledger.events()) == sorted(fact(number).key for number in range(FACTS))
    assert len(ledger.pending(CHAT)) == FACTS


@pytest.mark.parametrize("facts", [1, 7, 40])
def test_a_writer_that_is_killed_loses_nothing_it_was_told_is_kept(database: str, facts: int) -> None:
    with process(ledger_workers.record_for_ever, database) as (pid, acknowledged):
        told = [receive(acknowledged) for _ in range(facts)]
        os.kill(pid, signal.SIGKILL)

    ledger = SqlLedger(database)
    kept = [one.event.data["n"] for one in ledger.events()]
    assert kept[: len(told)] == told
    assert kept == list(range(len(kept)))
    assert len(ledger.pending(CHAT)) == len(kept), "an event and what is to be told of it are kept together"
    assert ledger.record(fact(-1))


def test_a_claim_that_is_killed_before_its_commit_is_no_claim(database: str) -> None:
    with process(ledger_workers.stop_inside_a_claim, database) as (pid, reached):
        assert receive(reached) == "written"
        os.kill(pid, signal.SIGKILL)

    ledger = SqlLedger(database)
    assert (ledger.lease(PLACE), ledger.events()) == (None, [])
    assert ledger.claim(PLACE, Claim("next", Holder.PUSH, "next", "again", 60), datetime.now(UTC)).owner == "next"


def test_a_ledger_that_stays_busy_is_a_matter_of_trying_again(database: str) -> None:
    """Whoever stopped inside a transaction keeps others waiting, but not for ever."""
    ledger = SqlLedger(ledger_engine(database, busy_seconds=0.2))
    claim, now = Claim("other", Holder.PUSH, "other", "a push", 60), datetime.now(UTC)
    with process(ledger_workers.hold_the_lock_row, database) as (_, reached):
        assert receive(reached) == "held"
        with pytest.raises(RetryableError, match="the ledger .*lock"):
            ledger.claim(PLACE, claim, now)
        assert ledger.lease(PLACE) is None, "who reads does not wait"
        reached.send("let go")

    assert ledger.claim(PLACE, claim, now).owner == "other"


@contextmanager
def process(work: Any, database: str) -> Iterator[tuple[int, Connection]]:
    """A process that does `work(database, connection)`, and our end of the connection; it has ended at the exit."""
    ours, theirs = SPAWNED.Pipe()
    worker = SPAWNED.Process(target=work, args=(database, theirs))
    worker.start()
    theirs.close()
    try:
        assert worker.pid is not None
        yield worker.pid, ours
        worker.join(WAIT_SECONDS)
        assert worker.exitcode in (0, -signal.SIGKILL)
    finally:
        worker.kill()
        worker.join()


def receive(connection: Connection) -> Any:
    assert connection.poll(WAIT_SECONDS), "the process says nothing"
    return connection.recv()
