"""The ledger's tables. What a row means is said in include/ledger; how it got its columns, in ledger_migrations."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB

REVISION = "0002"
"""The newest migration: what this code reads and writes."""
VERSION_TABLE = "ledger_version"


class UtcMoment(TypeDecorator[datetime]):
    """Tz-aware moments; SQLite keeps them as text without a zone, always UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Number = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only in INTEGER columns
Json = JSON().with_variant(JSONB(), "postgresql")

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)

events = Table(
    "ledger_events",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("key", Text, nullable=False, unique=True),
    Column("kind", String(40), nullable=False),
    Column("at", UtcMoment, nullable=False),
    Column("app", String(100), nullable=False),
    Column("stack", String(100), nullable=False),
    Column("region", String(40), nullable=False),
    Column("run", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("data", Json, nullable=False),
    Column("version", Integer, nullable=False),
    Index("ix_ledger_events_place", "app", "stack", "region", "number"),
    Index("ix_ledger_events_run", "run", "app", "stack", "region", "number"),
    sqlite_autoincrement=True,
)


def _place_key() -> list[Column[str]]:
    """One row a place."""
    return [
        Column("app", String(100), primary_key=True),
        Column("stack", String(100), primary_key=True),
        Column("region", String(40), primary_key=True),
    ]


locks = Table(
    "ledger_locks",
    metadata,
    *_place_key(),
    # The greatest token ever given out here: it stays when the lock is freed, and `owner` becomes NULL.
    Column("token", Number, nullable=False),
    Column("owner", Text),
    Column("holder", String(20)),
    Column("who", Text),
    Column("why", Text),
    Column("since", UtcMoment),
    Column("until", UtcMoment),
)

holds = Table(
    "ledger_holds",
    metadata,
    *_place_key(),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("since", UtcMoment, nullable=False),
    Column("until", UtcMoment),
)

outbox = Table(
    "ledger_outbox",
    metadata,
    Column("topic", String(40), primary_key=True),
    Column("number", Number, ForeignKey(events.c.number), primary_key=True),
    Column("told", UtcMoment),
)

nudges = Table(
    "ledger_nudges",
    metadata,
    Column("repository", Text, primary_key=True),
    Column("branch", Text, primary_key=True),
    Column("number", Number, nullable=False),
    Column("commit", Text, nullable=False),
    Column("at", UtcMoment, nullable=False),
)


def insert_into(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that can say what is done where the row is there already; in the connection's dialect."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
