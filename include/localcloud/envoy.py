"""A router as a real Envoy: one process per account and region, told what to do by files that it watches.

One thread per router starts Envoy, restarts it, moves its configuration in an order that loses no request, and
asks its admin API. `apply` only leaves the wish and wakes that thread (weights reach traffic some 10 ms later).
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from include.errors import RefusedError
from include.localcloud.envoy_files import EnvoyFiles, routes_version
from include.localcloud.envoy_process import EnvoyProcess
from include.localcloud.envoy_stats import COUNTS_PATH, HEALTH_PATH, AdminApi, CountLog, HealthLog
from include.localcloud.seams import ListenerSpec, TargetGroupCounts, TargetGroupSpec, TargetHealth

log = logging.getLogger(__name__)

LOOPBACK = IPv4Network("127.0.0.0/8")
HEALTH_SECONDS = 0.25
COUNTS_SECONDS = 1.0
SLOWEST_SECONDS = 3.0
POLL_SHARE = 0.05  # of the time at most, for each of the two questions
ACCEPT_SECONDS = 2.0
RESTART_SECONDS = 0.05
RESTART_AGAIN_SECONDS = 0.5  # for an Envoy that did not live for long
SHORT_LIFE_SECONDS = 3.0


class EnvoyRouter:
    """The `Router` of seams.py. `folder` is its own; `admin` is the address and port of Envoy's admin API.

    Envoy is started by the first `apply` that has a listener. Listeners and admin API are on 127.x only; an address
    elsewhere, or one that is in use, raises RefusedError.
    """

    def __init__(self, name: str, folder: Path, admin: tuple[str, int]) -> None:
        self._name, self._folder, self._admin_address = name, folder.resolve(), admin
        self._lock = threading.Lock()
        self._groups: tuple[TargetGroupSpec, ...] = ()
        self._listeners: tuple[ListenerSpec, ...] = ()
        self._is_closed = False
        self._thread: threading.Thread | None = None
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._files = EnvoyFiles(self._folder)
        self._envoy: EnvoyProcess | None = None
        self._admin = AdminApi(admin)
        self._health, self._counts = HealthLog(), CountLog()
        self._polls = (_Poll(HEALTH_SECONDS, self._ask_health), _Poll(COUNTS_SECONDS, self._ask_counts))

    def apply(self, target_groups: Sequence[TargetGroupSpec], listeners: Sequence[ListenerSpec]) -> None:
        groups = tuple(sorted(target_groups, key=lambda group: group.name))
        wished = tuple(sorted(listeners, key=lambda listener: listener.name))
        with self._lock:
            if self._is_closed or (groups, wished) == (self._groups, self._listeners):
                return
            _check_addresses(wished, self._listeners)
            if self._thread is None and wished:
                _check_free(*self._admin_address)
            self._groups, self._listeners = groups, wished
            if self._thread is None and wished:
                self._thread = threading.Thread(target=self._work, name=f"envoy {self._name}", daemon=True)
                self._thread.start()
        self._wake()

    def health(self) -> Mapping[tuple[str, str], TargetHealth]:
        return self._health.known

    def counts(self) -> Mapping[str, TargetGroupCounts]:
        """As of the last reading, some 1 s ago; what a killed Envoy counted after its last reading is lost."""
        with self._lock:
            return self._counts.totals()

    def close(self) -> None:
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            thread = self._thread
        self._wake()
        if thread:
            thread.join()
        self._admin.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _wake(self) -> None:
        with suppress(OSError):  # the pipe is full: it will wake
            os.write(self._wake_write, b"x")

    def _work(self) -> None:
        while not self._is_closed:
            try:
                envoy = self._running_envoy()
                self._reconcile()
                for poll in self._polls:
                    poll.ask_if_due()
                envoy.wait_for_end_or(self._wake_read, min(poll.due_at for poll in self._polls) - time.monotonic())
            except OSError as error:  # the admin API of an Envoy that is just starting, or was killed
                log.debug("router %s: %s", self._name, error)
                time.sleep(RESTART_SECONDS)
            except Exception:  # a router without its thread would be a router without its Envoy
                log.exception("router %s", self._name)
                time.sleep(RESTART_AGAIN_SECONDS)
            with suppress(BlockingIOError):
                os.read(self._wake_read, 4096)
        if self._envoy:
            self._envoy.end()

    def _running_envoy(self) -> EnvoyProcess:
        """The Envoy that runs, or a new one: its whole configuration is in its files before it starts."""
        if self._envoy is not None:
            if (status := self._envoy.exit_status()) is None:
                return self._envoy
            log.warning("router %s: Envoy ended with status %s and is started again", self._name, status)
            is_again = self._envoy.uptime_seconds < SHORT_LIFE_SECONDS
            self._envoy.end()
            self._envoy = None
            with self._lock:
                self._counts.restarted()
            time.sleep(RESTART_AGAIN_SECONDS if is_again else RESTART_SECONDS)
        with self._lock:
            groups, listeners = self._groups, self._listeners
        bootstrap = self._files.write_bootstrap(self._name, self._admin_address)
        self._files.write_groups(groups)
        self._files.write_listeners(listeners)
        self._health.restarted()
        self._envoy = EnvoyProcess(bootstrap, self._folder / "envoy.log")
        return self._envoy

    def _reconcile(self) -> None:
        """Bring the files to the wish: new groups, then routes, and old groups away when no route leads there.

        Envoy watches each file by itself, so that a later file may be read before an earlier one; a request on its
        way to a group that is gone would be answered with 503. A new group needs no such care: until a target of
        it has passed a check the answer is 503 anyway.
        """
        with self._lock:
            groups, listeners = self._groups, self._listeners
        names = {group.name for group in groups}
        leaving = [group for name, group in self._files.groups.items() if name not in names]
        self._files.write_groups((*groups, *leaving))
        for name, version in self._files.write_listeners(listeners).items():
            if leaving:
                self._await_version(routes_version(name), version)
        if leaving:
            with suppress(OSError):
                self._ask_counts()
            self._files.write_groups(groups)

    def _await_version(self, statistic: str, version: str) -> None:
        deadline = time.monotonic() + ACCEPT_SECONDS
        while time.monotonic() < deadline and not self._is_closed:
            if self._envoy is None or self._envoy.exit_status() is not None:
                return
            with suppress(OSError):
                if self._admin.text(statistic) == version:
                    return
            time.sleep(0.005)
        log.warning("router %s: Envoy did not take version %s of %s", self._name, version, statistic)

    def _ask_health(self) -> None:
        answer = self._admin.get(HEALTH_PATH)
        with self._lock:
            groups = self._groups
        self._health.take(answer, groups, uptime_seconds=self._envoy.uptime_seconds if self._envoy else 0.0)

    def _ask_counts(self) -> None:
        answer = self._admin.get(COUNTS_PATH)
        with self._lock:
            self._counts.take(answer)


class EnvoyRouters:
    """The `RouterFactory` of seams.py: one router per account and region, however often it is asked for.

    `admin_address` says where the admin API of an account's region listens.
    """

    def __init__(self, home: Path, admin_address: Callable[[str, str], tuple[str, int]]) -> None:
        self._home, self._admin_address = home, admin_address
        self._lock = threading.Lock()
        self._routers: dict[tuple[str, str], EnvoyRouter] = {}

    def __call__(self, account_id: str, region: str) -> EnvoyRouter:
        with self._lock:
            router = self._routers.get((account_id, region))
            if router is None:
                name = f"{account_id}-{region}"
                router = EnvoyRouter(name, self._home / "envoy" / name, self._admin_address(account_id, region))
                self._routers[account_id, region] = router
            return router

    def close(self) -> None:
        with self._lock:
            routers, self._routers = list(self._routers.values()), {}
        for router in routers:
            router.close()


class _Poll:
    """A question asked every `seconds`, less often where its answer takes more than its share of the time."""

    def __init__(self, seconds: float, ask: Callable[[], None]) -> None:
        self._seconds, self._ask = seconds, ask
        self.due_at = 0.0

    def ask_if_due(self) -> None:
        begun_at = time.monotonic()
        if begun_at < self.due_at:
            return
        self._ask()
        took = time.monotonic() - begun_at
        self.due_at = begun_at + min(SLOWEST_SECONDS, max(self._seconds, took / POLL_SHARE))


def _check_addresses(wished: Sequence[ListenerSpec], present: Sequence[ListenerSpec]) -> None:
    bound = {(listener.address, listener.port) for listener in present}
    for listener in wished:
        if (listener.address, listener.port) not in bound:
            _check_free(listener.address, listener.port)


def _check_free(address: str, port: int) -> None:
    if IPv4Address(address) not in LOOPBACK:
        raise RefusedError(f"{address}:{port} cannot be used by the router: it is not in {LOOPBACK}")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise RefusedError(f"{address}:{port} cannot be used by the router: {error.strerror}") from error
