"""A migrated, empty database for each test: on SQLite, and on PostgreSQL where Debian's is installed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, make_url

from include.adapters.ledger_engine import ledger_engine
from include.adapters.ledger_schema import upgrade
from include.adapters.ledger_tables import REVISION, VERSION_TABLE, metadata
from tests.support import postgres_server
from tests.support.ledger import fresh_ledger, ledger_url

MIGRATED = "migrated"
_numbers = count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A server of this session's own, with a migrated database."""
    if not postgres_server.IS_HERE:
        pytest.skip(postgres_server.ABSENT)
    with postgres_server.serve_postgres() as url:
        engine = ledger_engine(_make_database(url, MIGRATED))
        upgrade(engine)
        engine.dispose()
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a migrated, empty ledger."""
    if request.param == "sqlite":
        fresh_ledger(tmp_path / "ledger.db").close()
        return ledger_url(tmp_path / "ledger.db")
    return _emptied(request.getfixturevalue("postgres"))


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without any table."""
    if request.param == "sqlite":
        return ledger_url(tmp_path / "empty.db")
    return _make_database(request.getfixturevalue("postgres"), f"empty_{next(_numbers)}")


def _make_database(server: str, name: str) -> str:
    _execute(_database(server, "postgres"), f"CREATE DATABASE {name}")
    return _shown(_database(server, name))


def _emptied(server: str) -> str:
    """The migrated database, as new: a database for each test would be 900 files each."""
    url = _database(server, MIGRATED)
    names = ", ".join(metadata.tables)
    _execute(
        url,
        "SET session_replication_role = replica",  # else the ledger refuses to forget
        f"TRUNCATE {names} RESTART IDENTITY CASCADE",
        f"UPDATE {VERSION_TABLE} SET version_num = '{REVISION}'",
    )
    return _shown(url)


def _execute(url: URL, *statements: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def _database(server: str, name: str) -> URL:
    return make_url(server).set(drivername="postgresql+psycopg2", database=name)


def _shown(url: URL) -> str:
    return url.render_as_string(hide_password=False)
