"""A merge, with fetch, merge commit and push to a bare repository on this disk, in a history of 1,500 commits.

    python benchmarks/bench_merge.py [--commits 1500] [--files 300] [--merges 15]

The yardstick, taking turns with it in the same run, is the same work as bare git commands: the two `merge-base`s that
it takes to know that a merge is due, `merge-tree`, `commit-tree`, `push`. It does not fetch.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from include.adapters.git_repository import GitRepository
from tests.support.git import IDENTITY, git

GOAL_MS = 200
NUMBER = "%d\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commits", type=int, default=1500)
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--merges", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="redstart-bench-") as scratch:
        remote = make_history(Path(scratch), options.commits, options.files)
        print(f"{options.commits} commits of {options.files} files, load {os.getloadavg()[0]:.1f}")
        report(*measure(remote, Path(scratch), options.merges, options.files))


def make_history(folder: Path, commits: int, files: int) -> Path:
    """A bare repository whose branches prod and release went their own ways in the last quarter."""
    remote = folder / "api.git"
    git(folder, "init", "--quiet", "--bare", remote.name)
    lines = []
    for number in range(commits):
        own = number >= commits * 3 // 4
        branch = ("prod", "release")[number % 2] if own else "prod"
        # Each branch has files of its own at the end, so that they merge.
        name = f"src/{number % files}.txt" if not own else f"src/{branch}/{number % files}.txt"
        lines.append(commit_of(f"refs/heads/{branch}", name, number, goes_on=True))
        if number == commits * 3 // 4 - 1:
            lines.append("reset refs/heads/release\nfrom refs/heads/prod\n\n")
    feed(remote, "".join(lines))
    git(remote, "gc", "--quiet")
    return remote


def commit_of(ref: str, name: str, number: int, *, goes_on: bool = False) -> str:
    """A commit for `git fast-import`, on top of the one before in the stream or of the branch."""
    text, who = NUMBER % number, f"Ada <ada@example.org> {1_700_000_000 + number} +0000"
    start = "" if goes_on else f"from {ref}^0\n"
    return (
        f"commit {ref}\ncommitter {who}\ndata {len(str(number))}\n{number}\n{start}"
        f"M 100644 inline {name}\ndata {len(text)}\n{text}\n"
    )


def feed(remote: Path, stream: str) -> None:
    subprocess.run(
        ["git", "fast-import", "--quiet"], cwd=remote, input=stream.encode(), env={**os.environ, **IDENTITY}, check=True
    )


def measure(remote: Path, scratch: Path, merges: int, files: int) -> tuple[list[float], list[float], list[float]]:
    """Milliseconds: our merges, theirs by bare commands, and ours with nothing to do."""
    repository = GitRepository(str(remote), scratch / "mirror.git")
    repository.merge("prod", "release", message="warm")
    ours, bare, idle = [], [], []
    for number in range(merges):
        commit_to(remote, "prod", 2 * number, files)
        ours.append(milliseconds(lambda: repository.merge("prod", "release", message="Merge prod", tag="")))
        idle.append(milliseconds(lambda: repository.merge("prod", "release")))
        commit_to(remote, "release", number, files)
        commit_to(remote, "prod", 2 * number + 1, files)
        bare.append(milliseconds(prepared(remote, repository, scratch / "mirror.git")))
        commit_to(remote, "release", number + 1000, files)
    return ours, bare, idle


def commit_to(remote: Path, branch: str, number: int, files: int) -> None:
    feed(remote, commit_of(f"refs/heads/{branch}", f"src/{branch}/{number % files}.txt", 10_000 + number))


def prepared(remote: Path, repository: GitRepository, mirror: Path) -> Callable[[], None]:
    """The yardstick, its fetch done before the clock runs."""
    repository.fetch()
    ours, theirs = repository.head("release"), repository.head("prod")

    def merge() -> None:
        for pair in ((theirs, ours), (ours, theirs)):
            subprocess.run(["git", "merge-base", "--is-ancestor", *pair], cwd=mirror, check=False)
        tree = git(mirror, "merge-tree", "--write-tree", ours, theirs)
        commit = git(mirror, "commit-tree", tree, "-p", ours, "-p", theirs, "-m", "Merge prod")
        lease = f"--force-with-lease=refs/heads/release:{ours}"
        git(mirror, "push", "--porcelain", "--atomic", lease, str(remote), f"{commit}:refs/heads/release")

    return merge


def milliseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def report(ours: list[float], bare: list[float], idle: list[float]) -> None:
    for name, values in (("merge", ours), ("bare commands, no fetch", bare), ("nothing to do", idle)):
        print(f"{name}: median {statistics.median(values):.0f} ms, most {max(values):.0f} ms, n={len(values)}")
    ratio = statistics.median(ours) / statistics.median(bare)
    print(f"ratio {ratio:.2f}; goal < {GOAL_MS} ms")


if __name__ == "__main__":
    main()
