"""The list of candidates, as a page and in the terminal: for those who are logged in, and whatever it is called."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from include.apps import load_app
from include.errors import ConfigError
from include.ledger import EVERY_REGION, Event, Kind, Place
from include.ledger.candidates import candidate_data
from redstart.cli.candidates import candidate_table, known_app, read_candidates, word_of_none
from redstart.ui.links import candidates_url
from tests.support.delivery_world import DeliveryWorld, make_world
from tests.support.release_run import VerifyRun
from tests.unit.reports.verdicts import HOSTILE

PAGE = candidates_url("api")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeliveryWorld:
    return make_world(tmp_path, monkeypatch)


def terminal(world: DeliveryWorld, width: int) -> str:
    app = load_app("api")
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(candidate_table(read_candidates(world.ledger, app), app, width))
    return console.export_text()


def test_candidates_want_a_login(world: DeliveryWorld, pages: Any) -> None:
    assert pages.get(PAGE).status_code == 401


def test_page_tells_what_passed_and_what_became_of_it(world: DeliveryWorld, pages: Any, login: Any) -> None:
    run = VerifyRun(world)
    run.results |= {
        f"{environment}.run_tests": {
            "schema": 1,
            "commit": run.commit,
            "total": 22,
            "skipped": 1,
            "report": f"/redstart/reports/tests/api/{run.key}/{environment}.run_tests.html",
        }
        for environment in ("integration", "staging")
    }
    run.mark()
    group = {"group": "api-main-v001", "image": "ami-1", "version": "1", "commit": run.commit}
    world.ledger.record(Event("p", Kind.PUSH_FINISHED, world.now(), Place("api", "main", "us-east-1"), "r", data=group))
    answer = pages.get(PAGE, headers=login("viewer"))
    assert answer.status_code == 200
    for words in (run.delivery.version, run.commit[:12], "staging 21 passed", "live in us-east-1", "staging.run_tests"):
        assert words in answer.text
    assert "../../dags/api_release/runs/manual__2026-11-05T14%3A22%3A33%2B00%3A00" in answer.text
    assert "unsafe-inline" not in answer.headers["content-security-policy"]
    body = pages.get(PAGE, headers=login("viewer") | {"Accept": "application/json"}).json()
    assert (body["candidates"][0]["commit"], body["candidates"][0]["standing"]) == (run.commit, "live in us-east-1")


def test_a_page_leaves_no_connection_behind(
    world: DeliveryWorld, pages: Any, login: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []
    monkeypatch.setattr("include.adapters.ledger_store.SqlLedger.close", lambda self: closed.append("closed"))
    assert pages.get(PAGE, headers=login("viewer")).status_code == 200
    assert closed == ["closed"]


def test_where_there_is_none_it_says_what_makes_one(world: DeliveryWorld, pages: Any, login: Any) -> None:
    assert "There is none yet" in pages.get(PAGE, headers=login("viewer")).text
    trunk = pages.get(candidates_url("billing"), headers=login("viewer")).text
    assert "its commits go to production by themselves" in trunk
    assert "a run of api_release makes one" in word_of_none(load_app("api"))
    assert "by themselves" in word_of_none(load_app("billing"))


@pytest.mark.parametrize("name", ["nobody", "..%2fapi", "%2e%2e", "API"])
def test_there_is_no_other_application(world: DeliveryWorld, pages: Any, login: Any, name: str) -> None:
    assert pages.get(f"/redstart/candidates/{name}", headers=login("viewer")).status_code == 404
    with pytest.raises(ConfigError, match="there are api"):
        known_app(name)


def test_a_ledger_that_is_away_is_said(pages: Any, login: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_REDSTART_LEDGER", f'{{"conn_type": "sqlite", "host": "{tmp_path}/no/ledger.db"}}')
    answer = pages.get(PAGE, headers=login("viewer"))
    assert answer.status_code == 503
    assert "The ledger does not answer" in answer.json()["detail"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_subjects_stay_data(world: DeliveryWorld, pages: Any, login: Any, name: str) -> None:
    made = dict.fromkeys(("flow", "branch", "subject", "author", "dag_id", "run_id", "image"), name)
    station = {"environment": name[:31], "total": 1, "skipped": 0, "report": "javascript:alert(1)"}
    data = {**made, "commit": "a" * 40, "version": "20261105.142233-aaaaaaa", "tree": "b" * 40, "stations": [station]}
    place = Place("api", "main", EVERY_REGION)
    world.ledger.record(Event("k", Kind.CANDIDATE_MADE, datetime.now(UTC), place, "r", data=data))
    (found,) = read_candidates(world.ledger, load_app("api"))
    assert candidate_data(found)["subject"] == name
    page = pages.get(PAGE, headers=login("viewer")).text
    assert "<img" not in page and "<script" not in page and "javascript:" not in page and "49" not in page
    assert "20261105.142233-aaaaaaa" in terminal(world, 150)


def test_terminal_tells_the_same_and_less_where_it_is_narrow(world: DeliveryWorld) -> None:
    run = VerifyRun(world).to_candidate()
    wide, narrow = terminal(world, 150), terminal(world, 90)
    for words in (run.delivery.version, "staging 2 passed", "not pushed yet"):
        assert words in wide and words in narrow
    assert run.commit[:12] in wide and run.commit[:12] not in narrow
