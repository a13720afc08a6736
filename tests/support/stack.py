"""A whole stack of its own for a test session: other ports, other addresses, a 60 s soak."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import httpx

from include.services.processes import marked_pids
from include.services.settings import Settings

if TYPE_CHECKING:
    from redstart.cli.demo import Demo

ROOT = Path(__file__).resolve().parents[2]


def wait_for(condition: Callable[[], Any], seconds: float, what: str, every: float = 0.3) -> Any:
    """The first true answer; AssertionError naming `what` when there is none in time. No connection: not yet."""
    deadline = time.monotonic() + seconds
    while True:
        with suppress(httpx.TransportError):
            if answer := condition():
                return answer
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(every)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def stack_environment(home: Path, *, octet: int, soak_seconds: int = 60, evidence: str = "test") -> dict[str, str]:
    """REDSTART_* variables of a stack that disturbs no other."""
    return {
        "REDSTART_HOME": str(home),
        "REDSTART_CLOUD_PORT": str(free_port()),
        "REDSTART_TRAFFIC_PORT": str(free_port()),
        "REDSTART_AIRFLOW_PORT": str(free_port()),
        "REDSTART_NETWORK_OCTET": str(octet),
        "REDSTART_SOAK_SECONDS": str(soak_seconds),
        "REDSTART_WATCH_SECONDS": "20",
        "REDSTART_EVIDENCE": evidence,
    }


@contextmanager
def running_demo(environment: Mapping[str, str]) -> Iterator[Demo]:
    """The demo's stack, up, and ended afterwards however the tests went."""
    from rich.console import Console

    from redstart.cli.demo import Demo

    # The demo puts the stack's connections there, where the next test's commands would find them.
    with patch.dict(os.environ, environment):
        demo = Demo(Settings(), Console(width=160))
        try:
            demo.start()
            yield demo
        finally:
            demo.stack.stop()


def task_process(demo: Demo, instance_id: str) -> int:
    """The process that runs this task instance now, 0 while there is none.

    Its title names the instance; so does that of the executor's worker, its parent, which is not meant.
    """
    stack = str(demo.stack.state()["stack"])
    titles = {pid: _read(pid, "cmdline") for pid in marked_pids(stack)}
    return next((pid for pid, title in titles.items() if instance_id.encode() in title and b"Executor" not in title), 0)


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


@dataclass
class CommandLine:
    """`python -m redstart.cli` as a user runs it."""

    environment: Mapping[str, str]

    def start(self, *arguments: str, output: Path) -> subprocess.Popen[bytes]:
        with output.open("wb") as file:
            return subprocess.Popen(
                [sys.executable, "-m", "redstart.cli", *arguments],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}", **self.environment},
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def run(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "redstart.cli", *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}", **self.environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )


def listeners(pids: set[int]) -> set[str]:
    """Addresses (dotted) on which any of these processes listens, IPv4 and IPv6."""
    inodes = set()
    for pid in pids:
        try:
            for link in Path(f"/proc/{pid}/fd").iterdir():
                target = str(link.readlink())
                if target.startswith("socket:["):
                    inodes.add(target[8:-1])
        except OSError:
            continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                found.add(_address(fields[1].split(":")[0]))
    return found


def _address(text: str) -> str:
    raw = bytes.fromhex(text)
    if len(raw) == 4:
        return socket.inet_ntoa(raw[::-1])
    return socket.inet_ntop(socket.AF_INET6, b"".join(raw[i : i + 4][::-1] for i in range(0, 16, 4)))
