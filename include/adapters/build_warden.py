"""Runs one command and outlives all that it started. A program of its own, run by build_process.

    python3 -I -S build_warden.py RESULT_FD PARENT_PID MOST_FILE_BYTES COMMAND...

What a command leaves behind, in a session of its own or forked twice, becomes this process's child (Linux: child
subreaper) whatever its environment says, and is killed when the command has ended, when SIGTERM says so, or when the
process that began it all has died. No file that the command writes grows over MOST_FILE_BYTES (SIGXFSZ, or EFBIG
where that is ignored). The result is a line of JSON: {"status": ...}, or {"problem": ...} where the
command could not be started. Standard library only.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
LIMIT_SECONDS = 10.0
STOPPED = 143


class _StopError(Exception):
    """It is to end now."""


def main(arguments: list[str]) -> int:
    result, parent, most_bytes = map(int, arguments[:3])
    command = arguments[3:]
    os.set_inheritable(result, False)
    signal.signal(signal.SIGTERM, _stop)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) or libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0):
        return _say(result, problem=f"prctl: {os.strerror(ctypes.get_errno())}")
    try:
        if os.getppid() != parent:  # it died before we asked to hear of it
            return STOPPED
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603
        status = _await(process.pid)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        return _say(result, status=status)
    except OSError as error:
        return _say(result, problem=str(error))
    except _StopError:
        return STOPPED
    finally:
        end_descendants()


def _stop(_number: int, _frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _StopError


def _await(pid: int) -> int:
    """The command's exit status (-9: killed by signal 9); meanwhile orphans that end are buried."""
    while True:
        ended, status = os.wait()
        if ended == pid:
            return os.waitstatus_to_exitcode(status)


def end_descendants() -> None:
    """Kill all below this process. One that forks while the list is read is seen at the next look."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline:
        left = descendants(os.getpid())
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        if not left:
            time.sleep(0.001)


def descendants(root: int) -> list[int]:
    """Ids of all processes below `root`, from one look at /proc."""
    children: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with suppress(OSError):
                fields = Path(entry.path, "stat").read_text(errors="replace").rpartition(")")[2].split()
                if fields[0] != "Z":
                    children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, look = [], [root]
    while look:
        below = children.get(look.pop(), [])
        found += below
        look += below
    return found


def _say(result: int, **words: object) -> int:
    os.write(result, json.dumps(words).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
