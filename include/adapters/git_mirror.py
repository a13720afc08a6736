"""The bare clone of a remote beside its lock: a cache, that is mended or made anew whenever it is in doubt."""

from __future__ import annotations

import fcntl
import re
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from include.adapters.git_command import Ended, GitCommand, TimedOutError, end_overdue
from include.adapters.git_words import explain_unread, is_harm, is_of_the_remote, one_line, without_password
from include.errors import RetryableError

COMMIT_ID = re.compile(r"^[0-9a-f]{40}$")
HEADS = "refs/remotes/origin/"
TAGS = "refs/redstart/tags/"
BROKEN = "redstart-broken"
LOCK_FILES = ("*.lock", "refs/**/*.lock", "objects/*.lock", "objects/info/**/*.lock", "objects/pack/*.lock")
LOCK_POLL_SECONDS = 0.05


class BrokenMirrorError(RetryableError):
    """The clone, not the remote, is at fault; the next fetch makes it anew."""


class GitMirror:
    """The clone of `url` at `folder`, made at the first fetch.

    Who writes refs holds the file lock beside it, and so does the git that it started: whoever gets the lock knows that
    none of them lives, and that a lock file of git's own was left by one that was killed.
    """

    def __init__(self, url: str, folder: Path, git: GitCommand) -> None:
        self.url, self.folder, self.git = url, folder, git

    def fetch(self, *, tag: str = "", maintain: bool = True) -> None:
        """Bring all branches, and `tag` where the remote has it, up to the remote's; what is gone there goes here.

        RetryableError, with what to do, where the remote does not let itself be read.
        """
        wanted = [f"+refs/heads/*:{HEADS}*"]
        if tag:
            wanted.append(f"+refs/tags/{tag}*:{TAGS}{tag}*")
        options = ["--prune", *([] if maintain else ["--no-auto-maintenance"])]
        with self._alone() as lock:
            self._make_if_missing()
            ended = self._fetch(options, wanted, lock)
            if ended.status and self._clear_lock_files():
                ended = self._fetch(options, wanted, lock)
            if ended.status and not is_of_the_remote(ended.problem):
                self.ask_remote("--heads")  # its answer leaves the clone at fault
                self._discard()
                self._make_if_missing()
                ended = self._fetch(options, wanted, lock)
        if ended.status:
            raise RetryableError(explain_unread(self.url, ended.words))

    def fetch_commit(self, commit: str) -> bool:
        """Bring a commit that no branch contains any more; False where the remote does not give it."""
        with self._alone() as lock:
            ended = self._fetch([], [commit], lock)
        if ended.status and not any(word in ended.problem for word in ("not our ref", "unadvertised object")):
            raise RetryableError(explain_unread(self.url, ended.words))
        return ended.status == 0

    def ask_remote(self, *arguments: str) -> str:
        """`git ls-remote`, which needs no clone. RetryableError where there is no answer."""
        ended = self._within_time("ls-remote", *arguments, "--", self.url, folder=None)
        if ended.status:
            raise RetryableError(explain_unread(self.url, ended.words))
        return ended.output

    def resolve_all(self, names: Sequence[str]) -> list[str | None]:
        """For each name the id of its commit, None where the clone has none: one git, names by stdin.

        BrokenMirrorError where git stumbles over an object rather than not finding it.
        """
        stdin = "".join(f"{name}^{{commit}}\n" for name in names)
        ended = self.local("cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=stdin)
        rows = ended.output.splitlines()
        if len(rows) != len(names) or is_harm(ended.problem):
            raise self.broken("cat-file", ended)
        ids = [row.removesuffix(" commit") for row in rows]
        return [one if COMMIT_ID.match(one) else None for one in ids]

    def local(
        self, *arguments: str, stdin: str | None = None, settings: Sequence[str] = (), statuses: Collection[int] = (0,)
    ) -> Ended:
        """A command that needs no remote; any status but these leaves the clone in doubt: BrokenMirrorError."""
        ended = self._within_time(*arguments, folder=self.folder, stdin=stdin, settings=settings)
        if ended.status not in statuses:
            raise self.broken(arguments[0], ended)
        return ended

    def overrule_attributes(self, text: str) -> None:
        """Attributes that go before those in any commit."""
        path = self.folder / "info" / "attributes"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def push(self, *arguments: str) -> Ended:
        """`git push` to the remote; the clone's own refs stay as they are."""
        return self._within_time("push", "--porcelain", "--atomic", *arguments, folder=self.folder)

    def broken(self, verb: str, ended: Ended) -> RetryableError:
        """The error of a command that the clone should have carried out; the next fetch makes the clone anew."""
        if "No space left" in ended.words:
            return RetryableError(
                f"git {verb} has no room: free some on the disks of {self.folder} and of the system's temporary files; "
                "this is tried again by itself."
            )
        with suppress(OSError):
            (self.folder / BROKEN).touch()
        shown = f"the clone of {without_password(self.url)} at {self.folder}"
        return BrokenMirrorError(
            f"git {verb} failed on {shown}, which is made anew at the next try. It said: {one_line(ended.words)}"
        )

    def _fetch(self, options: Sequence[str], wanted: Sequence[str], lock: int) -> Ended:
        quiet = ["--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"]
        return self._within_time(
            "fetch", *quiet, *options, "--", self.url, *wanted, folder=self.folder, held_open=[lock]
        )

    def _within_time(
        self,
        *arguments: str,
        folder: Path | None,
        stdin: str | None = None,
        settings: Sequence[str] = (),
        held_open: Sequence[int] = (),
    ) -> Ended:
        try:
            return self.git.run(*arguments, folder=folder, stdin=stdin, settings=settings, held_open=held_open)
        except TimedOutError as error:
            raise RetryableError(
                f"{without_password(self.url)} gave {error} to git {arguments[0]}, which was ended with all that it "
                "had started: look whether the remote hangs; this is tried again by itself."
            ) from error

    def _make_if_missing(self) -> None:
        """A clone appears whole: it is made aside and then given its name."""
        if (self.folder / "HEAD").is_file() and not (self.folder / BROKEN).exists():
            return
        self._discard()
        aside = self._aside()
        ended = self.git.run("init", "--quiet", "--bare", "--template=", "--", str(aside))
        if ended.status:
            shown = without_password(self.url)
            raise RetryableError(f"No clone of {shown} can be made in {aside}: {one_line(ended.words)}")
        aside.rename(self.folder)

    def _discard(self) -> None:
        """With it goes what a killed one has left aside."""
        if self.folder.exists():
            self.folder.rename(self._aside() / "broken")
        for left in self.folder.parent.glob(f".{self.folder.name}-*"):
            shutil.rmtree(left, ignore_errors=True)

    def _aside(self) -> Path:
        return Path(tempfile.mkdtemp(prefix=f".{self.folder.name}-", dir=self.folder.parent))

    def _clear_lock_files(self) -> int:
        """Remove the locks that a killed git has left; how many there were. Only under our own lock."""
        left = [path for pattern in LOCK_FILES for path in self.folder.glob(pattern)]
        for path in left:
            path.unlink(missing_ok=True)
        return len(left)

    @contextmanager
    def _alone(self) -> Iterator[int]:
        """One writer of the clone's refs at a time, also across processes; gives the lock's file descriptor."""
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            file = self.folder.with_suffix(".lock").open("w")
        except OSError as error:
            raise RetryableError(f"The clone's folder cannot be used, give this user room there: {error}") from error
        with file:
            self._wait_for(file)
            yield file.fileno()

    def _wait_for(self, file: TextIO) -> None:
        deadline = time.monotonic() + 2 * self.git.timeout_seconds + 10
        looked = 0.0
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            if time.monotonic() > deadline:
                raise RetryableError(
                    f"Somebody else has had {file.name} since {2 * self.git.timeout_seconds + 10:.0f} s: `fuser -v "
                    f"{file.name}` names the process, end it if it hangs; this is tried again by itself."
                )
            if time.monotonic() - looked > 1:
                end_overdue()
                looked = time.monotonic()
            time.sleep(LOCK_POLL_SECONDS)
