"""The ledger's database as an Airflow connection says it, and back: neither is written twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from sqlalchemy.engine import URL

from include.adapters.ledger_engine import read_url
from include.errors import ConfigError


class ConnectionFields(Protocol):
    """What an Airflow connection has."""

    conn_type: str
    host: str | None
    port: int | None
    login: str | None
    password: str | None
    schema: str | None

    @property
    def extra_dejson(self) -> Mapping[str, Any]: ...


def url_of(connection: ConnectionFields, *, name: str) -> URL:
    """sqlite: `host` is the file's absolute path. postgres: as Airflow's own; extras go into the URL's query."""
    if connection.conn_type == "sqlite":
        if not (connection.host or "").startswith("/"):
            raise ConfigError("needs an absolute path", source=name, key="host", value=connection.host)
        return URL.create("sqlite", database=connection.host)
    if connection.conn_type not in ("postgres", "postgresql"):
        raise ConfigError("must be sqlite or postgres", source=name, key="conn_type", value=connection.conn_type)
    query = {key: str(value) for key, value in connection.extra_dejson.items()}
    return URL.create(
        "postgresql",
        username=connection.login or None,
        password=connection.password or None,
        host=connection.host or None,
        port=connection.port or None,
        database=connection.schema or None,
        query=query,
    )


def connection_of(url: str) -> dict[str, Any]:
    """The connection whose `url_of` is the database URL."""
    parsed = read_url(url)
    if parsed.get_backend_name() == "sqlite":
        return {"conn_type": "sqlite", "host": parsed.database}
    return {
        "conn_type": "postgres",
        "host": parsed.host,
        "port": parsed.port,
        "login": parsed.username,
        "password": parsed.password,
        "schema": parsed.database,
        "extra": dict(parsed.query),
    }
