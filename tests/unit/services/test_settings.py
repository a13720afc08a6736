"""One place for addresses: services, Airflow and the command line agree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from include.errors import ConfigError
from include.services.airflow_env import airflow_environment
from include.services.home import Home
from include.services.settings import Settings
from include.services.stack import read_settings


def test_airflow_uses_the_stacks_own_ports(tmp_path: Path) -> None:
    environment = airflow_environment(Settings(home=tmp_path, airflow_port=29000, cloud_port=29001))
    assert environment["AIRFLOW__API__BASE_URL"] == "http://127.0.0.1:29000"
    assert environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:29000/execution/"
    aws = json.loads(environment["AIRFLOW_CONN_REDSTART_AWS"])
    assert aws["extra"]["endpoint_url"] == "http://127.0.0.1:29001"


def test_secrets_are_kept_over_restarts_and_private(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    first, second = airflow_environment(settings), airflow_environment(settings)
    assert first["AIRFLOW__API_AUTH__JWT_SECRET"] == second["AIRFLOW__API_AUTH__JWT_SECRET"]
    assert (settings.airflow_home / "jwt_secret").stat().st_mode & 0o077 == 0


def test_webhook_secret_outlives_the_world(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    first = json.loads(airflow_environment(settings)["AIRFLOW_CONN_REDSTART_WEBHOOK"])["password"]
    Home(settings).renew_world()
    assert json.loads(airflow_environment(settings)["AIRFLOW_CONN_REDSTART_WEBHOOK"])["password"] == first
    assert len(first) >= 64
    assert (tmp_path / "secrets" / "webhook").stat().st_mode & 0o077 == 0


def test_jira_is_connected_only_where_one_is_named(tmp_path: Path) -> None:
    assert "AIRFLOW_CONN_REDSTART_JIRA" not in airflow_environment(Settings(home=tmp_path))
    named = Settings(home=tmp_path, jira_url="https://jira.example/x", jira_token="t", jira_project="API")
    jira = json.loads(airflow_environment(named)["AIRFLOW_CONN_REDSTART_JIRA"])
    assert (jira["host"], jira["password"], jira["extra"]) == ("https://jira.example/x", "t", {"project": "API"})


def test_a_variable_overrides_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDSTART_SOAK_SECONDS", "60")
    assert Settings().soak_seconds == 60


def test_a_port_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValidationError, match="less than or equal to 65535"):
        Settings(cloud_port=70000)


@pytest.mark.parametrize(("soak", "every"), [(60, 0), (240, 60), (3600, 900), (8 * 3600, 1800)])
def test_short_soaks_are_looked_at_more_often_and_the_shortest_never(tmp_path: Path, soak: int, every: int) -> None:
    settings = Settings(home=tmp_path, soak_seconds=soak)
    assert settings.look_every_seconds == every
    assert airflow_environment(settings)["AIRFLOW_VAR_REDSTART_LOOK_SECONDS"] == str(every)


def test_looks_as_often_as_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDSTART_LOOK_SECONDS", "0")
    assert Settings().look_every_seconds == 0


def test_markets_without_a_history_are_named_by_region(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().regions_without_history == ()
    monkeypatch.setenv("REDSTART_MARKETS_WITHOUT_HISTORY", "us-west-2, eu-west-1")
    assert Settings().regions_without_history == ("us-west-2", "eu-west-1")
    monkeypatch.setenv("REDSTART_MARKETS_WITHOUT_HISTORY", "us-west-2,moon")
    with pytest.raises(ConfigError, match="REDSTART_MARKETS_WITHOUT_HISTORY.*no market in moon"):
        read_settings()
