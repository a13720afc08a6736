"""Runs an application's own command in a clean directory with a clean environment, and leaves nothing running.

A command inherits no variable of ours: no credential, no setting, no home. Its output goes to a log that is
kept. Whatever it started is ended with it, wherever that has gone (build_warden.py), also when this process is killed;
and should the command end its warden, by a mark in the environment.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from include.errors import RefusedError

MARK = "REDSTART_BUILD"
WARDEN = Path(__file__).with_name("build_warden.py")
WARDEN_SECONDS = 15.0
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
TAIL_LINES = 25
MOST_TAIL_BYTES = 64 * 1024
MOST_LOG_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class CommandEnd:
    """How a command ended: its exit status, or None where it was ended at its time limit; and where its output is."""

    command: tuple[str, ...]
    status: int | None
    seconds: float
    limit_seconds: float
    log: Path

    @property
    def words(self) -> str:
        """What was run and how it ended, without a full stop."""
        shown = " ".join(self.command)
        if self.status is None:
            return f"`{shown}` was ended after {self.limit_seconds:g} s, its time limit"
        if self.status < 0:
            return f"`{shown}` was killed by signal {-self.status}"
        return f"`{shown}` ended with status {self.status}"


def run_command(
    command: Sequence[str],
    folder: Path,
    log: Path,
    *,
    timeout_seconds: float,
    environment: Mapping[str, str] | None = None,
) -> CommandEnd:
    """Run `command` in `folder`; RefusedError with the end of its output when it fails or takes too long."""
    end = end_of(command, folder, log, timeout_seconds=timeout_seconds, environment=environment)
    if end.status != 0:
        raise RefusedError(f"{end.words}:\n{log_tail(log)}")
    return end


def end_of(
    command: Sequence[str],
    folder: Path,
    log: Path,
    *,
    timeout_seconds: float,
    environment: Mapping[str, str] | None = None,
) -> CommandEnd:
    """Run `command` in `folder` to its end, whichever that is; RefusedError where it cannot be started.

    `python3` is this interpreter's own, so that a build sees the libraries the product was installed with.
    """
    mark = uuid.uuid4().hex
    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="redstart-home-", ignore_cleanup_errors=True) as home,
        log.open("wb") as output,
    ):
        environment = {**_clean(home), **(environment or {}), MARK: mark}
        status = _watch(command, folder, output.fileno(), environment, timeout_seconds)
    return CommandEnd(tuple(command), status, time.monotonic() - started, timeout_seconds, log)


def log_tail(log: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a log."""
    with log.open("rb") as file:
        file.seek(max(log.stat().st_size - MOST_TAIL_BYTES, 0))
        return "\n".join(file.read().decode("utf-8", "replace").splitlines()[-lines:])


def read_log(log: Path) -> bytes:
    """What is worth keeping of a log: all of it, or its two ends where it is over 4 MB."""
    size = log.stat().st_size
    with log.open("rb") as file:
        if size <= MOST_LOG_BYTES:
            return file.read()
        first = file.read(MOST_LOG_BYTES // 4)
        file.seek(size - MOST_LOG_BYTES * 3 // 4)
        left_out = size - MOST_LOG_BYTES
        return first + f"\n\n... {left_out} bytes are left out here ...\n\n".encode() + file.read()


def sha256_of(path: Path) -> str:
    """Hex digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _clean(home: str) -> dict[str, str]:
    return {
        "PATH": f"{Path(sys.executable).parent}:{SYSTEM_PATH}",
        "HOME": home,
        "TMPDIR": home,
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _watch(
    command: Sequence[str], folder: Path, output: int, environment: Mapping[str, str], timeout_seconds: float
) -> int | None:
    """The command's exit status; None where it was ended. Nothing that it started is left."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as result:
        try:
            warden = subprocess.Popen(  # noqa: S603 - the application's own command, as a list, without a shell
                [sys.executable, "-I", "-S", str(WARDEN), str(writing), str(os.getpid()), *command],
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(writing,),
                start_new_session=True,
            )
        finally:
            os.close(writing)
        try:
            warden.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _end(warden, environment[MARK])
        return _read_status(result.read(), command)


def _read_status(said: bytes, command: Sequence[str]) -> int:
    result = json.loads(said) if said else {"problem": "it killed the process that watches over it"}
    if "problem" in result:
        raise RefusedError(f"`{' '.join(command)}` cannot be run: {result['problem']}")
    return int(result["status"])


def _end(warden: subprocess.Popen[bytes], mark: str) -> None:
    warden.terminate()  # nothing where it has ended: then it has killed what was left
    try:
        warden.wait(WARDEN_SECONDS)
    except subprocess.TimeoutExpired:
        warden.kill()
        warden.wait()
    # A child may fork while the list is read: go on until none is seen.
    for _ in range(20):
        left = _marked(mark)
        if not left:
            return
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def _marked(mark: str) -> list[int]:
    """Processes whose environment carries `mark`; a zombie's is empty."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found
