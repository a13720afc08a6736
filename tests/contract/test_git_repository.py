"""Against real repositories: what reaches the remote, and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

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


def test_prod_ahead_of_release_is_a_fast_forward(origin: Origin, repository: GitRepository) -> None:
    commit = origin.commit("prod", {"fix": "1"})
    result = repository.merge_branch("prod", "release")
    assert (result.outcome, origin.head("release")) == ("fast-forward", commit)
    assert repository.merge_branch("prod", "release").outcome == "nothing to do"


def test_both_moved_makes_a_merge_commit_with_both_parents(origin: Origin, repository: GitRepository) -> None:
    fix = origin.commit("prod", {"fix": "1"})
    work = origin.commit("release", {"feature": "1"})
    result = repository.merge_branch("prod", "release")
    parents = git(Path(origin.url), "log", "-1", "--format=%P", "release").split()
    assert result.outcome == "merged"
    assert origin.head("release") == result.merged_to
    assert parents == [work, fix]
    assert git(Path(origin.url), "ls-tree", "--name-only", "release").split() == ["README", "feature", "fix"]


def test_conflict_names_its_files_and_writes_nothing(origin: Origin, repository: GitRepository) -> None:
    origin.commit("prod", {"README": "prod\n", "fine": "1"})
    before = origin.commit("release", {"README": "release\n"})
    result = repository.merge_branch("prod", "release")
    assert (result.outcome, result.conflicts) == ("conflict", ("README",))
    assert origin.head("release") == before


def test_race_with_a_developer_is_met_by_merging_again(
    origin: Origin, repository: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin.commit("prod", {"fix": "1"})
    push, races = repository._push, iter(["first"])

    def pushed_after_somebody_else(commit: str, branch: str, expected: str) -> bool:
        for name in races:
            origin.commit("release", {name: "1"})
        return push(commit, branch, expected)

    monkeypatch.setattr(repository, "_push", pushed_after_somebody_else)
    assert repository.merge_branch("prod", "release").outcome == "merged"
    assert set(git(Path(origin.url), "ls-tree", "--name-only", "release").split()) == {"README", "fix", "first"}


def test_race_that_never_ends_is_given_up_without_loss(
    origin: Origin, repository: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin.commit("prod", {"fix": "1"})
    push, count = repository._push, iter(range(9))

    def pushed_after_somebody_else(commit: str, branch: str, expected: str) -> bool:
        origin.commit("release", {f"work{next(count)}": "1"})
        return push(commit, branch, expected)

    monkeypatch.setattr(repository, "_push", pushed_after_somebody_else)
    with pytest.raises(RetryableError, match="moved 3 times"):
        repository.merge_branch("prod", "release")
    assert next(count) == 3
    assert "fix" not in git(Path(origin.url), "ls-tree", "--name-only", "release").split()
