"""A go below the threshold: who may give it, from where, and how far it reaches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.apps.delivery import run_key
from redstart.ui.links import approval_url
from tests.support.delivery_world import few_pairs, make_world
from tests.support.station_run import Run

REASON = "The errors are those of the load test, agreed with the owners."


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run that the gate has just refused."""
    world = make_world(tmp_path, monkeypatch)
    world.metrics.pairs = few_pairs("broken")
    started = Run(world)
    started.given_images()
    started.launch()
    started.soak()
    started.stop()
    with pytest.raises(AirflowFailException, match="An operator may let it go on: http"):
        started.gate()
    return started


def place(run: Run) -> str:
    return approval_url("api", run_key(run.run_id))


def folder(run: Run) -> Path:
    return Path(run.world.storage / "canaries" / "api" / run_key(run.run_id))


def approve(pages: Any, run: Run, headers: dict[str, str], reason: str = REASON) -> Any:
    return pages.post(place(run), data={"reason": reason}, headers=headers)


def test_page_shows_what_was_refused_and_asks_for_a_reason(run: Run, pages: Any, login: Any) -> None:
    answer = pages.get(place(run), headers=login("op"))
    assert answer.status_code == 200
    for words in ("ami-us-east-1", "ami-old-us-east-1", "critical http.latency_p50_ms is HOT", "<form", "report.html"):
        assert words in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert answer.headers["referrer-policy"] == "same-origin", "else a browser hides where our own form comes from"


def test_approved_by_an_operator_the_cleared_gate_goes_on_and_says_who(run: Run, pages: Any, login: Any) -> None:
    answer = approve(pages, run, login("op"))
    assert (answer.status_code, answer.headers["location"]) == (303, place(run))
    shown = pages.get(place(run), headers=login("op")).text
    assert "Approved by the op" in shown
    assert "Clear gate_score and go on" in shown
    found = run.gate()
    assert found["go"]
    assert "approved below the threshold by the op (role op)" in found["reasons"][0]
    assert REASON in found["reasons"][0]
    assert "critical http.5xx" in found["reasons"][1], "what was found stays beside it"
    assert "approved below the threshold by the op" in (folder(run) / "report.html").read_text()
    kept = json.loads((folder(run) / "approval.json").read_text())
    assert (kept["format"], kept["approved_by"], kept["right"], kept["reason"]) == (1, "the op", "role op", REASON)
    assert (kept["image"], kept["baseline_image"], kept["outcome"]) == ("ami-us-east-1", "ami-old-us-east-1", "no-go")
    assert pages.get(place(run), headers=login("op")).status_code == 404, "it has gone on"


@pytest.mark.parametrize("role", ["user", "viewer"])
def test_others_see_it_and_may_not_approve(run: Run, pages: Any, login: Any, role: str) -> None:
    shown = pages.get(place(run), headers=login(role))
    assert "Only an operator or admin may approve this." in shown.text
    assert "<form" not in shown.text
    assert approve(pages, run, login(role)).status_code == 403
    assert not (folder(run) / "approval.json").exists()
    with pytest.raises(AirflowFailException, match="no-go"):
        run.gate()


def test_nobody_approves_without_a_login(run: Run, pages: Any) -> None:
    assert pages.get(place(run)).status_code == 401
    assert approve(pages, run, {}).status_code == 401


@pytest.mark.parametrize(
    "sent",
    [
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {},
    ],
    ids=str,
)
def test_another_sites_page_approves_nothing_in_an_admins_name(
    run: Run, pages: Any, cookie: Any, sent: dict[str, str]
) -> None:
    assert approve(pages, run, cookie("admin") | sent).status_code == 403
    assert not (folder(run) / "approval.json").exists()


@pytest.mark.parametrize("sent", [{"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://127.0.0.1"}], ids=str)
def test_own_page_approves_with_the_browsers_login(run: Run, pages: Any, cookie: Any, sent: dict[str, str]) -> None:
    assert approve(pages, run, cookie("admin") | sent).status_code == 303


@pytest.mark.parametrize("reason", ["", "because", "x" * 501, "  \n \t  "])
def test_no_approval_without_a_reason(run: Run, pages: Any, login: Any, reason: str) -> None:
    answer = approve(pages, run, login("op"), reason)
    assert answer.status_code == 400
    assert "A reason has 10 to 500 characters" in answer.text
    assert not (folder(run) / "approval.json").exists()


def test_what_somebody_writes_is_shown_as_text(run: Run, pages: Any, login: Any) -> None:
    approve(pages, run, login("op"), "<script>alert(1)</script> and so on")
    shown = pages.get(place(run), headers=login("op")).text
    assert "<script>alert" not in shown
    assert "&lt;script&gt;alert(1)" in shown
    run.gate()
    assert "<script>alert" not in (folder(run) / "report.html").read_text()


def test_approval_reaches_no_further_than_what_was_seen(run: Run, pages: Any, login: Any) -> None:
    approve(pages, run, login("op"))
    kept = folder(run) / "approval.json"
    body = json.loads(kept.read_text())
    for change in ({"score": 99.9}, {"baseline_image": "ami-older"}, {"criticals": []}):
        kept.write_text(json.dumps(body | change))
        with pytest.raises(AirflowFailException, match="no-go"):
            run.gate()
    kept.write_text(json.dumps(body))
    assert run.gate()["go"]


@pytest.mark.parametrize(
    "name", ["approve/api/nothing", "approve/api/..%2f..", "approve/%2e%2e/run", "approve/other/run"]
)
def test_there_is_nothing_else_to_approve(run: Run, pages: Any, login: Any, name: str) -> None:
    assert pages.get(f"/redstart/{name}", headers=login("op")).status_code == 404
    assert pages.post(f"/redstart/{name}", data={"reason": REASON}, headers=login("op")).status_code == 404


def test_programs_get_json(run: Run, pages: Any, login: Any) -> None:
    headers = login("op") | {"Accept": "application/json"}
    asked = pages.get(place(run), headers=headers).json()
    assert (asked["refusal"]["task_id"], asked["approval"], asked["may_approve"]) == ("gate_score", None, True)
    assert approve(pages, run, headers, "short").json()["detail"].startswith("A reason has")
    assert approve(pages, run, headers).json()["approval"]["approved_by"] == "the op"
