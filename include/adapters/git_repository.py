"""A git repository by plumbing alone: a bare clone beside the remote, list arguments, no work tree, no hooks.

Names from outside are resolved to commit ids before anything else sees them, and one that begins with `-` is
refused: git would take it for an option. The clone is a cache: losing it costs one fetch.
"""

from __future__ import annotations

import fcntl
import re
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from git import Git

from include.apps.source import CommitInfo, MergeResult
from include.errors import RefusedError, RetryableError

# Nothing of the machine's own git settings, no question ever asked, no protocol that runs programs.
ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "/bin/false",
    "GIT_ALLOW_PROTOCOL": "file:ssh:https",
    "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oConnectTimeout=10",
    "LC_ALL": "C",
}
IDENTITY = ("Redstart", "redstart@localhost")
TRIES = 3
COMMIT_ID = re.compile(r"^[0-9a-f]{40}$")
BRANCH = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")
SET_UP = (
    ["init", "--quiet", "--bare", "."],
    ["config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"],
)


class GitRepository:
    """One remote repository and its local bare clone at `mirror` (made at the first fetch)."""

    def __init__(
        self,
        url: str,
        mirror: Path,
        *,
        identity: tuple[str, str] = IDENTITY,
        environment: Mapping[str, str] | None = None,
        timeout_seconds: float = 120,
    ) -> None:
        self.url = _no_option(url)
        self.mirror = mirror
        self._timeout_seconds = timeout_seconds
        name, mail = identity
        self._environment = {
            **ENVIRONMENT,
            "GIT_AUTHOR_NAME": name,
            "GIT_AUTHOR_EMAIL": mail,
            "GIT_COMMITTER_NAME": name,
            "GIT_COMMITTER_EMAIL": mail,
            **(environment or {}),
        }

    def branch_heads(self) -> dict[str, str]:
        """Branch -> commit id as the remote says now; needs no clone. RetryableError when it does not answer."""
        text = self._git(["ls-remote", "--heads", "--", self.url], folder=Path(tempfile.gettempdir()))
        rows = (line.split("\t", 1) for line in text.splitlines() if "\t" in line)
        return {ref.removeprefix("refs/heads/"): commit for commit, ref in rows}

    def fetch(self) -> None:
        """Bring the clone up to the remote's branches; deleted ones go."""
        with self._lock():
            if not (self.mirror / "HEAD").exists():
                for arguments in SET_UP:
                    self._git(list(arguments))
            self._git(["config", "remote.origin.url", self.url])
            self._git(["fetch", "--quiet", "--prune", "--no-tags", "origin"])

    def head(self, branch: str) -> str:
        """Commit id of the remote's `branch` at the last fetch."""
        if not BRANCH.match(branch):
            raise RefusedError(f"{branch!r} is not a branch name.")
        return self.resolve(f"refs/remotes/origin/{branch}")

    def resolve(self, ref: str) -> str:
        """The commit id that `ref` names in the clone; RefusedError when it names none."""
        name = f"{_no_option(ref)}^{{commit}}"
        status, output, _ = self._run(["rev-parse", "--verify", "--quiet", "--end-of-options", name])
        if status or not COMMIT_ID.match(output.strip()):
            raise RefusedError(f"{ref!r} names no commit in {self.url}.")
        return output.strip()

    def tree_id(self, commit: str) -> str:
        """Id of the commit's content."""
        return self._git(["rev-parse", "--verify", f"{self.resolve(commit)}^{{tree}}"]).strip()

    def commit_info(self, commit: str) -> CommitInfo:
        """Who, when, and the first line of the message."""
        form = "--format=%H%x00%T%x00%an%x00%cI%x00%s"
        text = self._git(["log", "-1", "-z", form, self.resolve(commit), "--"])
        commit_id, tree, author, when, subject = text.rstrip("\0\n").split("\0", 4)
        return CommitInfo(commit_id, tree, author, datetime.fromisoformat(when), subject)

    def is_ancestor(self, commit: str, descendant: str) -> bool:
        """Whether `descendant` contains `commit`."""
        ids = [self.resolve(commit), self.resolve(descendant)]
        status, _, problem = self._run(["merge-base", "--is-ancestor", *ids])
        if status not in (0, 1):
            raise RetryableError(f"git merge-base on {self.url}: {problem}")
        return status == 0

    def export(self, commit: str, folder: Path) -> None:
        """Write the commit's files, and nothing else, into `folder` (made; RefusedError if it is not empty)."""
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise RefusedError(f"{folder} is not empty; a build starts from a clean directory.")
        with tempfile.TemporaryDirectory(prefix="redstart-export-") as scratch:
            archive = Path(scratch, "source.tar")
            self._git(["archive", "--format=tar", "-o", str(archive), self.resolve(commit)])
            with tarfile.open(archive) as tar:
                tar.extractall(folder, filter="data")

    def merge_branch(self, source: str, target: str) -> MergeResult:
        """Merge branch `source` into branch `target` on the remote, all or nothing.

        A conflict is a value, and nothing is written. Somebody else's push in between is met by starting over
        (`--force-with-lease`), three times; then RetryableError.
        """
        for _ in range(TRIES):
            self.fetch()
            theirs, ours = self.head(source), self.head(target)
            if self.is_ancestor(theirs, ours):
                return MergeResult("nothing to do", theirs, ours, ours)
            if self.is_ancestor(ours, theirs):
                result = MergeResult("fast-forward", theirs, ours, theirs)
            else:
                result = self._merge(theirs, ours, f"Merge {source} into {target}")
            if result.outcome == "conflict" or self._push(result.merged_to, target, ours):
                return result
        raise RetryableError(f"{target} of {self.url} moved {TRIES} times while {source} was being merged.")

    def _merge(self, theirs: str, ours: str, message: str) -> MergeResult:
        arguments = ["merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", ours, theirs]
        status, output, problem = self._run(arguments)
        tree, *names = output.split("\0")
        # Status 1 is a conflict only if a tree was written: an unusable ref gives 1 as well.
        if status not in (0, 1) or not COMMIT_ID.match(tree):
            raise RetryableError(f"git merge-tree on {self.url}: {problem or output}")
        if status == 1:
            return MergeResult("conflict", theirs, ours, conflicts=tuple(sorted({name for name in names if name})))
        merged = self._git(["commit-tree", tree, "-p", ours, "-p", theirs, "-m", message]).strip()
        return MergeResult("merged", theirs, ours, merged)

    def _push(self, commit: str, branch: str, expected: str) -> bool:
        """False when the branch was no longer at `expected`."""
        ref = f"refs/heads/{branch}"
        arguments = ["push", "--porcelain", "--atomic", f"--force-with-lease={ref}:{expected}"]
        status, output, problem = self._run([*arguments, "origin", f"{commit}:{ref}"])
        if status == 0:
            return True
        said = f"{output}\n{problem}"
        if any(word in said for word in ("stale info", "fetch first", "cannot lock ref", "failed to update ref")):
            return False
        raise RetryableError(f"git push to {self.url} was refused: {said.strip()}")

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """One writer of the clone at a time, also across processes."""
        self.mirror.mkdir(parents=True, exist_ok=True)
        with self.mirror.with_suffix(".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _git(self, arguments: list[str], folder: Path | None = None) -> str:
        status, output, problem = self._run(arguments, folder)
        if status:
            raise RetryableError(f"git {arguments[0]} on {self.url}: {problem.strip() or output.strip()}")
        return output

    def _run(self, arguments: list[str], folder: Path | None = None) -> tuple[int, str, str]:
        status, output, problem = Git(str(folder or self.mirror)).execute(
            ["git", "-c", "core.hooksPath=/dev/null", *arguments],
            env=self._environment,
            with_extended_output=True,
            with_exceptions=False,
            strip_newline_in_stdout=False,
            kill_after_timeout=self._timeout_seconds,
        )
        return int(status), str(output), str(problem)


def _no_option(text: str) -> str:
    if not text or text.startswith("-") or any(ord(letter) < 32 for letter in text):
        raise RefusedError(f"{text!r} cannot be a git reference or address.")
    return text
