"""Machines as real processes: each boots from its own copy of an image's content, under a warden of its own.

The warden (`machine_boot.py`) does the work; here is only what the local cloud knows of it. One thread hears what
all wardens say, one other thread deletes disks; a machine costs no thread.
"""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from include.errors import RefusedError
from include.localcloud.images import ContentStore
from include.localcloud.seams import MachineSpec, MachineState

WARDEN = Path(__file__).with_name("machine_boot.py")
STACK_MARKER = "REDSTART_STACK"
NOT_KEPT = ("run", "tmp", "var/log")
KILL_WAIT_SECONDS = 5.0
CLOSE_WAIT_SECONDS = 20.0
STOP, KILL = b"s", b"k"


@dataclass(eq=False)
class _Machine:
    spec: MachineSpec
    root: Path
    process: subprocess.Popen[bytes]
    control: socket.socket
    state: MachineState = "booting"
    is_terminating: bool = False
    said: bytes = b""
    ended: threading.Event = field(default_factory=threading.Event)


class ProcessMachines:
    """The `Machines` of seams.py over `home/instances/<id>/`; one owner per home at a time.

    `boot_seconds` is asked at each launch for the least time between launch and user data. A new owner first ends
    what an earlier one may have left and deletes its disks. User data that fails does not stop the boot, as on EC2;
    user data that is not done after `user_data_limit_seconds` does. Terminating gives processes the same
    `stop_grace_seconds` as stopping; the state becomes `terminated` when they are gone.
    """

    def __init__(
        self,
        store: ContentStore,
        home: Path,
        cloud_url: str,
        boot_seconds: Callable[[MachineSpec], float],
        *,
        user_data_limit_seconds: float = 120.0,
        stop_grace_seconds: float = 5.0,
    ) -> None:
        self._store, self._cloud_url, self._boot_seconds = store, cloud_url.rstrip("/"), boot_seconds
        self._limit_seconds, self._grace_seconds = user_data_limit_seconds, stop_grace_seconds
        self._instances = home.resolve() / "instances"
        self._lock = threading.RLock()
        self._machines: dict[str, _Machine] = {}
        self._by_fd: dict[int, _Machine] = {}
        self._is_closed = False
        self._deleting = ThreadPoolExecutor(1, thread_name_prefix="disks")
        home.mkdir(parents=True, exist_ok=True)
        self._owner_lock = _take_ownership(home)
        self._clear_earlier_life(home)
        self._epoll = select.epoll()
        self._wake_read, self._wake_write = os.pipe()
        self._epoll.register(self._wake_read, select.EPOLLIN)
        self._listener = threading.Thread(target=self._listen, name="wardens", daemon=True)
        self._listener.start()

    def launch(self, spec: MachineSpec) -> None:
        """Start booting; returns at once. Unknown content raises RefusedError; a known machine is left as it is."""
        with self._lock:
            if spec.instance_id in self._machines:
                return
            if self._is_closed:
                raise RefusedError(f"{spec.instance_id} cannot be launched: the machines are closed")
            root = self._instances / spec.instance_id
            content = self._store.path(spec.content_id)
            root.mkdir(parents=True, exist_ok=True)
            machine = self._start_warden(spec, root, content)
            self._machines[spec.instance_id] = machine
            self._by_fd[machine.control.fileno()] = machine
            self._epoll.register(machine.control, select.EPOLLIN)
        with suppress(OSError):  # a warden that died already is seen by the listener
            machine.control.sendall(len(spec.user_data).to_bytes(8, "big") + spec.user_data)

    def state(self, instance_id: str) -> MachineState:
        machine = self._machines.get(instance_id)
        return machine.state if machine else "terminated"

    def stop(self, instance_id: str) -> None:
        """SIGTERM to all its processes, SIGKILL after the grace; returns at once."""
        if machine := self._machines.get(instance_id):
            self._order(machine, STOP)

    def terminate(self, instance_id: str) -> None:
        """As stop, then its disk is deleted in the background."""
        with self._lock:
            machine = self._machines.get(instance_id)
            if machine is None or machine.is_terminating:
                return
            machine.is_terminating = True
            if machine.ended.is_set():
                self._forget(machine)
                return
        self._order(machine, STOP)

    def kill(self, instance_id: str) -> None:
        """SIGKILL to all its processes; returns when they are gone."""
        if machine := self._machines.get(instance_id):
            self._order(machine, KILL)
            if not machine.ended.wait(KILL_WAIT_SECONDS):  # the warden hangs: do without it
                machine.process.kill()
                machine.ended.wait(KILL_WAIT_SECONDS)

    def snapshot(self, instance_id: str) -> str:
        """Content id of what is on the disk now, without run/, tmp/ and var/log/; unknown or booting: RefusedError."""
        machine = self._machines.get(instance_id)
        if machine is None or machine.is_terminating or machine.state == "booting":
            raise RefusedError(f"{instance_id} is {self.state(instance_id)}: its disk cannot be kept")
        return self._store.add_tree(machine.root, without=NOT_KEPT)

    def console(self, instance_id: str) -> str:
        """What the machine printed last (at most 1 MB); empty for one that is unknown."""
        try:
            return (self._instances / instance_id / "var/log/console.log").read_text(errors="replace")
        except OSError:
            return ""

    def close(self) -> None:
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            machines = list(self._machines.values())
        for machine in machines:
            self._order(machine, KILL)
        deadline = time.monotonic() + CLOSE_WAIT_SECONDS
        for machine in machines:
            if not machine.ended.wait(max(0.0, deadline - time.monotonic())):
                machine.process.kill()
                machine.ended.wait(KILL_WAIT_SECONDS)
        os.write(self._wake_write, b"x")
        self._listener.join()
        self._epoll.close()
        for fd in (self._wake_read, self._wake_write, self._owner_lock):
            os.close(fd)
        self._deleting.shutdown(wait=False, cancel_futures=True)

    def _start_warden(self, spec: MachineSpec, root: Path, content: Path) -> _Machine:
        ours, theirs = socket.socketpair()
        times = (self._boot_seconds(spec), self._limit_seconds, self._grace_seconds)
        arguments = [str(theirs.fileno()), str(os.getpid()), str(content), *map(str, times)]
        try:
            process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-S", "-E", "-I", str(WARDEN), *arguments],
                env=machine_environment(spec, root, self._cloud_url),
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                cwd=root,
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        return _Machine(spec, root, process, ours)

    def _order(self, machine: _Machine, order: bytes) -> None:
        with suppress(OSError):  # it ended meanwhile
            machine.control.send(order)

    def _listen(self) -> None:
        while True:
            for fd, _ in self._epoll.poll():
                if fd == self._wake_read:
                    return
                machine = self._by_fd[fd]
                try:
                    data = machine.control.recv(4096)
                except ConnectionError:
                    data = b""
                machine.said += data
                if not data:
                    self._settle(machine)
                elif machine.state == "booting" and b"running\n" in machine.said:
                    machine.state = "running"

    def _settle(self, machine: _Machine) -> None:
        """The warden ended: collect it, and make sure that nothing of the machine is left."""
        self._epoll.unregister(machine.control)
        with self._lock:
            del self._by_fd[machine.control.fileno()]
        machine.control.close()
        machine.process.wait()
        if b"off\n" not in machine.said:  # it was killed itself; its orphans are only known by their environment
            kill_marked(f"INSTANCE_ROOT={machine.root}".encode())
        with self._lock:
            machine.state = "stopped"
            machine.ended.set()
            if machine.is_terminating:
                self._forget(machine)

    def _forget(self, machine: _Machine) -> None:
        del self._machines[machine.spec.instance_id]
        machine.state = "terminated"
        # Renamed first: a machine launched again under this id must not find its disk half deleted.
        grave = self._instances / f".deleted-{uuid.uuid4().hex}"
        with suppress(OSError):
            machine.root.rename(grave)
            if not self._is_closed:
                self._deleting.submit(_delete, grave)

    def _clear_earlier_life(self, home: Path) -> None:
        kill_marked(f"INSTANCE_ROOT={self._instances}/".encode(), is_prefix=True)
        if self._instances.exists():
            grave = home / f".instances-{uuid.uuid4().hex}"
            self._instances.rename(grave)
        for grave in home.glob(".instances-*"):
            self._deleting.submit(_delete, grave)
        self._instances.mkdir()


def machine_environment(spec: MachineSpec, root: Path, cloud_url: str) -> dict[str, str]:
    """All that a machine's processes find in their environment.

    The host's sbin folders are left out of PATH, so that no user data can switch the host off; HOME keeps the AWS
    profile of whoever runs the local cloud out of the machine.
    """
    python = Path(sys.executable).parent
    environment = {
        "PATH": f"{python}:{root}/sbin:{root}/usr/local/bin:{root}/usr/bin:{root}/bin:/usr/local/bin:/usr/bin:/bin",
        "HOME": f"{root}/root",
        "AWS_ENDPOINT_URL": cloud_url,
        "AWS_REGION": spec.region,
        "AWS_DEFAULT_REGION": spec.region,
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"{cloud_url}/_localcloud/imds/{spec.instance_id}",
        "INSTANCE_ROOT": str(root),
    }
    if STACK_MARKER in os.environ:
        environment[STACK_MARKER] = os.environ[STACK_MARKER]
    return environment


def kill_marked(marker: bytes, *, is_prefix: bool = False) -> None:
    """SIGKILL every process whose environment holds this variable, until none is left (or 5 s are over)."""
    deadline = time.monotonic() + KILL_WAIT_SECONDS
    while pids := list(_marked(marker, is_prefix)):
        for pid in pids:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            return
        time.sleep(0.02)


def _marked(marker: bytes, is_prefix: bool) -> Iterator[int]:
    for entry in os.listdir("/proc"):  # noqa: PTH208 - hundreds of entries: plain strings are several times faster
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open(f"/proc/{entry}/environ", "rb") as file:  # noqa: PTH123
                variables = file.read().split(b"\0")
        except OSError:
            continue
        if any(item.startswith(marker) if is_prefix else item == marker for item in variables):
            yield int(entry)


def _take_ownership(home: Path) -> int:
    """Lock `home` for as long as this process lives; a second owner would end the first one's machines."""
    fd = os.open(home / "instances.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise RefusedError(f"another local cloud is running its machines under {home}") from None
    return fd


def _delete(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
