"""Reports in the Airflow UI: for those who are logged in, and nothing else from the disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "storage"
    monkeypatch.setenv("AIRFLOW_VAR_REDSTART_STORAGE", f"file://{root}")
    for name, text in {
        "canaries/api/run/report.html": "<p>fine</p>",
        "builds/api/run/build.log": "<script>",
        "secret/api/run/key.json": "{}",
        "canaries/api/run/notes.py": "",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "outside.html").write_text("outside")
    return root


@pytest.fixture
def client(pages: Any, login: Any) -> Any:
    """The pages; `.login` gives headers of a viewer."""
    pages.login = login("viewer")
    return pages


def test_reports_want_a_login(client: Any) -> None:
    assert client.get("/redstart/reports/canaries/api/run/report.html").status_code == 401


def test_report_is_shown_where_it_can_do_no_harm(client: Any) -> None:
    answer = client.get("/redstart/reports/canaries/api/run/report.html", headers=client.login)
    assert (answer.status_code, answer.text) == (200, "<p>fine</p>")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox allow-scripts" in policy
    assert "allow-same-origin" not in policy


def test_log_is_text_whatever_it_contains(client: Any) -> None:
    answer = client.get("/redstart/reports/builds/api/run/build.log", headers=client.login)
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "name",
    [
        "canaries/../../outside.html",
        "canaries/%2e%2e/%2e%2e/outside.html",
        "canaries/..%2f..%2foutside.html",
        "canaries//etc/passwd.html",
        "secret/api/run/key.json",
        "canaries/api/run/notes.py",
        "canaries/api/run/missing.html",
        "canaries/api/run",
    ],
)
def test_nothing_else_is_served(client: Any, name: str) -> None:
    assert client.get(f"/redstart/reports/{name}", headers=client.login).status_code == 404
