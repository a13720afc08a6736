"""The stack of one machine: local cloud, Airflow and traffic under one supervisor."""

from __future__ import annotations

import argparse
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
from pydantic import ValidationError

from include.errors import ConfigError, RedstartError, RefusedError
from include.services.airflow_env import airflow_environment
from include.services.home import Home
from include.services.network_seed import ACCOUNTS, admin_address, balancer_addresses, installed_apps, load_balancers
from include.services.processes import end_marked, is_alive
from include.services.settings import PROJECT, REGIONS, Settings
from include.services.supervisor import Part, Supervisor, write_state
from include.services.traffic import read_rates

ENVOY_ADMIN_PORT = 9901  # as local_cloud.py has it


def read_settings() -> Settings:
    """The settings of the environment; ConfigError names the first variable that cannot be used, and its value."""
    try:
        settings = Settings()
    except ValidationError as error:
        first = error.errors()[0]
        variable = "REDSTART_" + "_".join(str(place) for place in first["loc"]).upper()
        reason = first["msg"][:1].lower() + first["msg"][1:]
        raise ConfigError(reason, source=variable, value=first["input"]) from error
    read_rates(settings.traffic_rps)
    if not settings.home.is_absolute():  # the parts inherit it, and work in other folders
        os.environ["REDSTART_HOME"] = str(PROJECT / settings.home)
        return Settings()
    return settings


def module(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", name, *arguments]


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def cloud_phases(settings: Settings) -> list[list[Part]]:
    """Local cloud and ledger, then the world in it, then its traffic."""
    environment = {"PYTHONPATH": f"{PROJECT}:{PROJECT / 'plugins'}"}
    cloud = Part(
        "cloud",
        module("include.services.local_cloud"),
        environment,
        ready=lambda: answers(f"{settings.cloud_url}/_localcloud/health"),
        is_vital=True,
    )
    ledger = Part("ledger", module("include.services.ledger", "upgrade"), environment, is_once=True)
    seed = Part("seed", module("include.services.seed"), environment, is_once=True, ready_seconds=180)
    traffic = Part(
        "traffic",
        module("include.services.traffic"),
        environment,
        ready=lambda: answers(f"{settings.traffic_url}/health"),
    )
    return [[cloud, ledger], [seed], [traffic]]


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
    migrate, (api_server, *others) = airflow_parts(settings)
    # A task that starts before the API server answers uses up a try.
    return [[*cloud, migrate], [*seed, api_server], [*others, *traffic]]


def wanted_addresses(settings: Settings, *, is_cloud_only: bool) -> list[tuple[str, int, str]]:
    """(address, port, the setting that changes it). A whole network that is taken is said before a single port."""
    apps = installed_apps()
    places = [(account, region) for account in ACCOUNTS for region in REGIONS if load_balancers(apps, account, region)]
    wanted = [("127.0.0.1", settings.cloud_port, "cloud_port"), ("127.0.0.1", settings.traffic_port, "traffic_port")]
    if not is_cloud_only:
        wanted.append(("127.0.0.1", settings.airflow_port, "airflow_port"))
    wanted += [(admin_address(settings, *place), ENVOY_ADMIN_PORT, "network_octet") for place in places]
    balancers = [address for place in places for address in balancer_addresses(settings, apps, *place).values()]
    return wanted + [(address, settings.router_port, "router_port") for address in balancers]


def refuse_taken_ports(settings: Settings, *, is_cloud_only: bool) -> None:
    """RefusedError naming the first port that is wanted twice, or that somebody else listens on."""
    seen: dict[tuple[str, int], str] = {}
    for address, port, field in wanted_addresses(settings, is_cloud_only=is_cloud_only):
        other = seen.setdefault((address, port), field)
        if other != field:
            raise RefusedError(f"REDSTART_{field.upper()} and REDSTART_{other.upper()} are both {port}.")
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                raise RefusedError(
                    f"{address}:{port} is in use ({error.strerror}); end what listens there, "
                    f"or choose another with REDSTART_{field.upper()}."
                ) from error


def refuse_missing_tools() -> None:
    if shutil.which("git") is None:
        raise RefusedError("git is not on the PATH; Redstart needs it (Debian: apt-get install git).")


def run(settings: Settings, *, is_cloud_only: bool) -> None:
    """Run the stack in the foreground until SIGTERM or SIGINT; RedstartError says in a sentence why it could not."""
    refuse_missing_tools()
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
        supervisor.start(phases(settings, is_cloud_only=is_cloud_only), lambda: note("starting"))
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
    home.await_first_word()
    state = home.state()
    pid = int(str(state.get("pid", 0)))
    if not state:
        return "No stack is running here."
    is_running = home.is_claimed() and pid > 0  # only then does the number still belong to the supervisor
    if is_running:
        _end_supervisor(pid, wait_seconds)
    end_marked(str(state["stack"]), grace_seconds=3)
    home.state_file.unlink(missing_ok=True)
    return f"Ended the stack of process {pid}." if is_running else f"Ended what the stack of process {pid} left behind."


def _end_supervisor(pid: int, wait_seconds: float) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + wait_seconds
        while is_alive(pid) and time.monotonic() < deadline:
            time.sleep(0.2)
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cloud-only", action="store_true")
    options = parser.parse_args(arguments)
    try:
        run(read_settings(), is_cloud_only=options.cloud_only)
    except RedstartError as error:
        print(f"redstart: {error}", file=sys.stderr, flush=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
