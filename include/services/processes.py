"""What the supervisor needs of Linux: parent-death signals, a stack's marker, and ending all that carries it."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

MARKER = "REDSTART_STACK"
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(death_signal: int = signal.SIGTERM) -> Callable[[], None]:
    """A `preexec_fn`: the child gets `death_signal` when its parent dies, and starts a session of its own."""
    parent = os.getpid()

    def prepare() -> None:
        os.setsid()
        _libc.prctl(_PR_SET_PDEATHSIG, death_signal)
        if os.getppid() != parent:  # the parent died between fork and prctl
            os.kill(os.getpid(), signal.SIGKILL)

    return prepare


def marked_pids(stack: str, *, spare: frozenset[int] = frozenset()) -> Iterator[int]:
    """Ids of all processes (but those in `spare` and this one) whose environment carries the stack's marker."""
    needle = f"{MARKER}={stack}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) in spare or int(entry.name) == os.getpid():
            continue
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z" and needle in environment:
            yield int(entry.name)


def end_marked(stack: str, *, grace_seconds: float, spare: frozenset[int] = frozenset()) -> int:
    """End every process of the stack: SIGTERM, then SIGKILL after the grace; returns how many needed SIGKILL."""
    for pid in marked_pids(stack, spare=spare):
        _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    while time.monotonic() < deadline and any(marked_pids(stack, spare=spare)):
        time.sleep(0.1)
    killed = 0
    # Repeated, since a dying parent may have forked between the look and the signal.
    for _ in range(50):
        rest = list(marked_pids(stack, spare=spare))
        if not rest:
            break
        killed += sum(_signal(pid, signal.SIGKILL) for pid in rest)
        time.sleep(0.05)
    return killed


def _signal(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def is_alive(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
