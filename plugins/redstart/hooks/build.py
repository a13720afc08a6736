"""The application's own commands, run on a commit in a directory that is thrown away."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.sdk import BaseHook

if TYPE_CHECKING:
    from include.adapters.artifact_store import Artifact, ArtifactStore
    from include.adapters.git_repository import GitRepository

Keep = Callable[[bytes], None]


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

        with tempfile.TemporaryDirectory(prefix="redstart-build-") as scratch:
            output = Path(scratch, "artifact")
            words = [word.replace("{artifact}", str(output)) for word in command]
            self._run(commit, words, Path(scratch), timeout_seconds, keep)
            if not output.is_file():
                raise RefusedError(f"`{' '.join(words)}` ended well but wrote no artifact.")
            return store.put(app, commit, output, sha256_of(output))

    def check(self, commit: str, command: Sequence[str], *, timeout_seconds: float, keep: Keep) -> float:
        """Seconds that the commit's tests took. RefusedError with the log's end when they fail."""
        with tempfile.TemporaryDirectory(prefix="redstart-tests-") as scratch:
            return self._run(commit, list(command), Path(scratch), timeout_seconds, keep)

    def _run(self, commit: str, command: list[str], scratch: Path, timeout_seconds: float, keep: Keep) -> float:
        from include.adapters.build_process import run_command

        source, log = scratch / "source", scratch / "log"
        self.repository.export(commit, source)
        environment = self.repository.commit_info(commit).build_environment
        try:
            return run_command(command, source, log, timeout_seconds=timeout_seconds, environment=environment).seconds
        finally:
            if log.exists():
                keep(log.read_bytes())
