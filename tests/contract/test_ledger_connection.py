"""One place says where the ledger is: settings make the connection, the hook opens what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from airflow.sdk import Connection

from include.adapters.ledger_connection import connection_of, url_of
from include.adapters.ledger_engine import read_url
from include.errors import ConfigError
from include.services.airflow_env import connections
from include.services.ledger import main
from include.services.settings import Settings
from redstart.hooks.ledger import LedgerHook

VARIABLE = "AIRFLOW_CONN_REDSTART_LEDGER"


def test_the_upgrade_makes_the_ledger_that_the_hook_opens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REDSTART_HOME", str(tmp_path))
    monkeypatch.setenv(VARIABLE, connections(Settings())[VARIABLE])

    with pytest.raises(ConfigError, match=r"python -m include\.services\.ledger upgrade"):
        LedgerHook().ledger()
    assert main(["upgrade"]) == 0

    assert LedgerHook().ledger().events() == []
    assert (tmp_path / "ledger" / "ledger.db").exists()


def test_an_upgrade_that_cannot_be_says_so_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("REDSTART_LEDGER", f"sqlite:///{tmp_path}/file/ledger.db")

    assert main(["upgrade"]) == 2

    assert "file/ledger.db: unable to open database file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////var/lib/redstart/ledger.db",
        "postgresql+psycopg2://ann:p%40ss%2Fword@db.example:5433/ledger?sslmode=require",
        "postgresql+psycopg2://db.example/ledger",
        "postgres://db.example/ledger",
        "postgresql+psycopg2:///ledger?host=%2Ftmp",
    ],
)
def test_a_url_is_the_same_after_its_way_through_a_connection(url: str) -> None:
    connection = Connection.from_json(json.dumps(connection_of(url)), conn_id="redstart_ledger")

    found = url_of(connection, name="connection redstart_ledger")

    assert read_url(found) == read_url(url)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        (
            {"conn_type": "mysql", "host": "db"},
            r"connection x: conn_type: must be sqlite or postgres \(found 'mysql'\)",
        ),
        ({"conn_type": "sqlite", "host": "ledger.db"}, r"host: needs an absolute path \(found 'ledger.db'\)"),
        ({"conn_type": "sqlite"}, "host: needs an absolute path"),
    ],
)
def test_a_connection_that_cannot_be_a_ledger_is_refused(fields: dict[str, str], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        url_of(Connection(conn_id="x", **fields), name="connection x")
