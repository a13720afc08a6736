"""The warden of one machine: boots it, keeps its console, and ends every process of it. Run as a script, alone.

    python -S -E -I machine_boot.py <control fd> <parent pid> <content folder> <boot s> <user data limit s> <grace s>

It uses only the standard library, and little of it, since one runs per machine. Its environment is the machine's
(INSTANCE_ROOT is the machine's disk). Over the control socket it gets 8 bytes of length and the user data, later
the orders `s` (stop) and `k` (kill); it says `running` and `off`, a line each.

It is the reaper of all its descendants, so what a machine starts in the background cannot leave it. It watches its
parent by a pidfd and the control socket, not by a parent-death signal: that is sent when the *thread* ends which
made the child, and kills without leaving time to end the others. Its own children carry one, should it be killed.
"""

# pathlib would cost every machine a megabyte.
# ruff: noqa: PTH101, PTH103, PTH108, PTH118, PTH123, PTH208

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import time
from collections.abc import Callable

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
CONSOLE_CAP_BYTES = 1_000_000
READ_BYTES = 65_536
LAST_WAIT_SECONDS = 0.1
NEEDED_FOLDERS = ("run", "tmp", "root", "var/log", "var/lib/cloud/instance")

libc = ctypes.CDLL(None)


class PoweredOff(Exception):
    """The machine is to go down; raised out of whatever the boot was waiting for."""


class Console:
    """var/log/console.log: what the machine prints, the newest half kept when it reaches its cap."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._size = os.fstat(self._fd).st_size
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.read_end, False)

    def say(self, line: str) -> None:
        self._write(f"[machine] {line}\n".encode())

    def drain(self) -> None:
        """Move one reading of what processes printed into the log."""
        try:
            self._write(os.read(self.read_end, READ_BYTES))
        except BlockingIOError:
            return

    def drain_all(self) -> None:
        while select.select([self.read_end], [], [], 0)[0]:
            self.drain()

    def _write(self, data: bytes) -> None:
        if self._size + len(data) > CONSOLE_CAP_BYTES:
            kept = os.pread(self._fd, CONSOLE_CAP_BYTES // 2, self._size - CONSOLE_CAP_BYTES // 2)
            os.ftruncate(self._fd, 0)
            self._size = os.write(self._fd, b"[machine] older lines were dropped\n" + kept)
        self._size += os.write(self._fd, data)


class Warden:
    """One machine's life: `live()` returns when nothing of it runs any more."""

    def __init__(self, control: int, parent: int, content: str, times: tuple[float, float, float]) -> None:
        self._control, self._content = control, content
        self._boot_seconds, self._limit_seconds, self._grace_seconds = times
        self._root = os.environ["INSTANCE_ROOT"]
        self._off_at: float | None = None
        self._ended: dict[int, int] = {}
        for folder in NEEDED_FOLDERS:
            os.makedirs(os.path.join(self._root, folder), exist_ok=True)
        self._console = Console(os.path.join(self._root, "var/log/console.log"))
        self._signals = self._catch_signals()
        self._power = self._open_power()
        self._poll = select.poll()
        for fd in (control, self._signals, self._power, self._console.read_end):
            self._poll.register(fd, select.POLLIN)
        self._parent = self._watch_parent(parent)

    def live(self) -> None:
        user_data = self._receive_user_data()
        try:
            self._boot(user_data)
        except PoweredOff:
            pass
        except OSError as error:
            self._console.say(f"boot failed: {error}")
        self._end_everything()
        self._console.drain_all()
        self._console.say("powered off")
        self._report("off")

    def _boot(self, user_data: bytes) -> None:
        ready_at = time.monotonic() + self._boot_seconds
        if self._run(["cp", "-a", "--reflink=auto", "--", self._content + "/.", self._root], None) != 0:
            self._console.say("the image's content could not be copied")
            return
        self._wait(lambda: time.monotonic() >= ready_at, ready_at)
        if user_data.startswith(b"#!"):
            self._run_user_data(user_data)
        elif user_data:
            self._console.say("user data does not start with #!: not run")
        init = self._spawn([os.path.join(self._root, "sbin/init")])
        self._report("running")
        self._wait(lambda: init in self._ended, None)
        self._console.say(f"init ended with status {os.waitstatus_to_exitcode(self._ended[init])}")

    def _run_user_data(self, user_data: bytes) -> None:
        path = os.path.join(self._root, "var/lib/cloud/instance/user-data.txt")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o700), "wb") as file:
            file.write(user_data)
        os.chmod(path, 0o700)
        status = self._run([path], self._limit_seconds)
        if status is None:
            self._console.say(f"user data did not end within {self._limit_seconds:g} s: killed, machine stopped")
            self._order_off(0)
            raise PoweredOff
        self._console.say(f"user data ended with status {status}")

    def _run(self, argv: list[str], limit_seconds: float | None) -> int | None:
        """Exit status, or None when the time was up (the process still runs then)."""
        deadline = None if limit_seconds is None else time.monotonic() + limit_seconds
        pid = self._spawn(argv)
        if not self._wait(lambda: pid in self._ended, deadline):
            return None
        return os.waitstatus_to_exitcode(self._ended[pid])

    def _spawn(self, argv: list[str]) -> int:
        warden = os.getpid()
        pid = os.fork()
        if pid:
            return pid
        try:
            os.setsid()  # a group of its own: `kill 0` on the machine must not reach the warden
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != warden:
                os._exit(1)
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and that would be inherited
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(self._console.write_end, 1)
            os.dup2(self._console.write_end, 2)
            os.chdir(self._root)
            os.execvp(argv[0], argv)  # noqa: S606
        except OSError as error:
            os.write(2, f"[machine] {argv[0]}: {error.strerror}\n".encode())
        finally:
            os._exit(127)

    def _end_everything(self) -> None:
        """SIGTERM and patience until `_off_at`, then SIGKILL until not one descendant is left."""
        if self._off_at is not None and self._off_at > time.monotonic():
            _signal_descendants(signal.SIGTERM)
            while self._has_children() and (patience := self._off_at - time.monotonic()) > 0:
                self._turn(patience)
        while self._has_children():
            _signal_descendants(signal.SIGKILL)
            self._turn(LAST_WAIT_SECONDS)

    def _has_children(self) -> bool:
        try:
            self._reap()
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
        return True

    def _reap(self) -> None:
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self._ended[pid] = status

    def _wait(self, is_met: Callable[[], bool], deadline: float | None) -> bool:
        """Turn until `is_met` (True) or the deadline (False); an order to go down raises PoweredOff."""
        while not is_met():
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return False
            self._turn(left)
            if self._off_at is not None:
                raise PoweredOff
        return True

    def _turn(self, timeout_seconds: float | None) -> None:
        timeout_ms = None if timeout_seconds is None else max(0, int(timeout_seconds * 1000) + 1)
        for fd, _ in self._poll.poll(timeout_ms):
            if fd == self._console.read_end:
                self._console.drain()
            elif fd == self._signals:
                self._take_signals()
            elif fd == self._power:
                os.read(self._power, READ_BYTES)
                self._console.say("shutdown")
                self._order_off(self._grace_seconds)
            elif fd == self._control:
                self._take_order()
            else:  # the parent ended
                self._poll.unregister(fd)
                self._order_off(0)

    def _take_signals(self) -> None:
        if signal.SIGTERM in os.read(self._signals, READ_BYTES):
            self._order_off(self._grace_seconds)
        try:
            self._reap()
        except ChildProcessError:
            return

    def _take_order(self) -> None:
        try:
            order = os.read(self._control, 16)
        except ConnectionError:
            order = b""
        if not order:
            self._poll.unregister(self._control)
        self._order_off(self._grace_seconds if order == b"s" else 0)

    def _order_off(self, grace_seconds: float) -> None:
        at = time.monotonic() + grace_seconds
        self._off_at = at if self._off_at is None else min(self._off_at, at)

    def _receive_user_data(self) -> bytes:
        length, data = -1, b""
        while length < 0 or len(data) < length:
            part = os.read(self._control, READ_BYTES)
            if not part:
                os._exit(1)  # the parent is gone, and nothing was started yet
            data += part
            if length < 0 and len(data) >= 8:
                length, data = int.from_bytes(data[:8], "big"), data[8:]
        return data

    def _report(self, word: str) -> None:
        try:
            os.write(self._control, f"{word}\n".encode())
        except OSError:
            return  # the parent is gone: the poll says so too

    def _open_power(self) -> int:
        """The pipe into which sbin/shutdown writes; read-write, so that it never reports an end of file."""
        path = os.path.join(self._root, "run/power")
        if os.path.lexists(path):
            os.unlink(path)
        os.mkfifo(path, 0o600)
        return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def _watch_parent(self, parent: int) -> int:
        try:
            fd = os.pidfd_open(parent)
        except OSError:  # no such process, or a kernel without pidfds: the control socket's end tells as well
            return -1
        self._poll.register(fd, select.POLLIN)
        return fd

    def _catch_signals(self) -> int:
        read_end, write_end = os.pipe()
        os.set_blocking(read_end, False)
        os.set_blocking(write_end, False)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        return read_end


def _signal_descendants(number: int) -> None:
    for pid in _descendants(os.getpid()):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _descendants(ancestor: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    parent = int(file.read().rpartition(b")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(name))
    found, frontier = [], [ancestor]
    while frontier:
        offspring = children.get(frontier.pop(), [])
        found += offspring
        frontier += offspring
    return found


def main(arguments: list[str]) -> None:
    control, parent = int(arguments[0]), int(arguments[1])
    boot_seconds, limit_seconds, grace_seconds = (float(value) for value in arguments[3:6])
    os.set_inheritable(control, False)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    os.environ.pop("LC_CTYPE", None)  # put there by this interpreter's own start
    Warden(control, parent, arguments[2], (boot_seconds, limit_seconds, grace_seconds)).live()


if __name__ == "__main__":
    main(sys.argv[1:])
