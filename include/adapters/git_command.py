"""Runs git: a list of arguments, few settings of our own, no question asked, and an end in sight.

Git runs in a session of its own under a mark that says until when. Whatever it has started (ssh, upload-pack, a hook)
is ended with it at its time-out, also what has left the session. What a killed worker leaves running is found by the
same mark, and ended by whoever comes next (`end_overdue`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from git import Git
from git.exc import GitCommandNotFound

from include.errors import ConfigError, RetryableError

# Nothing of the machine's own git settings, no question ever asked, no protocol that runs programs.
ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "/bin/false",
    "SSH_ASKPASS": "/bin/false",
    "GIT_ALLOW_PROTOCOL": "file:ssh:https",
    # A worker that was killed cannot end its git: a connection that is silent for a minute ends by itself.
    "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oConnectTimeout=10 -oServerAliveInterval=15 -oServerAliveCountMax=4",
    "LC_ALL": "C",
}
SETTINGS = (
    "core.hooksPath=/dev/null",
    "gc.autoDetach=false",
    "maintenance.autoDetach=false",
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=60",
)
# The worker's other variables stay here: they hold secrets, and in a git hook (GIT_DIR) another repository's name.
INHERITED = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
})  # fmt: skip
# Only ever a secret's name in an argument: the helper, which is git's own shell's, reads it from the environment.
LOGIN, PASSWORD = "REDSTART_GIT_LOGIN", "REDSTART_GIT_PASSWORD"
CREDENTIALS = (
    'credential.helper=!answer() { test "$1" = get && '
    f'printf "username=%s\\npassword=%s\\n" "${LOGIN}" "${PASSWORD}"; }}; answer'
)
MARK = "REDSTART_GIT"
GRACE_SECONDS = 2.0


class TimedOutError(RetryableError):
    """Git, and all that it had started, was ended at its time-out."""


@dataclass(frozen=True)
class Ended:
    """A git that came to its end. Bytes that are no UTF-8 (names of files) are shown as `\\xff`."""

    status: int
    output: str
    problem: str

    @property
    def words(self) -> str:
        """What it said, whatever the stream."""
        return (self.problem.strip() or self.output.strip()) or f"status {self.status}"


class GitCommand:
    """Git with one environment and time-out. LOGIN and PASSWORD in it are what https remotes are given."""

    def __init__(self, environment: Mapping[str, str], timeout_seconds: float) -> None:
        self.timeout_seconds = timeout_seconds
        self._environment = {**ENVIRONMENT, **environment}
        self._settings = (*SETTINGS, *([CREDENTIALS] if PASSWORD in environment else []))

    def run(
        self,
        *arguments: str,
        folder: Path | None = None,
        stdin: str | None = None,
        settings: Sequence[str] = (),
        held_open: Sequence[int] = (),
    ) -> Ended:
        """Git on the repository `folder`, or on none; any status is an answer. TimedOutError at the time-out.

        `held_open` are file descriptors that git keeps as long as it lives, such as a lock's.
        """
        where = [f"--git-dir={folder}"] if folder else []
        words = [word for setting in (*self._settings, *settings) for word in ("-c", setting)]
        return self.run_program(["git", *where, *words, *arguments], stdin=stdin, held_open=held_open)

    def run_program(self, command: Sequence[str], *, stdin: str | None = None, held_open: Sequence[int] = ()) -> Ended:
        """Git, or a program of its company, in the same environment."""
        # GitPython gives what it starts all of this process' environment: `env` takes away what is none of git's.
        surplus = [f"--unset={name}" for name in os.environ if name not in INHERITED and name not in self._environment]
        mark = f"{time.time() + self.timeout_seconds:.0f}:{uuid.uuid4().hex}"
        try:
            # Kept by name: GitPython ends the process when this goes.
            started = Git(tempfile.gettempdir()).execute(
                ["env", *surplus, *command],
                istream=None if stdin is None else subprocess.PIPE,
                env={**self._environment, MARK: mark},
                as_process=True,
                start_new_session=True,
                pass_fds=tuple(held_open),
            )
        except GitCommandNotFound as error:
            raise ConfigError("`env` and git cannot be started", source="the worker's PATH") from error
        process: subprocess.Popen[bytes] = started.proc
        given = None if stdin is None else stdin.encode(errors="replace")
        try:
            output, problem = process.communicate(given, self.timeout_seconds)
        except subprocess.TimeoutExpired:
            raise TimedOutError(f"no answer within {self.timeout_seconds:g} s") from None
        finally:
            _end(process, mark)
        return Ended(process.returncode, _text(output), _text(problem))


def end_overdue() -> int:
    """End every git of this user's that has outlived its time-out, its worker being dead; how many there were."""
    return _kill(pid for pid, mark in _marked() if float(mark.partition(":")[0]) + GRACE_SECONDS < time.time())


def _end(process: subprocess.Popen[bytes], mark: str) -> None:
    """Nothing to do for a process that has ended by itself; for any other, whatever the reason, all of it."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    # A child may fork while the list is read: go on until none is seen.
    for _ in range(20):
        if not _kill(pid for pid, found in _marked() if found == mark):
            break
        time.sleep(0.02)
    with suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=GRACE_SECONDS)


def _kill(pids: Iterable[int]) -> int:
    count = 0
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
            count += 1
    return count


def _marked() -> Iterator[tuple[int, str]]:
    """Processes that carry a mark, and the mark; a zombie's environment is empty."""
    wanted = f"{MARK}=".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                for variable in (entry / "environ").read_bytes().split(b"\0"):
                    if variable.startswith(wanted):
                        yield int(entry.name), variable[len(wanted) :].decode(errors="replace")


def _text(raw: Any) -> str:
    return bytes(raw or b"").decode("utf-8", errors="backslashreplace")
