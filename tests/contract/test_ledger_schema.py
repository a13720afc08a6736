"""The ledger's tables: made by migrations, asked for by name when they are missing, and what old ones hold is read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text

from include.adapters.ledger_engine import ledger_engine, sqlite_file, transaction
from include.adapters.ledger_schema import MIGRATIONS, upgrade
from include.adapters.ledger_store import SqlLedger
from include.adapters.ledger_tables import REVISION, VERSION_TABLE
from include.errors import ConfigError, RefusedError, RetryableError
from include.ledger import Event, Kind, Place
from include.ledger.folds import KnownBuild, Outcome, last_build, pushes, start_seconds, times_to_safe
from tests.support.ledger_workers import SPAWNED

GOLDEN = Path(__file__).parents[1] / "golden" / "ledger"
EAST = Place("api", "main", "us-east-1")


def migrations() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def test_the_code_asks_for_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(migrations()).get_heads() == [REVISION]


def test_migrations_from_nothing_make_the_tables_that_the_code_uses(empty_database: str) -> None:
    engine = ledger_engine(empty_database)
    upgrade(engine)
    with transaction(engine) as connection:
        config = migrations()
        config.attributes["connection"] = connection
        command.check(config)  # raises where tables and migrations differ


def test_an_upgrade_done_twice_keeps_what_is_there(empty_database: str) -> None:
    engine = ledger_engine(empty_database)
    upgrade(engine)
    SqlLedger(engine).record(Event("key", Kind.PUSH_STARTED, datetime.now(UTC), EAST))
    upgrade(engine)
    assert len(SqlLedger(engine).events()) == 1


def test_upgrades_at_the_same_time_wait_for_each_other(empty_database: str) -> None:
    with SPAWNED.Pool(4) as pool:
        pool.map(upgrade_once, [empty_database] * 4, chunksize=1)
    assert SqlLedger(empty_database).events() == []


def upgrade_once(url: str) -> None:
    upgrade(ledger_engine(url))


def test_a_ledger_without_tables_is_refused_with_the_command_that_makes_them(empty_database: str) -> None:
    engine = ledger_engine(empty_database)
    with pytest.raises(ConfigError, match="revision none.*run `python -m include.services.ledger upgrade`"):
        SqlLedger(engine)
    file = sqlite_file(engine)
    assert file is None or not file.exists(), "to look makes nothing"


def test_a_ledger_of_another_revision_is_refused(database: str) -> None:
    engine = ledger_engine(database)
    with transaction(engine) as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '0999'"))
    with pytest.raises(ConfigError, match=f"revision 0999, this code's of {REVISION}"):
        SqlLedger(engine)


def test_a_file_that_is_no_database_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_text("a text " * 1000)
    with pytest.raises(RefusedError, match=r"ledger\.db: file is not a database"):
        SqlLedger(f"sqlite:///{tmp_path}/ledger.db")


def test_a_server_that_is_not_there_is_a_matter_of_trying_again_and_its_password_is_not_shown() -> None:
    with pytest.raises(RetryableError) as refused:
        SqlLedger("postgresql://ann:secret@127.0.0.1:1/ledger?application_name=secret")
    assert "postgresql+psycopg2://ann:***@127.0.0.1:1/ledger: connection to server" in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["", "secret", "postgresql://ann:secret@host:port/ledger"])
def test_what_is_no_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigError, match="ledger: url: is not a database URL") as refused:
        SqlLedger(url)
    assert "secret" not in str(refused.value)


def test_another_database_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"must be sqlite or postgresql \(found 'mysql'\)"):
        SqlLedger("mysql://ann:secret@host/ledger")


def test_events_of_the_first_version_are_still_read(database: str) -> None:
    """Rows as version 1 wrote them: one of every kind, with the data it had."""
    rows = json.loads((GOLDEN / "events.v1.json").read_text())
    insert_as_written(database, rows)

    events = SqlLedger(database).events()

    assert [one.event.kind.value for one in events] == [row["kind"] for row in rows]
    assert {row["kind"] for row in rows} >= {kind.value for kind in VERSION_1}
    assert [one.event.data for one in events] == [row["data"] for row in rows]
    assert {one.event.version for one in events} == {1}
    assert events[0].event.at == datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    assert [(one.run, one.outcome) for one in pushes(events)] == [
        ("api-prod/2", Outcome.ROLLED_BACK),
        ("api-prod/1", Outcome.FINISHED),
    ]
    assert last_build(events, EAST) == KnownBuild("api-main-v001", "ami-1", "1.0.0", "c1")
    assert (start_seconds(events, EAST), times_to_safe(events)[0].seconds) == (61.5, 60.0)


VERSION_1 = [Kind(word) for word in (
    "lock.claimed", "lock.taken_over", "lock.released", "hold.placed", "hold.lifted", "step.intended", "step.done",
    "push.started", "red.launched", "red.healthy", "traffic.shared", "previous.black", "push.finished", "push.failed",
    "rollback.started", "rollback.safe", "rollback.finished", "rollback.failed", "black.deleted",
)]  # fmt: skip


def insert_as_written(url: str, rows: list[dict[str, object]]) -> None:
    engine = ledger_engine(url)
    with transaction(engine) as connection:
        for row in rows:
            values = {**row, "data": json.dumps(row["data"])}
            names = ", ".join(values)
            marks = ", ".join(f":{name}" for name in values)
            connection.execute(text(f"INSERT INTO ledger_events ({names}) VALUES ({marks})"), values)


def test_a_server_that_was_restarted_is_asked_over_a_new_connection(postgres: str) -> None:
    engine = ledger_engine(postgres)
    upgrade(engine)
    ledger = SqlLedger(engine)
    with pytest.raises(RetryableError, match="redstart@.*connection"), transaction(engine) as connection:
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    assert ledger.events() == []

    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = user"
    with transaction(ledger_engine(postgres)) as connection:
        connection.execute(text(others))
    assert ledger.record(Event("key", Kind.PUSH_STARTED, datetime.now(UTC), EAST))
