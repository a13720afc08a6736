"""Run a command that dies with its parent: `bound_command` wraps it in this file, run as a script.

    python -S -E -I parent_death.py <parent pid> <command> ...

The signal (SIGKILL) comes when the *thread* ends which started the command, so that must be one that lives as long
as the command shall. A `preexec_fn` would do without a script, but is not safe in a process with other threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1


def bound_command(command: Sequence[str]) -> list[str]:
    """`command`, bound to the life of the calling thread; to be started by that thread."""
    return [sys.executable, "-S", "-E", "-I", os.path.abspath(__file__), str(os.getpid()), *command]  # noqa: PTH100


def main(arguments: list[str]) -> None:
    parent, command = int(arguments[0]), arguments[1:]
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the signal was asked for
        sys.exit(1)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    os.execv(command[0], command)  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    main(sys.argv[1:])
