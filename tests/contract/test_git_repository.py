"""Against real repositories: what reaches the remote, and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.adapters.git_command import LOGIN, PASSWORD, GitCommand
from include.adapters.git_repository import GitRepository
from include.errors import RefusedError, RetryableError
from tests.support.git import Origin, git, make_origin


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return make_origin(tmp_path / "remote")


@pytest.fixture
def repository(origin: Origin, tmp_path: Path) -> GitRepository:
    repository = GitRepository(origin.url, tmp_path / "mirror.git")
    repository.fetch()
    return repository


def test_branch_heads_need_no_clone(origin: Origin, tmp_path: Path) -> None:
    heads = GitRepository(origin.url, tmp_path / "never.git").branch_heads()
    assert heads == {branch: origin.head(branch) for branch in ("prod", "release", "test")}
    assert not (tmp_path / "never.git").exists()


def test_commit_info_gives_a_version_that_sorts_by_time(origin: Origin, repository: GitRepository) -> None:
    commit = origin.commit("prod", {"a": "1"}, "Make it faster\n\nMuch.")
    repository.fetch()
    info = repository.commit_info(commit[:7])
    assert (info.commit, info.author, info.subject) == (commit, "Ada", "Make it faster")
    assert info.tree == git(origin.work, "rev-parse", f"{commit}^{{tree}}")
    assert info.version == f"20261105.142233-{commit[:7]}"


def test_export_writes_the_commit_and_nothing_else(origin: Origin, repository: GitRepository, tmp_path: Path) -> None:
    commit = origin.commit("prod", {"src/app.py": "print(1)\n"})
    (origin.work / "left-over").write_text("not committed")
    repository.fetch()
    folder = tmp_path / "build"
    repository.export(commit, folder)
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == [
        "README",
        "src/app.py",
    ]
    with pytest.raises(RefusedError, match="not empty"):
        repository.export(commit, folder)


@pytest.mark.parametrize("ref", ["--output=/tmp/x", "-p", "", "a\nb", "no-such-ref", "0" * 40])
def test_refs_that_are_options_or_nothing_are_refused(repository: GitRepository, ref: str) -> None:
    with pytest.raises(RefusedError):
        repository.resolve(ref)


def test_id_of_something_else_than_a_commit_is_refused_and_harms_no_clone(
    origin: Origin, repository: GitRepository, tmp_path: Path
) -> None:
    for name in ("prod^{tree}", "prod:README"):
        with pytest.raises(RefusedError, match="names no commit"):
            repository.resolve(git(origin.work, "rev-parse", name))
    marker = tmp_path / "mirror.git" / "the same clone"
    marker.touch()
    repository.fetch()
    assert marker.exists()


def test_address_that_is_an_option_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError):
        GitRepository("--upload-pack=touch x", tmp_path / "m.git")


def test_remote_that_runs_a_program_is_not_spoken_to(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    with pytest.raises(RetryableError):
        GitRepository(f"ext::touch {mark}", tmp_path / "m.git").branch_heads()
    assert not mark.exists()


def test_missing_remote_is_retryable_and_named(tmp_path: Path) -> None:
    with pytest.raises(RetryableError, match="gone.git"):
        GitRepository(str(tmp_path / "gone.git"), tmp_path / "m.git").branch_heads()


def test_commits_between_are_those_that_are_new_the_newest_first(origin: Origin, repository: GitRepository) -> None:
    old = origin.head("prod")
    new = [origin.commit("prod", {"a": str(count)}) for count in range(4)]
    repository.fetch()
    assert repository.commits_between(old, new[-1]) == new[::-1]
    assert repository.commits_between(old, new[-1], 2) == [new[3], new[2]]
    assert repository.commits_between(new[-1], new[-1]) == []
    assert repository.commits_between(new[-1], old) == []


def test_commits_between_after_a_forced_move_are_those_that_the_old_head_lacks(
    origin: Origin, repository: GitRepository, tmp_path: Path
) -> None:
    gone = origin.commit("prod", {"a": "1"})
    repository.fetch()
    git(origin.work, "reset", "--quiet", "--hard", "HEAD~1")
    origin.work.joinpath("b").write_text("1")
    git(origin.work, "add", "--all")
    git(origin.work, "commit", "--quiet", "-m", "Another way")
    git(origin.work, "push", "--quiet", "--force", "origin", "prod")
    new = origin.head("prod")
    repository.fetch()
    assert repository.head("prod") == new
    assert repository.commits_between(gone, new) == [new]
    fresh = GitRepository(origin.url, tmp_path / "fresh.git")
    fresh.fetch()
    assert fresh.commits_between("f" * 40, new) == [new], "a clone that never knew the old head"
    assert fresh.commits_between("", new) == [new]
    with pytest.raises(RefusedError, match="names no commit"):
        fresh.commits_between(new, "f" * 40)


def test_git_sees_none_of_the_workers_own_variables(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "secret")
    seen = tmp_path / "seen"
    hook = Path(origin.url, "hooks", "pre-receive")
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\nenv > {seen}\n")
    hook.chmod(0o755)
    monkeypatch.delenv("GIT_DIR")
    fix = origin.commit("prod", {"fix": "1"})
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    GitRepository(origin.url, tmp_path / "mirror.git").merge("prod", "release")
    assert "FERNET" not in seen.read_text()
    monkeypatch.delenv("GIT_DIR")
    assert origin.head("release") == fix


def test_login_of_an_https_remote_comes_from_the_environment_alone(tmp_path: Path) -> None:
    git_command = GitCommand({LOGIN: "cd", PASSWORD: "it's $ecret"}, 10)
    ended = git_command.run("credential", "fill", stdin="protocol=https\nhost=git.example.org\n\n")
    assert {"username=cd", "password=it's $ecret"} <= set(ended.output.splitlines())
    assert GitCommand({}, 10).run("credential", "fill", stdin="protocol=https\nhost=x\n\n").status == 128
