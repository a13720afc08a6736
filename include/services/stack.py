"""The stack of one machine: local cloud, Airflow and traffic under one supervisor."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import signal
import socket
import sys
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType

import httpx

from include.errors import RedstartError, RefusedError
from include.services.airflow_env import airflow_environment
from include.services.processes import end_marked, is_alive
from include.services.settings import PROJECT, Settings
from include.services.supervisor import Part, Supervisor, write_state

STATE_FILE = "stack.json"


def module(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", name, *arguments]


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def cloud_phases(settings: Settings) -> list[list[Part]]:
    """Local cloud, then the world in it, then its traffic."""
    environment = {"PYTHONPATH": f"{PROJECT}:{PROJECT / 'plugins'}"}
    cloud = Part(
        "cloud",
        module("include.services.local_cloud"),
        environment,
        ready=lambda: answers(f"{settings.cloud_url}/_localcloud/health"),
        is_vital=True,
    )
    seed = Part("seed", module("include.services.seed"), environment, is_once=True, ready_seconds=180)
    traffic = Part(
        "traffic",
        module("include.services.traffic"),
        environment,
        ready=lambda: answers(f"{settings.traffic_url}/health"),
    )
    return [[cloud], [seed], [traffic]]


def airflow_parts(settings: Settings) -> tuple[Part, list[Part]]:
    """The database's migration, and the four components, as docker-compose.yaml runs them too."""
    environment = airflow_environment(settings)
    airflow = str(Path(sys.executable).parent / "airflow")
    migrate = Part("airflow-db", [airflow, "db", "migrate"], environment, is_once=True, ready_seconds=180)
    health = f"{settings.airflow_url}/api/v2/monitor/health"

    def component(name: str) -> bool:
        try:
            report = httpx.get(health, timeout=2).json()
        except (httpx.HTTPError, ValueError):
            return False
        return (report.get(name) or {}).get("status") == "healthy"

    # Task logs are read from disk; the log servers would listen on every address.
    commands = {
        "api-server": ["api-server"],
        "scheduler": ["scheduler", "--skip-serve-logs"],
        "dag-processor": ["dag-processor"],
        "triggerer": ["triggerer", "--skip-serve-logs"],
    }
    names = {
        "api-server": "metadatabase",
        "scheduler": "scheduler",
        "dag-processor": "dag_processor",
        "triggerer": "triggerer",
    }
    parts = [
        Part(
            name,
            [airflow, *arguments],
            environment,
            ready=partial(component, names[name]),
            ready_seconds=180,
        )
        for name, arguments in commands.items()
    ]
    return migrate, parts


def phases(settings: Settings, *, is_cloud_only: bool) -> list[list[Part]]:
    cloud, seed, traffic = cloud_phases(settings)
    if is_cloud_only:
        return [cloud, seed, traffic]
    migrate, components = airflow_parts(settings)
    return [[*cloud, migrate], seed, [*components, *traffic]]


def refuse_taken_ports(settings: Settings, *, is_cloud_only: bool) -> None:
    """RefusedError naming the first port that somebody else listens on; nothing has been started yet."""
    wanted = [("127.0.0.1", settings.cloud_port, "cloud_port"), ("127.0.0.1", settings.traffic_port, "traffic_port")]
    if not is_cloud_only:
        wanted.append(("127.0.0.1", settings.airflow_port, "airflow_port"))
    wanted += [(f"127.{settings.network_octet + i}.0.10", settings.router_port, "router_port") for i in range(3)]
    for address, port, field in wanted:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                raise RefusedError(
                    f"{address}:{port} is in use ({error.strerror}); end what listens there, "
                    f"or choose another with REDSTART_{field.upper()}."
                ) from error


class Home:
    """The stack's folder: one stack at a time (a lock the kernel frees), its state file, its left-overs."""

    def __init__(self, settings: Settings) -> None:
        self.path = settings.home
        self.state_file = settings.home / STATE_FILE
        self.settings = settings

    def claim(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = (self.path / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = self.state().get("pid", "unknown")
            raise RefusedError(f"A stack is already running here (process {pid}); `make down` ends it.") from error

    def is_claimed(self) -> bool:
        """Whether a live supervisor holds the lock."""
        if not self.path.exists():
            return False
        with (self.path / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def state(self) -> dict[str, object]:
        try:
            return dict(json.loads(self.state_file.read_text()))
        except (OSError, ValueError):
            return {}

    def end_left_behind(self) -> bool:
        """End what a killed stack left; True when there was anything."""
        stack = self.state().get("stack")
        found = bool(stack) and end_marked(str(stack), grace_seconds=3) >= 0 and bool(self.state().get("pid"))
        with suppress(FileNotFoundError):
            self.state_file.unlink()
        return found

    def renew_world(self) -> None:
        """The local cloud's records live in memory, so a start begins a new world: what described the old one goes."""
        for name in ("cloud", "git", "airflow", "storage", "builds", "logs"):
            shutil.rmtree(self.path / name, ignore_errors=True)
        for stale in ("traffic.json",):
            (self.path / stale).unlink(missing_ok=True)


def run(settings: Settings, *, is_cloud_only: bool) -> None:
    """Run the stack in the foreground until SIGTERM or SIGINT; RedstartError says in a sentence why it could not."""
    home = Home(settings)
    home.claim()
    home.end_left_behind()
    refuse_taken_ports(settings, is_cloud_only=is_cloud_only)
    home.renew_world()
    stack = uuid.uuid4().hex
    supervisor = Supervisor(stack, settings.logs, say=lambda line: print(line, flush=True))
    started = time.time()

    def note(phase: str) -> None:
        write_state(
            home.state_file,
            {
                "pid": os.getpid(),
                "stack": stack,
                "phase": phase,
                "started": started,
                "is_cloud_only": is_cloud_only,
                "parts": supervisor.report(),
            },
        )

    def stop(_number: int, _frame: FrameType | None) -> None:
        supervisor.is_stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGHUP, stop)
    note("starting")
    try:
        supervisor.start(phases(settings, is_cloud_only=is_cloud_only))
        note("up")
        seen = supervisor.report()
        while not supervisor.is_stopping:
            supervisor.tick()
            if supervisor.report() != seen:
                seen = supervisor.report()
                note("up")
            time.sleep(0.2)
    finally:
        supervisor.stop()
        home.state_file.unlink(missing_ok=True)


def down(settings: Settings, *, wait_seconds: float = 30) -> str:
    """End a running or left-behind stack; the sentence says which it was."""
    home = Home(settings)
    state = home.state()
    pid = int(str(state.get("pid", 0)))
    if not state:
        return "No stack is running here."
    if home.is_claimed() and pid:  # only then does the number still belong to the supervisor
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + wait_seconds
        while is_alive(pid) and time.monotonic() < deadline:
            time.sleep(0.2)
    end_marked(str(state["stack"]), grace_seconds=3)
    home.state_file.unlink(missing_ok=True)
    return f"Ended the stack of process {pid}."


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cloud-only", action="store_true")
    options = parser.parse_args(arguments)
    try:
        run(Settings(), is_cloud_only=options.cloud_only)
    except RedstartError as error:
        print(f"redstart: {error}", file=sys.stderr, flush=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
