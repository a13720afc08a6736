"""The weekly push from a terminal: the form's own values."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from include.apps import ReleaseFlow, load_app
from include.errors import RefusedError
from redstart.cli import releasing
from redstart.cli.airflow_api import AirflowApi
from redstart.cli.app import app

API = load_app("api")


def test_form_is_the_one_of_the_dag() -> None:
    from redstart.groups.release import release_form

    flow = API.flows[releasing.release_flow(API)]
    assert isinstance(flow, ReleaseFlow)
    asked = releasing.form(API, "the weekly push")
    params = release_form(API, flow)
    assert asked.keys() == params.keys()
    for name, param in params.items():
        param.resolve(asked[name])  # raises where the form would not take it


def test_application_without_a_release_says_so() -> None:
    with pytest.raises(RefusedError, match="billing has no weekly push"):
        releasing.release_flow(load_app("billing"))


def test_command_starts_the_run_and_says_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/token":
            return httpx.Response(201, json={"access_token": "x"})
        asked.append((request.url.path, json.loads(request.content)["conf"]))
        return httpx.Response(200, json={"dag_run_id": "manual__1"})

    def api_of(url: str, user: str, password: str) -> AirflowApi:
        api = AirflowApi(url, user, password)
        api._client = httpx.Client(base_url=url, transport=httpx.MockTransport(answer))
        return api

    monkeypatch.setenv("REDSTART_HOME", str(tmp_path))
    monkeypatch.setattr(releasing, "AirflowApi", api_of)
    words = ["release", "api", "--reason", "the weekly push", "--candidate", "0123456789", "--region", "eu-west-1"]
    words += ["--on-failure", "roll_back", "--dry-run"]
    done = CliRunner().invoke(app, [*words, "--user", "ann", "--password", "x", "--url", "http://airflow"])
    assert done.exit_code == 0, done.output
    assert "Started manual__1: http://airflow/dags/api_release_push/runs/manual__1" in done.output
    ((path, form),) = asked
    assert path == "/api/v2/dags/api_release_push/dagRuns"
    assert (form["candidate"], form["regions"], form["reason"]) == ("0123456789", ["eu-west-1"], "the weekly push")
    assert (form["on_failure"], form["dry_run"]) == ("roll_back", True)
