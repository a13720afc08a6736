"""Makes and checks the ledger's tables: Alembic migrations, run by `python -m include.services.ledger upgrade`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from include.adapters.ledger_engine import ledger_name, sqlite_file, transaction
from include.adapters.ledger_tables import REVISION, VERSION_TABLE
from include.errors import ConfigError

MIGRATIONS = Path(__file__).with_name("ledger_migrations")
COMMAND = "python -m include.services.ledger upgrade"
_ADVISORY_LOCK = 7_235_711_045  # any number, the same for every upgrade of this database


def upgrade(engine: Engine) -> None:
    """Bring the tables to this code's revision, in one transaction; two at once wait for each other."""
    if file := sqlite_file(engine):
        with suppress(OSError):  # the database says it better, with its name
            file.parent.mkdir(parents=True, exist_ok=True)
    with transaction(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
        _run_migrations(connection)


def check_revision(engine: Engine) -> None:
    """ConfigError unless the tables are of this code's revision; says which command brings them there."""
    found = _revision(engine)
    if found != REVISION:
        raise ConfigError(
            f"its tables are of revision {found or 'none'}, this code's of {REVISION}; run `{COMMAND}`",
            source=ledger_name(engine),
        )


def _revision(engine: Engine) -> str | None:
    file = sqlite_file(engine)
    if file and not file.exists():  # to look would make it
        return None
    with transaction(engine, reads=True) as connection:
        if not inspect(connection).has_table(VERSION_TABLE):
            return None
        return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608


def _run_migrations(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
