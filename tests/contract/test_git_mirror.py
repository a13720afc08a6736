"""The clone is a cache: whatever has become of it, the next fetch mends it or makes it anew."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from include.adapters.git_repository import GitRepository
from include.errors import RefusedError, RetryableError
from tests.support.git import Origin, git, make_origin


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return make_origin(tmp_path / "remote", {f"file{count}": str(count) for count in range(20)})


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    return tmp_path / "mirror.git"


@pytest.fixture
def repository(origin: Origin, mirror: Path) -> GitRepository:
    repository = GitRepository(origin.url, mirror)
    repository.fetch()
    return repository


def object_file(mirror: Path, commit: str) -> Path:
    return mirror / "objects" / commit[:2] / commit[2:]


def empty(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(b"")


def harm_heads(mirror: Path) -> None:
    for path in mirror.glob("refs/remotes/origin/*"):
        path.write_text("0123456789abcdef" * 2 + "01234567\n")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "gone": shutil.rmtree,
    "half made: no HEAD": lambda mirror: (mirror / "HEAD").unlink(),
    "empty HEAD": lambda mirror: empty(mirror / "HEAD"),
    "no objects": lambda mirror: shutil.rmtree(mirror / "objects"),
    "no refs": lambda mirror: shutil.rmtree(mirror / "refs"),
    "config is garbage": lambda mirror: (mirror / "config").write_text("[core\n\x00"),
    "config of a newer git": lambda mirror: (mirror / "config").write_text("[core]\nrepositoryformatversion = 99\n"),
    "objects are empty": lambda mirror: [empty(path) for path in mirror.glob("objects/??/*")],
    "refs are empty": lambda mirror: [empty(path) for path in mirror.glob("refs/remotes/origin/*")],
    "refs name nothing": harm_heads,
    "packed refs are garbage": lambda mirror: (mirror / "packed-refs").write_text("garbage\n"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_clone_is_whole_after_the_next_tries(
    origin: Origin, repository: GitRepository, mirror: Path, damage: str
) -> None:
    """Two, where the fetch itself does not meet the damage: the task that does fails once and says so."""
    fix = origin.commit("prod", {"fix": "1"})
    work = origin.commit("release", {"feature": "1"})
    DAMAGE[damage](mirror)
    result = repository.merge("prod", "release")
    assert (result.outcome, result.source_commit, result.target_commit) == ("merged", fix, work)
    git(mirror, "fsck", "--connectivity-only")
    assert [path.name for path in mirror.parent.glob(f".{mirror.name}-*")] == [], "nothing is left aside"


@pytest.mark.parametrize("damage", DAMAGE)
def test_reading_a_damaged_clone_heals_with_the_next_fetch(
    origin: Origin, repository: GitRepository, mirror: Path, damage: str
) -> None:
    commit = origin.head("prod")
    DAMAGE[damage](mirror)
    for _ in range(2):
        try:
            repository.fetch()
            assert repository.commit_info(repository.head("prod")).commit == commit
            return
        except RetryableError as error:
            assert "made anew at the next try" in str(error)
    pytest.fail("it did not heal")


@pytest.mark.parametrize(
    "lock",
    [
        "packed-refs.lock",
        "shallow.lock",
        "HEAD.lock",
        "config.lock",
        "refs/remotes/origin/prod.lock",
        "objects/info/commit-graph.lock",
    ],
)
def test_lock_file_of_a_killed_git_is_cleared_away(
    origin: Origin, repository: GitRepository, mirror: Path, lock: str
) -> None:
    git(mirror, "pack-refs", "--all")
    marker = mirror / "the same clone"
    marker.touch()
    (mirror / lock).parent.mkdir(parents=True, exist_ok=True)
    (mirror / lock).touch()
    commit = origin.commit("prod", {"fix": "1"})
    git(origin.work, "push", "--quiet", "origin", ":test")
    repository.fetch()
    assert repository.head("prod") == commit
    with pytest.raises(RefusedError, match="branch test names no commit"):
        repository.head("test")
    assert marker.exists(), "mended, not made anew"


def test_what_a_killed_worker_left_aside_is_cleared_away(origin: Origin, mirror: Path) -> None:
    left = mirror.parent / f".{mirror.name}-half"
    left.mkdir()
    GitRepository(origin.url, mirror).fetch()
    assert not left.exists()


def test_remote_that_is_away_costs_no_clone(origin: Origin, repository: GitRepository, mirror: Path) -> None:
    away = Path(origin.url).rename(origin.root / "away.git")
    marker = mirror / "the same clone"
    marker.touch()
    with pytest.raises(RetryableError, match="there is no such repository"):
        repository.fetch()
    away.rename(origin.url)
    repository.fetch()
    assert marker.exists()


def test_reading_without_a_clone_never_falls_back_to_the_workers_own_repository(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(origin.work)
    with pytest.raises(RetryableError, match="made anew at the next try"):
        GitRepository(origin.url, tmp_path / "never.git").resolve("HEAD")


def test_folder_that_cannot_be_written_is_named(origin: Origin, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RetryableError, match="folder cannot be used, give this user room there: .*file"):
        GitRepository(origin.url, tmp_path / "file" / "mirror.git").fetch()
