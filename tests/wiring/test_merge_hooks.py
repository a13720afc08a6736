"""What connections say about git and Jira, and what is said of one that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from include.errors import ConfigError
from redstart.hooks.git import GitRepositoryHook
from redstart.hooks.jira import JiraHook
from tests.support.git import make_origin


def connect(monkeypatch: pytest.MonkeyPatch, name: str, **fields: Any) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_REDSTART_{name}", json.dumps({"conn_type": "generic", **fields}))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "host: needs a directory or base URL"),
        (
            {"host": "/srv", "extra": {"key_file": "/no/key"}},
            "key_file: is not a file of this machine .found '/no/key'",
        ),
        ({"host": "/srv", "extra": {"signing_key": "/no/key"}}, "signing_key: is not a file"),
        ({"host": "/srv", "extra": {"identity": ["me"]}}, "identity: must be .name, mail."),
        ({"host": "/srv", "extra": {"identity": ["me", ""]}}, "identity: must be .name, mail."),
        ({"host": "/srv", "extra": {"timeout_seconds": 0}}, "timeout_seconds: must be greater than 0"),
    ],
)
def test_git_connection_that_cannot_be_used_is_named_with_its_key(
    airflow_db: Path, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], sentence: str
) -> None:
    connect(monkeypatch, "GIT", **fields)
    with pytest.raises(ConfigError, match=f"connection redstart_git: {sentence}"):
        GitRepositoryHook().repository("api")


def test_git_connection_s_key_host_file_and_password_reach_git(
    airflow_db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, hosts, seen = tmp_path / "it's a key", tmp_path / "hosts", tmp_path / "seen"
    for file in (key, hosts):
        file.touch()
    ssh = tmp_path / "bin" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" "$REDSTART_GIT_PASSWORD" >> {seen}\nexit 255\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ssh.parent}:/usr/local/bin:/usr/bin:/bin")
    extra = {"key_file": str(key), "known_hosts_file": str(hosts)}
    connect(monkeypatch, "GIT", host="ssh://git.example.org", password="pw", extra=extra)
    with pytest.raises(Exception, match=r"ssh://git.example.org/api could not be read"):
        GitRepositoryHook().repository("api").branch_heads()
    words = seen.read_text().splitlines()
    assert {"-i", str(key), f"-oUserKnownHostsFile={hosts}", "-oBatchMode=yes", "git.example.org", "pw"} <= set(words)


def test_clone_is_kept_beside_airflows_own_state(
    airflow_db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = make_origin(tmp_path / "git")
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "home"))
    connect(monkeypatch, "GIT", host=str(origin.root))
    repository = GitRepositoryHook().repository("api.git")
    repository.fetch()
    assert repository.head("prod") == origin.head("prod")
    assert (tmp_path / "home" / "redstart" / "git" / "api.git.git" / "HEAD").is_file()


def test_installation_without_jira_has_no_issues(airflow_db: Path) -> None:
    assert JiraHook().issues() is None


@pytest.mark.parametrize(
    ("fields", "url", "login"),
    [
        (
            {"host": "https://redstart.atlassian.net", "login": "cd@example.org"},
            "https://redstart.atlassian.net",
            "cd@example.org",
        ),
        ({"host": "jira.example.org", "port": 8443}, "https://jira.example.org:8443", ""),
        ({"host": "127.0.0.1", "schema": "http", "port": 1}, "http://127.0.0.1:1", ""),
        ({"host": "https://example.org/jira/"}, "https://example.org/jira", ""),
    ],
)
def test_jira_connection_says_where_and_as_whom(
    airflow_db: Path, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], url: str, login: str
) -> None:
    connect(monkeypatch, "JIRA", password="token", extra={"project": "API", "issue_type": "Bug"}, **fields)
    issues = JiraHook().issues()
    assert issues is not None
    access = issues.access
    assert (access.url, access.login, access.secret, access.project, access.issue_type) == (
        url,
        login,
        "token",
        "API",
        "Bug",
    )


def test_jira_connection_without_a_project_is_named(airflow_db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "JIRA", host="https://jira.example.org", password="token")
    with pytest.raises(ConfigError, match="the Jira connection: project: must be a project's key"):
        JiraHook().issues()
