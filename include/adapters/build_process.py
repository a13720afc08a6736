"""Runs an application's own command in a clean directory with a clean environment, and leaves nothing running.

A command inherits no variable of ours: no credential, no setting, no home. Its output goes to a log that is
kept. Whatever it started is ended with it, also what left its process group, found by a mark in the environment.
"""

from __future__ import annotations

import hashlib
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
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
TAIL_LINES = 25


@dataclass(frozen=True)
class BuildRun:
    """A command that ended well: how long it took and where its output is."""

    seconds: float
    log: Path


def run_command(
    command: Sequence[str],
    folder: Path,
    log: Path,
    *,
    timeout_seconds: float,
    environment: Mapping[str, str] | None = None,
) -> BuildRun:
    """Run `command` in `folder`; RefusedError with the end of its output when it fails or takes too long.

    `python3` is this interpreter's own, so that a build sees the libraries the product was installed with.
    """
    mark = uuid.uuid4().hex
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="redstart-home-") as home, log.open("wb") as output:
        process = _start(command, folder, output.fileno(), {**_clean(home), **(environment or {}), MARK: mark})
        try:
            status: int | None = process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            _end(process, mark)
    seconds = time.monotonic() - started
    if status == 0:
        return BuildRun(seconds, log)
    said = f"ended with status {status}" if status is not None else f"was ended after {timeout_seconds:g} s"
    raise RefusedError(f"`{' '.join(command)}` {said}:\n{log_tail(log)}")


def log_tail(log: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


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


def _start(
    command: Sequence[str], folder: Path, output: int, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603 - the application's own command, as a list, without a shell
            list(command),
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise RefusedError(f"`{' '.join(command)}` cannot be started: {error}") from error


def _end(process: subprocess.Popen[bytes], mark: str) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
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
