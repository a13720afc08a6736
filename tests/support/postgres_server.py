"""Debian's PostgreSQL on a socket of a temporary folder: no port, and nothing left when the tests are over."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from include.services.processes import die_with_parent
from tests.support.processes import wait_until

ABSENT = "Debian's PostgreSQL is not installed (apt-get install --no-install-recommends postgresql)"
UNPRIVILEGED = "nobody"  # the server refuses to run as root


def find_program(name: str) -> str | None:
    """The program on the PATH, or where Debian keeps it: beside the other versions."""
    kept = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(kept[-1]) if kept else None)


IS_HERE = bool(find_program("postgres") and find_program("initdb"))


@contextmanager
def serve_postgres() -> Iterator[str]:
    """The URL of its database `postgres`; other databases may be made in it."""
    with tempfile.TemporaryDirectory(prefix="redstart-pg-") as name:  # a socket's path has 107 characters at most
        folder, user = Path(name), "redstart"
        data, log = folder / "data", folder / "log"
        if os.geteuid() == 0:
            shutil.chown(folder, UNPRIVILEGED)
        _run("initdb", "-D", str(data), "-U", user, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        command = [str(find_program("postgres")), "-D", str(data), "-k", name]
        for setting in ("listen_addresses=", "fsync=off", "max_connections=60", "shared_buffers=16MB"):
            command += ["-c", setting]
        with log.open("w") as output:
            process = subprocess.Popen(
                command,
                stdout=output,
                stderr=output,
                cwd=name,
                preexec_fn=die_with_parent(signal.SIGQUIT),
                **_as_nobody(),
            )
        try:
            wait_until(lambda: _is_ready(process, data), seconds=60, what=f"ready, see {log}")
            yield f"postgresql://{user}@/postgres?host={name}"
        finally:
            process.send_signal(signal.SIGQUIT)
            process.wait(20)


def _is_ready(process: subprocess.Popen[bytes], data: Path) -> bool:
    assert process.poll() is None, f"postgres ended with {process.returncode}"
    pid_file = data / "postmaster.pid"
    return pid_file.exists() and pid_file.read_text().rstrip().endswith("ready")


def _run(program: str, *arguments: str) -> None:
    done = subprocess.run(
        [str(find_program(program)), *arguments], capture_output=True, text=True, cwd="/", timeout=120, **_as_nobody()
    )
    assert done.returncode == 0, done.stderr or done.stdout


def _as_nobody() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    return {"user": UNPRIVILEGED, "extra_groups": []}
