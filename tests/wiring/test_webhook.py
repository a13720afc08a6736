"""The one door without a login: it wants a signature, and opens nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.adapters.ledger_store import SqlLedger
from include.apps import load_app
from include.apps.webhook import MOST_BYTES, sign
from redstart.ui import webhook
from tests.support.ledger import fresh_ledger

SECRET = "a secret of this test"
COMMIT = "0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c"
URL = "/redstart/webhook"


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqlLedger]:
    monkeypatch.setenv(
        "AIRFLOW_CONN_REDSTART_LEDGER", json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "ledger.db")})
    )
    monkeypatch.setenv("AIRFLOW_CONN_REDSTART_WEBHOOK", json.dumps({"conn_type": "generic", "password": SECRET}))
    ledger = fresh_ledger(tmp_path / "ledger.db")
    yield ledger
    ledger.close()


def push(**changed: Any) -> dict[str, Any]:
    return {"ref": "refs/heads/prod", "after": COMMIT, "repository": {"full_name": "acme/api"}} | changed


def send(pages: Any, told: Any, *, event: str = "push", secret: str = SECRET, **headers: str) -> Any:
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    signed = {"X-GitHub-Event": event, "X-Hub-Signature-256": sign(body, secret), **headers}
    return pages.post(URL, content=body, headers=signed)


def test_a_push_of_github_is_one_more_nudge_of_its_branch(pages: Any, ledger: SqlLedger) -> None:
    answer = send(pages, push())
    assert (answer.status_code, answer.json()) == (
        202,
        {"nudged": {"repository": "api", "branch": "prod", "number": 1}},
    )
    assert send(pages, push()).json()["nudged"]["number"] == 2, "said again it starts nothing: the watcher looks"
    assert ledger.nudges() == {("api", "prod"): 2}
    assert ledger.events() == [], "it writes nothing else"


def test_a_push_of_gitlab_is_one_too(pages: Any, ledger: SqlLedger) -> None:
    told = {"ref": "refs/heads/release", "after": COMMIT, "project": {"path_with_namespace": "acme/api"}}
    answer = pages.post(URL, json=told, headers={"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": SECRET})
    assert answer.status_code == 202
    assert ledger.nudges() == {("api", "release"): 1}


@pytest.mark.parametrize(
    ("told", "event", "why"),
    [
        ({"zen": "Design for failure."}, "ping", "ping starts nothing"),
        (push(ref="refs/tags/v1"), "push", "not a branch"),
        (push(after="0" * 40), "push", "the branch was deleted"),
        (push(ref="refs/heads/feature/x"), "push", "no flow follows this branch"),
    ],
)
def test_what_starts_nothing_is_taken_and_nothing_is_written(
    pages: Any, ledger: SqlLedger, told: Any, event: str, why: str
) -> None:
    answer = send(pages, told, event=event)
    assert (answer.status_code, answer.json()) == (200, {"ignored": why})
    assert ledger.nudges() == {}


def test_a_wrong_signature_is_refused_before_anything_is_read(pages: Any, ledger: SqlLedger) -> None:
    for answer in (
        send(pages, push(), secret="guess"),
        send(pages, b"no JSON at all", secret="guess"),
        pages.post(URL, json=push()),
        pages.post(URL, json=push(), headers={"X-GitHub-Event": "push"}),
        pages.post(URL, json=push(), headers={"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": "guess"}),
    ):
        assert answer.status_code == 401
        assert SECRET not in answer.text
    assert ledger.nudges() == {}


def test_a_login_is_no_signature(pages: Any, ledger: SqlLedger, login: Any) -> None:
    assert pages.post(URL, json=push(), headers=login("admin")).status_code == 401


def test_other_contents_are_refused_in_words(pages: Any, ledger: SqlLedger) -> None:
    form = send(pages, b"payload=%7B%7D")
    assert (form.status_code, form.json()["detail"].split(":")[0]) == (400, "The body must be JSON")
    assert send(pages, push(after="main")).status_code == 400
    unknown = send(pages, push(repository={"full_name": "acme/secret-plans"}))
    assert (unknown.status_code, unknown.json()) == (404, {"detail": "Nothing is delivered from this repository."})
    assert ledger.nudges() == {}


def test_a_body_without_end_is_not_read_to_it(pages: Any, ledger: SqlLedger) -> None:
    assert send(pages, b" " * (MOST_BYTES + 1)).status_code == 413
    assert send(pages, json.dumps(push()).encode().ljust(MOST_BYTES)).status_code == 202
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 1
            yield b"x" * 65536

    assert pages.post(URL, content=endless()).status_code == 413


def test_a_sender_that_hangs_up_leaves_no_trace(pages: Any, ledger: SqlLedger) -> None:
    from starlette.requests import Request

    async def hung_up() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    request = Request({"type": "http", "method": "POST", "headers": []}, hung_up)
    assert asyncio.run(webhook.receive(request)).status_code == 400
    assert ledger.nudges() == {}


def test_a_body_that_does_not_come_is_not_waited_for(
    pages: Any, ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    from starlette.requests import Request

    async def silent() -> dict[str, Any]:
        await asyncio.sleep(30)
        return {}

    monkeypatch.setattr(webhook, "READ_SECONDS", 0.1)
    request = Request({"type": "http", "method": "POST", "headers": []}, silent)
    assert asyncio.run(webhook.receive(request)).status_code == 408


@pytest.mark.parametrize("connection", [None, {"conn_type": "generic"}, {"conn_type": "generic", "password": ""}])
def test_without_a_secret_nothing_is_taken_and_the_connection_is_named(
    pages: Any, ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch, connection: Any
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_REDSTART_WEBHOOK")
    if connection is not None:
        monkeypatch.setenv("AIRFLOW_CONN_REDSTART_WEBHOOK", json.dumps(connection))
    answer = send(pages, push(), secret="")
    assert answer.status_code == 503
    assert "connection redstart_webhook" in answer.json()["detail"]
    assert ledger.nudges() == {}


def test_a_ledger_that_is_away_is_said_and_the_host_may_try_again(
    pages: Any, ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = {"conn_type": "postgres", "host": "127.0.0.1", "port": 1, "login": "ann", "password": "hidden"}
    monkeypatch.setenv("AIRFLOW_CONN_REDSTART_LEDGER", json.dumps(away))
    answer = send(pages, push())
    assert (answer.status_code, "ledger" in answer.json()["detail"]) == (503, True)
    assert "127.0.0.1" not in answer.text


def test_a_secret_in_airflow_s_own_database_is_found(
    pages: Any, ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    monkeypatch.delenv("AIRFLOW_CONN_REDSTART_WEBHOOK")
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")  # as the API server's own module sets it
    with create_session() as session:
        session.add(Connection(conn_id="redstart_webhook", conn_type="generic", password="kept"))
    try:
        assert send(pages, push(), secret="kept").status_code == 202
    finally:
        with create_session() as session:
            session.execute(delete(Connection).where(Connection.conn_id == "redstart_webhook"))


def test_every_branch_that_a_flow_follows_can_be_nudged(pages: Any, ledger: SqlLedger) -> None:
    flows = [flow for flow in load_app("api").flows.values() if hasattr(flow, "branch")]
    for flow in flows:
        assert send(pages, push(ref=f"refs/heads/{flow.branch}")).status_code == 202
    assert set(ledger.nudges()) == {("api", flow.branch) for flow in flows}


def test_an_application_that_cannot_be_read_closes_the_door_for_no_other(
    pages: Any, ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "app_names", lambda: ("no-such-application", "api"))
    assert send(pages, push()).status_code == 202


def test_nothing_else_is_open_without_a_login(pages: Any, ledger: SqlLedger) -> None:
    from airflow.api_fastapi.core_api.security import get_user
    from fastapi.routing import APIRoute

    from redstart.ui.pages import app

    public = [route for route in app.routes if not isinstance(route, APIRoute)]
    assert [(route.path, route.methods) for route in public] == [("/webhook", {"POST"})]
    guarded = [route for route in app.routes if isinstance(route, APIRoute)]
    for route in guarded:
        assert get_user in [one.call for one in route.dependant.dependencies], route.path
        path = route.path.replace("{", "").replace("}", "")
        for method in route.methods:
            assert pages.request(method, f"/redstart{path}").status_code == 401, (method, path)
    assert len(guarded) >= 3
    assert pages.get(URL).status_code == 405
    for path in (f"{URL}/", f"{URL}/x", f"{URL}/../reports/canaries/api/run/report.html"):
        assert pages.post(path, content=b"{}").status_code in (307, 401, 404, 405)
