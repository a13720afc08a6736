"""A git repository by plumbing alone: a bare clone beside the remote, list arguments, no work tree, no hooks.

Names from outside are resolved to commit ids before anything else sees them, and one that begins with `-` is
refused: git would take it for an option. The clone is a cache: losing it costs one fetch.
"""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from include.adapters.git_command import GitCommand
from include.adapters.git_merging import GitMerge, Signature, check_name
from include.adapters.git_mirror import HEADS, GitMirror
from include.adapters.git_words import one_line, without_password
from include.apps.source import CommitInfo, MergeResult
from include.errors import RefusedError

IDENTITY = ("Redstart", "redstart@localhost")
LATEST = 253402300799
"""The end of the year 9999: no datetime is later."""
WHOLE = "* -export-ignore -export-subst\n"
"""An export has what the commit's tree has, byte by byte, whatever the repository's own attributes say."""


class GitRepository:
    """One remote repository and its local bare clone at `mirror` (made at the first fetch).

    `identity`: name and mail of merge commits and tags; `signing_key`: the file of an SSH key that signs them. Every
    call of git, and all that it starts, ends within `timeout_seconds`; a first fetch must fit in there, too.
    """

    def __init__(
        self,
        url: str,
        mirror: Path,
        *,
        identity: tuple[str, str] = IDENTITY,
        signing_key: str = "",
        environment: Mapping[str, str] | None = None,
        timeout_seconds: float = 120,
    ) -> None:
        self.url = _no_option(url)
        name, mail = identity
        self._signature = Signature(_no_option(name), _no_option(mail), signing_key)
        who = {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": mail}
        who |= {"GIT_COMMITTER_NAME": name, "GIT_COMMITTER_EMAIL": mail}
        self._mirror = GitMirror(self.url, mirror, GitCommand({**who, **(environment or {})}, timeout_seconds))

    def branch_heads(self) -> dict[str, str]:
        """Branch -> commit id as the remote says now; needs no clone. RetryableError when it does not answer."""
        rows = (line.split("\t", 1) for line in self._mirror.ask_remote("--heads").splitlines() if "\t" in line)
        return {ref.removeprefix("refs/heads/"): commit for commit, ref in rows}

    def fetch(self) -> None:
        """Bring the clone up to the remote's branches; deleted ones go."""
        self._mirror.fetch()

    def head(self, branch: str) -> str:
        """Commit id of the remote's `branch` at the last fetch; RefusedError when it has none."""
        check_name(branch)
        return self._one(f"{HEADS}{branch}", f"branch {branch}")

    def resolve(self, ref: str) -> str:
        """The commit id that `ref` names in the clone; RefusedError when it names none."""
        return self._one(_no_option(ref), repr(ref))

    def tree_id(self, commit: str) -> str:
        """Id of the commit's content."""
        return self._mirror.local("rev-parse", "--verify", f"{self.resolve(commit)}^{{tree}}").output.strip()

    def commit_info(self, commit: str) -> CommitInfo:
        """Who, when, and the first line of the message."""
        # Not %cI: a committer's date and zone may be anything, and git itself gives up on some.
        form = "--format=%H%x00%T%x00%an%x00%ct%x00%s"
        text = self._mirror.local("log", "-1", "-z", form, self.resolve(commit), "--").output
        commit_id, tree, author, when, subject = text.rstrip("\0\n").split("\0", 4)
        return CommitInfo(commit_id, tree, author, _moment(when), subject)

    def is_ancestor(self, commit: str, descendant: str) -> bool:
        """Whether `descendant` contains `commit`."""
        ids = [self.resolve(commit), self.resolve(descendant)]
        return self._mirror.local("merge-base", "--is-ancestor", *ids, statuses=(0, 1)).status == 0

    def commits_between(self, old: str, new: str, limit: int = 100) -> list[str]:
        """Ids of the commits that `new` contains and `old` does not, `new` first, at most `limit`.

        Where the clone does not know `old` (none yet, or gone since a branch was moved by force): `new` alone.
        """
        known, wanted = self._mirror.resolve_all([_no_option(old) if old else "0" * 40, _no_option(new)])
        if wanted is None:
            raise self._unknown(repr(new))
        if known is None:
            return [wanted]
        arguments = ("rev-list", "--topo-order", f"--max-count={int(limit)}", wanted, f"^{known}", "--")
        return self._mirror.local(*arguments).output.split()

    def export(self, commit: str, folder: Path) -> None:
        """Write all of the commit's files, and nothing else, into `folder` (made; RefusedError if it is not empty, or
        the commit has a link that leads out of it)."""
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise RefusedError(f"{folder} is not empty; a build starts from a clean directory.")
        with tempfile.TemporaryDirectory(prefix="redstart-export-") as scratch:
            archive = Path(scratch, "source.tar")
            self._mirror.overrule_attributes(WHOLE)
            self._mirror.local("archive", "--format=tar", "-o", str(archive), self.resolve(commit))
            with tarfile.open(archive) as tar:
                _extract(tar, folder, commit)

    def merge(self, source: str, target: str, *, message: str = "", tag: str = "") -> MergeResult:
        """Merge `source`, a branch or a commit's id, into branch `target` on the remote, all or nothing.

        With `tag`, the source's commit has that annotated tag, with the same message, afterwards. Branch and tag are
        pushed as one, and what is there already is left alone, so that a merge may be asked for again. A conflict is
        a value, and nothing is written. RefusedError where a person has to decide (the remote refuses, the tag names
        another commit, a branch is gone); RetryableError where the same may work later (the remote is away, or moved
        three times meanwhile).
        """
        wanted = message or f"Merge {source} into {target}"
        return GitMerge(self._mirror, source, target, message=wanted, tag=tag, signature=self._signature).run()

    def _one(self, ref: str, shown: str) -> str:
        found = self._mirror.resolve_all([ref])[0]
        if found is None:
            raise self._unknown(shown)
        return found

    def _unknown(self, shown: str) -> RefusedError:
        return RefusedError(f"{shown} names no commit in {without_password(self.url)}.")


def _moment(seconds: str) -> datetime:
    """A committer's date, as near as a datetime comes to it."""
    return datetime.fromtimestamp(min(max(int(seconds or 0), 0), LATEST), UTC)


def _extract(tar: tarfile.TarFile, folder: Path, commit: str) -> None:
    try:
        tar.extractall(folder, filter="data")
    except tarfile.FilterError as error:
        raise RefusedError(
            f"{commit[:10]} cannot be built: {one_line(str(error))}. Take that out of the repository, and push."
        ) from error


def _no_option(text: str) -> str:
    if not text or text.startswith("-") or any(ord(letter) < 32 for letter in text):
        raise RefusedError(f"{text!r} cannot be a git reference or address.")
    return text
