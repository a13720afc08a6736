"""The application's own commands, run on a commit in a directory that is thrown away."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.sdk import BaseHook

if TYPE_CHECKING:
    from include.adapters.artifact_store import Artifact, ArtifactStore
    from include.adapters.build_process import CommandEnd, Keep
    from include.adapters.git_repository import GitRepository
    from include.reports.results import TestResults


@dataclass(frozen=True)
class Check:
    """What a test command found. `problem` says in a sentence why it did not pass, "" where it did; `results` are None
    where the command is not asked for any, or left none that can be read."""

    seconds: float
    results: TestResults | None
    problem: str = ""


class BuildHook(BaseHook):
    """`keep` is given the log, whatever came of the command."""

    def __init__(self, repository: GitRepository) -> None:
        super().__init__()
        self.repository = repository

    def build(
        self,
        app: str,
        commit: str,
        command: Sequence[str],
        store: ArtifactStore,
        *,
        timeout_seconds: float,
        keep: Keep,
    ) -> Artifact:
        """The commit's artifact, built and stored. RefusedError with the log's end when the build fails."""
        from include.adapters.build_process import sha256_of
        from include.errors import RefusedError

        with _scratch("build") as folder:
            scratch = Path(folder)
            output = scratch / "artifact"
            words = [word.replace("{artifact}", str(output)) for word in command]
            end = self._run(commit, words, scratch, timeout_seconds, keep)
            if end.status != 0:
                raise RefusedError(f"{end.words}:\n{end.tail}")
            if not output.is_file():
                raise RefusedError(f"`{' '.join(words)}` ended well but wrote no artifact.")
            return store.put(app, commit, output, sha256_of(output))

    def check(
        self,
        commit: str,
        command: Sequence[str],
        *,
        timeout_seconds: float,
        keep: Keep,
        address: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> Check:
        """Run the commit's tests; what they found is a result, whichever it is.

        `{address}` and `{junit}` in the command are replaced; `environment` is added to what every command is told.
        RefusedError where the command cannot be started.
        """
        with _scratch("tests") as folder:
            scratch = Path(folder)
            junit = scratch / "junit.xml"
            words = [word.replace("{address}", address).replace("{junit}", str(junit)) for word in command]
            end = self._run(commit, words, scratch, timeout_seconds, keep, environment)
            return _check(end, command, junit)

    def _run(
        self,
        commit: str,
        command: list[str],
        scratch: Path,
        timeout_seconds: float,
        keep: Keep,
        environment: Mapping[str, str] | None = None,
    ) -> CommandEnd:
        from include.adapters.build_process import end_of

        source = scratch / "source"
        self._know(commit)
        self.repository.export(commit, source)
        told = {**self.repository.commit_info(commit).build_environment, **(environment or {})}
        return end_of(command, source, timeout_seconds=timeout_seconds, environment=told, keep=keep)

    def _know(self, commit: str) -> None:
        """The clone of this machine may be older than the commit, or not be there: another one selected it."""
        from include.errors import RedstartError

        try:
            self.repository.resolve(commit)
        except RedstartError:
            self.repository.fetch()


def _scratch(what: str) -> tempfile.TemporaryDirectory[str]:
    """A command may leave behind what cannot be removed; that fails nothing."""
    return tempfile.TemporaryDirectory(prefix=f"redstart-{what}-", ignore_cleanup_errors=True)


def _check(end: CommandEnd, command: Sequence[str], junit: Path) -> Check:
    from include.adapters.junit_files import read_junit_files
    from include.errors import RefusedError
    from include.reports.junit import MOST_BYTES, parse_junit
    from include.reports.results import why_not_passed

    if end.status is None:  # what it had written by then is not all
        return Check(end.seconds, None, f"{end.words}.{_last_word(end.tail)}")
    if not any("{junit}" in word for word in command):
        problem = "" if end.status == 0 else f"{end.words}:\n{end.tail}"
        return Check(end.seconds, None, problem)
    try:
        results = parse_junit(*read_junit_files(junit, most_bytes=MOST_BYTES))
    except RefusedError as error:
        return Check(end.seconds, None, f"{error} {end.words}.{_last_word(end.tail)}")
    return Check(end.seconds, results, why_not_passed(results, end.status) or "")


def _last_word(tail: str) -> str:
    """The output's last line, for a sentence."""
    line = (tail.splitlines() or [""])[-1]
    clean = "".join(letter if letter.isprintable() else " " for letter in line).strip()
    return f" Its last line: {clean[:300]}" if clean else " It printed nothing."
