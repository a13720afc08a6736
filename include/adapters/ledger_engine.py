"""Connections to the ledger's database: SQLite (one machine) or PostgreSQL; and its errors in the product's words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, StaticPool, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from include.errors import ConfigError, RedstartError, RefusedError, RetryableError

BUSY_SECONDS = 60.0
CONNECT_SECONDS = 10
DRIVERS = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg2", "postgres": "postgresql+psycopg2"}
READS = "redstart_reads"
NOT_NOW = (OperationalError, InterfaceError, PoolTimeoutError)


def read_url(url: str | URL) -> URL:
    """ConfigError unless it is a URL of SQLite or PostgreSQL; it names the driver that is installed."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # it may carry a password, so it is not shown
        raise ConfigError("is not a database URL", source="ledger", key="url") from None
    backend = parsed.get_backend_name()
    if backend not in DRIVERS:
        raise ConfigError("must be sqlite or postgresql", source="ledger", key="url", value=backend)
    return parsed.set(drivername=DRIVERS[backend])


def ledger_engine(url: str | URL, *, busy_seconds: float = BUSY_SECONDS) -> Engine:
    """The engine of a database URL; contacts nobody. To be made in the process that uses it, not before a fork.

    Who finds the ledger busy waits for it `busy_seconds` at most.
    """
    parsed = read_url(url)
    make = _sqlite_engine if parsed.get_backend_name() == "sqlite" else _postgres_engine
    return make(parsed, busy_seconds)


def _postgres_engine(url: URL, busy_seconds: float) -> Engine:
    connect = {"connect_timeout": CONNECT_SECONDS}
    engine = create_engine(url, pool_pre_ping=True, connect_args=connect, json_serializer=_to_json)
    event.listen(engine, "connect", partial(_prepare_postgres, busy_seconds))
    return engine


def _sqlite_engine(url: URL, busy_seconds: float) -> Engine:
    # In memory there is one database as long as the engine lives, for one thread.
    pool = {"poolclass": StaticPool} if _is_in_memory(url) else {}
    connect = {"timeout": busy_seconds, "check_same_thread": False}
    engine = create_engine(url, connect_args=connect, json_serializer=_to_json, **pool)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def sqlite_file(engine: Engine) -> Path | None:
    """The file of an SQLite ledger; None for every other."""
    if engine.dialect.name != "sqlite" or _is_in_memory(engine.url):
        return None
    return Path(engine.url.database or "")


def ledger_name(engine: Engine) -> str:
    """The ledger as a sentence may name it: no password, and no options, which may hold one too."""
    return f"the ledger {engine.url.set(query={}).render_as_string(hide_password=True)}"


@contextmanager
def transaction(engine: Engine, *, reads: bool = False) -> Iterator[Connection]:
    """One transaction: committed at the end, or nothing of it. RetryableError where the database does not answer."""
    try:
        with engine.connect() as connection:
            if reads:
                connection = connection.execution_options(**{READS: True})
            with connection.begin():
                yield connection
    except SQLAlchemyError as error:
        raise translate(error, engine) from error


def translate(error: SQLAlchemyError, engine: Engine) -> RedstartError:
    """The error of the product; never the statement or its values, which a log need not show."""
    text = str(error.orig if isinstance(error, DBAPIError) else error).strip().split("\n")[0]
    sentence = f"{ledger_name(engine)}: {text}"
    if isinstance(error, NOT_NOW) or (isinstance(error, DBAPIError) and error.connection_invalidated):
        return RetryableError(sentence)
    return RefusedError(sentence)


def _is_in_memory(url: URL) -> bool:
    return url.database in (None, "", ":memory:")


def _to_json(data: Any) -> str:
    return json.dumps(data, allow_nan=False)  # PostgreSQL would refuse it, SQLite keep what nobody else can read


def _prepare_postgres(busy_seconds: float, connection: Any, _record: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = %s", (f"{round(busy_seconds * 1000)}ms",))
    connection.commit()  # a setting made in a transaction goes with it


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # else the driver begins transactions by itself, and later than we say
    connection.execute("PRAGMA journal_mode = WAL")  # readers read while one writes; kept in the file
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")  # an intent must be on disk before its call is made


def _begin_sqlite(connection: Connection) -> None:
    """A writer takes the write lock at its beginning: one that reads first and writes later could only give up."""
    reads = connection.get_execution_options().get(READS, False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
