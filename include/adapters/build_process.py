"""Runs an application's own command in a clean directory with a clean environment, and leaves nothing running.

A command inherits no variable of ours: no credential, no setting, no home. Its output goes to a file without a name,
that it can neither swap nor fill without end. Whatever it started is ended with it, wherever that has gone
(build_warden.py), also when this process is killed; and should the command end its warden, by a mark in the
environment.

This keeps mistakes apart, and is no wall: the command is the worker's own user, may read what that user may (our files,
/proc/<worker>/environ), and what it hides from the mark after it has killed its warden stays. Where the commits are not
trusted that far, run workers in containers.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from include.errors import RefusedError

MARK = "REDSTART_BUILD"
WARDEN = Path(__file__).with_name("build_warden.py")
WARDEN_SECONDS = 15.0
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
TAIL_LINES = 25
MOST_TAIL_BYTES = 64 * 1024
MOST_LOG_BYTES = 4 * 1024 * 1024
MOST_FILE_BYTES = 2 * 1024**3
"""Of any one file that a command writes, its output among them: a talkative build shares its disk with the ledger."""
TOO_LARGE = (-signal.SIGXFSZ, 128 + signal.SIGXFSZ)  # itself, or the last that a shell ran

Keep = Callable[[bytes], None]


@dataclass(frozen=True)
class CommandEnd:
    """How a command ended: its exit status, or None where it was ended at its time limit; and its output's last lines.

    `filled_bytes`: the size at which a file of its could grow no more, where one came to it; else 0.
    """

    command: tuple[str, ...]
    status: int | None
    seconds: float
    limit_seconds: float
    tail: str
    filled_bytes: int = 0

    @property
    def words(self) -> str:
        """What was run and how it ended, without a full stop."""
        full = ""
        if self.filled_bytes:
            most = f"{self.filled_bytes / 2**20:g} MB"
            full = f"; its output, or a file that it wrote, came to {most}, the most that one may have"
        return f"`{' '.join(self.command)}` {self._end}{full}"

    @property
    def _end(self) -> str:
        if self.status is None:
            return f"was ended after {self.limit_seconds:g} s, its time limit"
        if self.status < 0:
            return f"was killed by signal {-self.status}"
        return f"ended with status {self.status}"


def run_command(
    command: Sequence[str], folder: Path, *, timeout_seconds: float, environment: Mapping[str, str] | None = None
) -> CommandEnd:
    """Run `command` in `folder`; RefusedError with the end of its output when it fails or takes too long."""
    end = end_of(command, folder, timeout_seconds=timeout_seconds, environment=environment)
    if end.status != 0:
        raise RefusedError(f"{end.words}:\n{end.tail}")
    return end


def end_of(
    command: Sequence[str],
    folder: Path,
    *,
    timeout_seconds: float,
    environment: Mapping[str, str] | None = None,
    keep: Keep | None = None,
) -> CommandEnd:
    """Run `command` in `folder` to its end, whichever that is; RefusedError where it cannot be started.

    `keep` is given its output, whatever came of it: all, or the two ends where it is over 4 MB. `python3` is this
    interpreter's own, so that a build sees the libraries the product was installed with.
    """
    mark, most_bytes = uuid.uuid4().hex, _most_file_bytes()
    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="redstart-home-", ignore_cleanup_errors=True) as home,
        tempfile.TemporaryFile() as output,
    ):
        told = {**_clean(home), **(environment or {}), MARK: mark}
        try:
            status = _watch(command, folder, output.fileno(), told, timeout_seconds, most_bytes)
        finally:
            if keep is not None:
                keep(read_log(output))
        is_full = status in TOO_LARGE or _size(output) >= most_bytes
        seconds, filled = time.monotonic() - started, most_bytes if is_full else 0
        return CommandEnd(tuple(command), status, seconds, timeout_seconds, log_tail(output), filled)


def log_tail(log: IO[bytes], lines: int = TAIL_LINES) -> str:
    """The last lines of a log."""
    log.seek(max(_size(log) - MOST_TAIL_BYTES, 0))
    return "\n".join(log.read(MOST_TAIL_BYTES).decode("utf-8", "replace").splitlines()[-lines:])


def read_log(log: IO[bytes]) -> bytes:
    """What is worth keeping of a log: all of it, or its two ends where it is over 4 MB."""
    size = _size(log)
    log.seek(0)
    if size <= MOST_LOG_BYTES:
        return log.read(MOST_LOG_BYTES)
    first = log.read(MOST_LOG_BYTES // 4)
    log.seek(size - MOST_LOG_BYTES * 3 // 4)
    left_out = size - MOST_LOG_BYTES
    return first + f"\n\n... {left_out} bytes are left out here ...\n\n".encode() + log.read(MOST_LOG_BYTES * 3 // 4)


def _size(log: IO[bytes]) -> int:
    return os.fstat(log.fileno()).st_size


def _most_file_bytes() -> int:
    """A lower limit of this machine's own goes before ours."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    return MOST_FILE_BYTES if hard == resource.RLIM_INFINITY else min(MOST_FILE_BYTES, hard)


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
    command: Sequence[str],
    folder: Path,
    output: int,
    environment: Mapping[str, str],
    timeout_seconds: float,
    most_bytes: int,
) -> int | None:
    """The command's exit status; None where it was ended. Nothing that it started is left."""
    reading, writing = os.pipe()
    numbers = [str(writing), str(os.getpid()), str(most_bytes)]
    with os.fdopen(reading, "rb") as result:
        try:
            warden = subprocess.Popen(  # noqa: S603 - the application's own command, as a list, without a shell
                [sys.executable, "-I", "-S", str(WARDEN), *numbers, *command],
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
