"""The sample application's repository: the same everywhere, whole, or not there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.sample_application import SOURCE, load_example

create_repository = load_example("create_repository.py").create_repository


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True).stdout


def test_three_branches_of_a_few_commits_with_the_same_ids_each_time(tmp_path: Path) -> None:
    commit = create_repository(tmp_path / "a.git")
    assert create_repository(tmp_path / "deep/b.git") == commit
    heads = git(tmp_path / "a.git", "for-each-ref", "--format=%(refname:short) %(objectname)").split()
    assert heads == ["prod", commit, "release", commit, "test", commit]
    authors = git(tmp_path / "a.git", "log", "--format=%an <%ae>", "prod").splitlines()
    assert len(authors) == 3 and set(authors) == {"Redstart Demo <demo@redstart.example>"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.git", "deep"]


def test_branches_and_keys_are_the_applications(tmp_path: Path) -> None:
    commit = create_repository(tmp_path / "a.git", branches=("main",), project="BILLING")
    assert git(tmp_path / "a.git", "for-each-ref", "--format=%(refname:short) %(objectname)").split() == [
        "main",
        commit,
    ]
    assert git(tmp_path / "a.git", "symbolic-ref", "HEAD").strip() == "refs/heads/main"
    subjects = git(tmp_path / "a.git", "log", "--format=%s").splitlines()
    assert all(subject.startswith("BILLING-") for subject in subjects)


def test_a_clone_has_every_file_and_the_entry_can_be_run(tmp_path: Path) -> None:
    create_repository(tmp_path / "a.git")
    git(tmp_path, "clone", "--quiet", str(tmp_path / "a.git"), "clone")
    files = {str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*") if path.is_file()}
    files = {name for name in files if "__pycache__" not in name and ".pytest_cache" not in name}
    assert set(git(tmp_path / "clone", "ls-files").split()) == files
    assert (tmp_path / "clone/opt/app/run").stat().st_mode & 0o111


def test_an_existing_repository_is_left_alone(tmp_path: Path) -> None:
    create_repository(tmp_path / "a.git")
    with pytest.raises(FileExistsError):
        create_repository(tmp_path / "a.git")


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(subprocess.CalledProcessError):
        create_repository(tmp_path / "a.git", empty)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
