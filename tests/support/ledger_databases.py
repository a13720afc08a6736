"""A migrated, empty database for each test: on SQLite, and on PostgreSQL where Debian's is installed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from include.adapters.ledger_engine import ledger_engine
from include.adapters.ledger_schema import upgrade
from tests.support import postgres_server
from tests.support.ledger import fresh_ledger, ledger_url

_numbers = count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A server of this session's own, with a migrated database `template`."""
    if not postgres_server.IS_HERE:
        pytest.skip(postgres_server.ABSENT)
    with postgres_server.serve_postgres() as url:
        make_database(url, "template")
        engine = ledger_engine(make_url(url).set(database="template"))
        upgrade(engine)
        engine.dispose()
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a migrated, empty ledger."""
    if request.param == "sqlite":
        fresh_ledger(tmp_path / "ledger.db").close()
        return ledger_url(tmp_path / "ledger.db")
    return make_database(request.getfixturevalue("postgres"), template="template")


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without any table."""
    if request.param == "sqlite":
        return ledger_url(tmp_path / "empty.db")
    return make_database(request.getfixturevalue("postgres"))


def make_database(server: str, name: str = "", template: str = "template1") -> str:
    """The URL of a new database of the server."""
    name = name or f"ledger_{next(_numbers)}"
    url = make_url(server).set(drivername="postgresql+psycopg2")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    engine.dispose()
    return url.set(database=name).render_as_string(hide_password=False)
