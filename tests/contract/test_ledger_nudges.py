"""Nudges and the accounting of commits, in SQLite and PostgreSQL alike."""

from __future__ import annotations

from datetime import UTC, datetime

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from include.adapters.ledger_engine import ledger_engine, transaction
from include.adapters.ledger_schema import MIGRATIONS, upgrade
from include.adapters.ledger_store import SqlLedger
from include.ledger import EVERY_REGION, Event, Kind, Place
from tests.support.ledger_workers import SPAWNED, nudge_often

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PLACE = Place("api", "main", EVERY_REGION)


def test_a_branch_has_one_row_and_its_number_only_grows(database: str) -> None:
    ledger = SqlLedger(database)
    assert ledger.nudges() == {}
    assert [ledger.nudge("api", "prod", commit, NOW) for commit in ("a" * 40, "b" * 40, "")] == [1, 2, 3]
    assert ledger.nudge("api", "test", "c" * 40, NOW) == 1
    assert ledger.nudge("team/web", "prod", "d" * 40, NOW) == 1

    assert ledger.nudges() == {("api", "prod"): 3, ("api", "test"): 1, ("team/web", "prod"): 1}
    with transaction(ledger.engine, reads=True) as connection:
        assert connection.execute(text("SELECT count(*) FROM ledger_nudges")).scalar() == 3


def test_what_somebody_says_of_a_commit_is_only_kept(database: str) -> None:
    ledger = SqlLedger(database)
    assert ledger.nudge("api'; DROP TABLE ledger_nudges; --", 'a"b', "x\0" * 100, NOW) == 1
    assert ledger.nudges() == {("api'; DROP TABLE ledger_nudges; --", 'a"b'): 1}


def test_nudges_at_the_same_time_are_all_counted(database: str) -> None:
    with SPAWNED.Pool(4) as pool:
        seen = pool.starmap(nudge_often, [(database, 25)] * 4, chunksize=1)
    assert sorted(number for numbers in seen for number in numbers) == list(range(1, 101))


def test_a_ledger_from_before_nudges_is_brought_up_with_what_it_holds(empty_database: str) -> None:
    engine = ledger_engine(empty_database)
    with transaction(engine) as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        row = "'k', 'push.started', '2026-11-23 12:00:00+00:00', 'api', 'main', 'us-east-1', 'r', 'w', 'y', '{}', 1"
        names = "key, kind, at, app, stack, region, run, who, why, data, version"
        connection.execute(text(f"INSERT INTO ledger_events ({names}) VALUES ({row})"))

    upgrade(engine)

    ledger = SqlLedger(engine)
    assert [one.event.key for one in ledger.events()] == ["k"]
    assert ledger.nudge("api", "prod", "", NOW) == 1


def fact(key: str, kind: Kind = Kind.COMMIT_SUPERSEDED, run: str = "one") -> Event:
    return Event(key, kind, NOW, PLACE, run=run)


def test_the_first_fact_decides_whether_the_others_are_kept(database: str) -> None:
    ledger = SqlLedger(database)
    assert ledger.record_first(fact("a", Kind.COMMIT_SELECTED))
    assert ledger.record_first(fact("c", Kind.COMMIT_SELECTED, "two"), [fact("b", run="two"), fact("a", run="two")])
    assert not ledger.record_first(fact("b", Kind.COMMIT_SELECTED, "three"), [fact("d", run="three")])

    kept = [(one.event.key, one.event.kind.value, one.event.run) for one in ledger.events()]
    assert kept == [
        ("a", "commit.selected", "one"),
        ("c", "commit.selected", "two"),
        ("b", "commit.superseded", "two"),
    ]


def test_one_of_many_who_account_at_the_same_time_is_first(database: str) -> None:
    with SPAWNED.Pool(4) as pool:
        firsts = pool.starmap(account_once, [(database, name) for name in "abcd"], chunksize=1)
    kept = SqlLedger(database).events()
    assert firsts.count(True) == 1
    assert {one.event.run for one in kept} == {"abcd"[firsts.index(True)]}
    assert len(kept) == 51


def account_once(url: str, run: str) -> bool:
    others = [fact(f"older-{number}", run=run) for number in range(50)]
    return SqlLedger(url).record_first(fact("head", Kind.COMMIT_SELECTED, run), others)
