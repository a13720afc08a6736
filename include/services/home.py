"""The folder of one stack: who has it, what runs from it, what a killed one left in it."""

from __future__ import annotations

import fcntl
import json
import shutil
import time
from contextlib import suppress
from typing import IO, Any

from include.errors import RefusedError
from include.services.processes import end_marked
from include.services.settings import Settings

STATE_FILE = "stack.json"
LOCK_FILE = "redstart.lock"
CLAIM_PATIENCE_SECONDS = 1.0


class Home:
    """The stack's folder: one stack at a time (a lock the kernel frees), its state file, its left-overs."""

    def __init__(self, settings: Settings) -> None:
        self.path = settings.home
        self.state_file = settings.home / STATE_FILE
        self.settings = settings

    def make(self) -> None:
        """RefusedError where the folder cannot be made or written, or is not a stack's: a start empties parts of it."""
        try:
            if not (self.path / LOCK_FILE).exists() and self.path.exists() and any(self.path.iterdir()):
                raise RefusedError(
                    f"{self.path} is not empty and not a stack's folder; choose another with REDSTART_HOME."
                )
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / LOCK_FILE).open("ab").close()
        except OSError as error:
            raise RefusedError(
                f"{self.path} cannot be written ({error.strerror}); choose another folder with REDSTART_HOME."
            ) from error

    def claim(self) -> None:
        """RefusedError where a live supervisor holds the lock."""
        self.make()
        self._lock = (self.path / LOCK_FILE).open("ab")
        deadline = time.monotonic() + CLAIM_PATIENCE_SECONDS
        while not _is_locked(self._lock):
            if time.monotonic() > deadline:  # `is_claimed` of another command holds it for a moment only
                raise self.refusal()
            time.sleep(0.1)

    def refusal(self) -> RefusedError:
        pid = self.state().get("pid", "unknown")
        return RefusedError(f"A stack is already running here (process {pid}); `make down` ends it.")

    def is_claimed(self) -> bool:
        """Whether a live supervisor holds the lock."""
        try:
            with (self.path / LOCK_FILE).open("rb") as file:
                return not _is_locked(file)
        except OSError:
            return False

    def state(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self.state_file.read_text()))
        except (OSError, ValueError):
            return {}

    def end_left_behind(self) -> bool:
        """End what a killed stack left; True when there was anything."""
        stack = self.state().get("stack")
        found = bool(stack) and end_marked(str(stack), grace_seconds=3) >= 0 and bool(self.state().get("pid"))
        with suppress(FileNotFoundError):
            self.state_file.unlink()
        return found

    def await_first_word(self, seconds: float = 5) -> None:
        """A supervisor that has just claimed the home has not said its process yet."""
        deadline = time.monotonic() + seconds
        while not self.state() and self.is_claimed() and time.monotonic() < deadline:
            time.sleep(0.2)

    def renew_world(self) -> None:
        """The local cloud's records live in memory, so a start begins a new world: what described the old one goes."""
        for name in ("cloud", "git", "airflow", "storage", "builds", "logs", "ledger"):
            shutil.rmtree(self.path / name, ignore_errors=True)
        for stale in ("traffic.json",):
            (self.path / stale).unlink(missing_ok=True)


def _is_locked(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
