"""Remotes that refuse, hang, race and break off, and workers that are killed: how each ends, and how it goes on."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.adapters.git_repository import GitRepository
from include.errors import RefusedError, RetryableError
from tests.support.git import Origin, git, make_origin
from tests.support.git_remote import (
    RECEIVE,
    UPLOAD,
    Remote,
    end_processes_with,
    make_remote,
    processes_with,
    refs,
    wait_until_gone,
)

HANG = "sleep 600"


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return make_origin(tmp_path / "remote")


@pytest.fixture
def remote(origin: Origin, tmp_path: Path) -> Iterator[Remote]:
    yield make_remote(origin, tmp_path / "far")
    end_processes_with(str(tmp_path))


@pytest.fixture
def repository(remote: Remote, tmp_path: Path) -> GitRepository:
    return remote.repository(tmp_path / "mirror.git")


def names(origin: Origin, ref: str) -> set[str]:
    return set(git(Path(origin.url), "ls-tree", "-r", "--name-only", ref).split())


# Refusing


def test_hook_that_declines_is_quoted_and_a_person_is_asked(
    origin: Origin, remote: Remote, repository: GitRepository
) -> None:
    origin.commit("prod", {"fix": "1"})
    remote.hook(
        "pre-receive", 'printf "\\033[31mNo merges\\033[0m on a Friday.\\nAsk release@example.org\\n" >&2; exit 1'
    )
    before = refs(origin)
    with pytest.raises(RefusedError) as caught:
        repository.merge("prod", "release")
    assert str(caught.value) == (
        f"ssh://there{origin.url} refuses the push of release [remote rejected] (pre-receive hook declined), and "
        "nothing was written. Mend what it says, or let the git connection's account push there, then clear this task. "
        "It said: No merges on a Friday. Ask release@example.org"
    )
    assert refs(origin) == before
    remote.hook("pre-receive", "exit 0")
    assert repository.merge("prod", "release").outcome == "fast-forward"


def test_branch_refused_means_no_tag_either(origin: Origin, remote: Remote, repository: GitRepository) -> None:
    candidate = origin.commit("release", {"feature": "1"})
    remote.hook("update", 'test "$1" != refs/heads/prod || { echo "prod is protected" >&2; exit 1; }')
    before = refs(origin)
    with pytest.raises(RefusedError, match=r"push of prod and tag v1 .*hook declined.* said: prod is protected"):
        repository.merge(candidate, "prod", tag="v1")
    assert refs(origin) == before


@pytest.mark.parametrize(
    ("says", "todo"),
    [
        (
            "git@there: Permission denied (publickey).",
            "key or password is not accepted, renew it in the git connection",
        ),
        ("Host key verification failed.", "host key is not known here, see `known_hosts_file`"),
        ("ssh: Could not resolve hostname there: Name or service not known", "name is not known here, look at DNS"),
        ("ERROR: Repository not found.", "no such repository, look at the git connection's host"),
        ("kex_exchange_identification: Connection closed", "look whether it is up"),
    ],
)
def test_remote_that_cannot_be_read_says_what_to_mend(
    origin: Origin, remote: Remote, repository: GitRepository, says: str, todo: str
) -> None:
    repository.fetch()
    remote.before(UPLOAD, f'echo "{says}" >&2; exit 255')
    with pytest.raises(RetryableError, match=todo):
        repository.merge("prod", "release")
    with pytest.raises(RetryableError, match=todo):
        repository.branch_heads()
    remote.before(UPLOAD, "")
    assert repository.merge("prod", "release").outcome == "nothing to do"


def test_password_of_an_address_is_not_told(tmp_path: Path) -> None:
    repository = GitRepository("https://cd:hunter2@127.0.0.1:1/api.git", tmp_path / "m.git", timeout_seconds=20)
    with pytest.raises(RetryableError, match="https://127.0.0.1:1/api.git could not be read") as caught:
        repository.fetch()
    assert "hunter2" not in str(caught.value)


# Hanging


@pytest.mark.parametrize("service", [UPLOAD, RECEIVE])
def test_hanging_remote_is_left_in_time_and_nothing_is_left_running(
    origin: Origin, remote: Remote, tmp_path: Path, service: str
) -> None:
    origin.commit("prod", {"fix": "1"})
    remote.repository(tmp_path / "mirror.git").fetch()
    remote.before(service, HANG)
    started = time.monotonic()
    with pytest.raises(RetryableError, match=r"gave no answer within 2 s to git \w+, .*look whether the remote hangs"):
        remote.repository(tmp_path / "mirror.git", timeout_seconds=2).merge("prod", "release")
    assert time.monotonic() - started < 12
    wait_until_gone(str(remote.folder))
    remote.before(service, "")
    assert remote.repository(tmp_path / "mirror.git").merge("prod", "release").outcome == "fast-forward"


def test_child_that_left_the_session_and_holds_the_pipe_is_ended_too(
    origin: Origin, remote: Remote, tmp_path: Path
) -> None:
    remote.before(UPLOAD, f"setsid sh -c '{HANG}' & exit 1")
    started = time.monotonic()
    with pytest.raises(RetryableError):
        remote.repository(tmp_path / "mirror.git", timeout_seconds=2).branch_heads()
    assert time.monotonic() - started < 12
    wait_until_gone(str(remote.folder))


def test_hook_that_hangs_after_the_push_was_taken_is_found_merged(
    origin: Origin, remote: Remote, tmp_path: Path
) -> None:
    candidate = origin.commit("release", {"feature": "1"})
    remote.hook("post-receive", HANG)
    with pytest.raises(RetryableError, match="no answer within 2 s to git push"):
        remote.repository(tmp_path / "mirror.git", timeout_seconds=2).merge(candidate, "prod", tag="v1")
    before = refs(origin)
    again = remote.repository(tmp_path / "mirror.git").merge(candidate, "prod", tag="v1")
    assert (again.outcome, again.tag, refs(origin)) == ("nothing to do", "v1", before)
    wait_until_gone(str(remote.folder))


def test_connection_that_breaks_off_during_the_push_is_tried_again_later(
    origin: Origin, remote: Remote, repository: GitRepository
) -> None:
    origin.commit("prod", {"fix": "1"})
    before = refs(origin)
    remote.once(RECEIVE, "exit 1")
    with pytest.raises(RetryableError, match="did not take the push of release; this is tried again by itself"):
        repository.merge("prod", "release")
    assert refs(origin) == before
    assert repository.merge("prod", "release").outcome == "fast-forward"


# Racing, and moved by force


def test_race_with_a_developer_is_met_by_merging_again(
    origin: Origin, remote: Remote, repository: GitRepository
) -> None:
    origin.commit("prod", {"fix": "1"})
    remote.once(RECEIVE, remote.commit_in_between("release", "first"))
    result = repository.merge("prod", "release", tag="v1")
    assert (result.outcome, result.tag) == ("merged", "v1")
    assert names(origin, "release") == {"README", "fix", "first"}


def test_race_that_the_remote_notices_while_it_writes_is_met_as_well(
    origin: Origin, remote: Remote, repository: GitRepository
) -> None:
    other = origin.commit("test", {"other": "1"})
    candidate = origin.commit("release", {"feature": "1"})
    # Of the hook's environment that alone keeps it from moving a ref while objects are still in quarantine.
    moved = f"unset GIT_QUARANTINE_PATH; git update-ref refs/heads/prod {other}"
    remote.hook("pre-receive", f"test -e moved || {{ touch moved; {moved}; }}")
    result = repository.merge(candidate, "prod", tag="v1")
    assert (result.outcome, result.target_commit) == ("merged", other)
    assert names(origin, "prod") == {"README", "other", "feature"}


def test_race_that_never_ends_is_given_up_without_loss(
    origin: Origin, remote: Remote, repository: GitRepository
) -> None:
    origin.commit("prod", {"fix": "1"})
    remote.before(RECEIVE, remote.commit_in_between("release", "work-$$"))
    with pytest.raises(RetryableError, match=r"release of .* moved 3 times .* nothing was written.*stale info"):
        repository.merge("prod", "release", tag="v1")
    assert len(names(origin, "release")) == 1 + 3, "all of the others' work, none of the fix"
    assert "refs/tags/v1" not in refs(origin)
    remote.before(RECEIVE, "")
    assert repository.merge("prod", "release").outcome == "merged"


def test_tag_that_somebody_sets_meanwhile_is_not_moved(
    origin: Origin, remote: Remote, repository: GitRepository
) -> None:
    candidate = origin.commit("release", {"feature": "1"})
    prod = origin.head("prod")
    remote.once(RECEIVE, f"git -C '{origin.url}' tag v1 {prod}")
    with pytest.raises(RefusedError, match="Tag v1 of .* is at"):
        repository.merge(candidate, "prod", tag="v1")
    assert (origin.head("prod"), git(Path(origin.url), "rev-parse", "v1")) == (prod, prod)


def test_target_moved_back_by_force_meanwhile_is_looked_at_again(
    origin: Origin, remote: Remote, repository: GitRepository
) -> None:
    begin = origin.head("release")
    origin.commit("release", {"feature": "1"})
    fix = origin.commit("prod", {"fix": "1"})
    remote.once(RECEIVE, f"git -C '{origin.url}' update-ref refs/heads/release {begin}")
    result = repository.merge("prod", "release")
    assert (result.outcome, origin.head("release")) == ("fast-forward", fix)
    assert names(origin, "release") == {"README", "fix"}, "what was taken out by force stays out"


def test_two_workers_merging_the_same_at_once_make_one_merge(origin: Origin, tmp_path: Path) -> None:
    origin.commit("prod", {"fix": "1"})
    origin.commit("release", {"feature": "1"})
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        outcomes = pool.starmap(merge_once, [(origin.url, tmp_path / "mirror.git")] * 3)
    # Two that began in the same second have made the same commit, and both may say so.
    assert "merged" in outcomes and set(outcomes) <= {"merged", "nothing to do"}
    assert git(Path(origin.url), "rev-list", "--count", "--merges", "release") == "1"


def merge_once(url: str, mirror: Path) -> str:
    return GitRepository(url, mirror).merge("prod", "release").outcome


# Killed


WORKER = """
import sys
from pathlib import Path
from include.adapters.git_repository import GitRepository
url, mirror, ssh, seconds = sys.argv[1:]
environment = {"GIT_SSH_COMMAND": ssh, "GIT_SSH_VARIANT": "ssh"}
repository = GitRepository(url, Path(mirror), environment=environment, timeout_seconds=float(seconds))
repository.merge("prod", "release", tag="v1")
"""


def start_worker(remote: Remote, mirror: Path, seconds: float) -> subprocess.Popen[bytes]:
    arguments = [remote.url, str(mirror), str(remote.folder / "ssh"), str(seconds)]
    return subprocess.Popen([sys.executable, "-c", WORKER, *arguments], env={**os.environ, "PYTHONPATH": "."})


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} never came"
        time.sleep(0.02)


@pytest.mark.parametrize("service", [UPLOAD, RECEIVE])
def test_worker_killed_in_the_middle_is_followed_by_one_that_goes_on(
    origin: Origin, remote: Remote, tmp_path: Path, service: str
) -> None:
    """Its git lives on, hanging, with the clone's lock where it fetches: the next one ends it when its time is over."""
    origin.commit("release", {"feature": "1"})
    origin.commit("prod", {"fix": "1"})
    reached = tmp_path / "reached"
    remote.once(service, f"touch '{reached}'; {HANG}")
    worker = start_worker(remote, tmp_path / "mirror.git", 3)
    wait_for(reached)
    worker.kill()
    worker.wait()
    assert processes_with(str(remote.folder))
    result = remote.repository(tmp_path / "mirror.git", timeout_seconds=20).merge("prod", "release", tag="v1")
    assert (result.outcome, result.tag) == ("merged", "v1")
    if service == UPLOAD:
        wait_until_gone(str(remote.folder))


def test_worker_that_is_told_to_stop_takes_its_git_along(origin: Origin, remote: Remote, tmp_path: Path) -> None:
    reached = tmp_path / "reached"
    remote.once(UPLOAD, f"touch '{reached}'; {HANG}")
    worker = start_worker(remote, tmp_path / "mirror.git", 60)
    wait_for(reached)
    worker.send_signal(signal.SIGINT)  # as Airflow's, an exception in the middle of the call
    assert worker.wait(10) != 0
    wait_until_gone(str(remote.folder))
