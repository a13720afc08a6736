"""`./redstart seed` before there is a cloud, and the switch of an application's flows."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from include.apps import load_app
from include.services.settings import Settings
from redstart.cli import seeding
from redstart.cli.airflow_api import AirflowApi
from redstart.cli.app import app


def test_without_a_cloud_it_says_how_to_start_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDSTART_HOME", str(tmp_path))
    monkeypatch.setattr(seeding, "answers", lambda url: False)
    done = CliRunner().invoke(app, ["seed", "search"])
    assert (done.exit_code, "make demo" in done.output) == (2, True)


def test_every_flow_of_the_application_is_let_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def ask(self: AirflowApi, method: str, path: str, *, json: object) -> httpx.Response:
        asked.append((method, path, json))
        return httpx.Response(200, request=httpx.Request(method, "http://airflow" + path))

    monkeypatch.setattr(AirflowApi, "ask", ask)
    monkeypatch.setattr(seeding, "login", lambda *_: ("admin", "admin"))
    said = seeding.resume_flows(Settings(home=tmp_path), load_app("billing"))
    assert said == "These run now: billing_prod, billing_janitor, billing_rollback."
    assert asked[0] == ("PATCH", "/api/v2/dags/billing_prod", {"is_paused": False})
