"""Commits that mean no good: dates that are none, links that lead out, attributes that hide."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.adapters.git_repository import GitRepository
from include.adapters.git_words import without_password
from include.errors import RefusedError
from tests.support.git import IDENTITY, Origin, make_origin


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return make_origin(tmp_path / "remote")


@pytest.fixture
def repository(origin: Origin, tmp_path: Path) -> GitRepository:
    return GitRepository(origin.url, tmp_path / "mirror.git")


def commit_raw(origin: Origin, when: str) -> str:
    """A commit on `test` whose author and committer say that it is of `when` (seconds and zone)."""

    def run(*arguments: str, stdin: str = "") -> str:
        environment = {**os.environ, **IDENTITY}
        done = subprocess.run(
            ["git", *arguments], cwd=origin.work, input=stdin, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    tree, parent = run("rev-parse", "HEAD^{tree}"), run("rev-parse", "HEAD")
    who = f"Eve <eve@example.org> {when}"
    text = f"tree {tree}\nparent {parent}\nauthor {who}\ncommitter {who}\n\nAt no time\n"
    made = run("hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=text)
    run("push", "--quiet", "--force", "origin", f"{made}:refs/heads/test")
    return made


@pytest.mark.parametrize("when", ["1 -2359", "253402300800 +0000", "1700000000 +9999", "99999999999999 +0000"])
def test_odd_date_is_told_as_near_as_it_comes_and_harms_no_clone(
    origin: Origin, repository: GitRepository, when: str, tmp_path: Path
) -> None:
    commit = commit_raw(origin, when)
    repository.fetch()
    info = repository.commit_info(commit)
    assert datetime(1970, 1, 1, tzinfo=UTC) <= info.committed_at
    assert info.version.endswith(commit[:7])
    assert not (tmp_path / "mirror.git" / "redstart-broken").exists()


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside"])
def test_link_out_of_the_commit_is_refused_with_what_to_do(
    origin: Origin, repository: GitRepository, tmp_path: Path, target: str
) -> None:
    (origin.work / "link").symlink_to(target)
    commit = origin.commit("prod", {})
    repository.fetch()
    with pytest.raises(RefusedError, match=rf"{commit[:10]} cannot be built.*Take that out of the repository"):
        repository.export(commit, tmp_path / "build")


def test_attributes_neither_hide_nor_change_what_is_built(
    origin: Origin, repository: GitRepository, tmp_path: Path
) -> None:
    files = {".gitattributes": "tests export-ignore\nid export-subst\n", "tests/test_a.py": "", "id": "$Format:%d$\n"}
    commit = origin.commit("prod", files)
    repository.fetch()
    repository.export(commit, tmp_path / "build")
    assert (tmp_path / "build" / "tests" / "test_a.py").exists()
    assert (tmp_path / "build" / "id").read_text() == "$Format:%d$\n"


@pytest.mark.parametrize("password", ["p", "p@ss", "a/b", "p@s/s@"])
def test_no_part_of_a_password_is_shown(password: str) -> None:
    assert without_password(f"https://u:{password}@host/api.git is away") == "https://host/api.git is away"
