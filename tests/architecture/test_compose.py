"""docker-compose.yaml, as far as it can be checked without an engine: what it names exists."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.services.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker-compose.yaml"
SERVICES = {
    "api-server", "scheduler", "dag-processor", "triggerer", "postgres", "ledger", "local-cloud", "seed", "traffic",
}  # fmt: skip
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
ALL: dict[str, dict[str, Any]] = COMPOSE["services"]
OWN = {name: one for name, one in ALL.items() if one.get("build")}


def conditions(service: dict[str, Any]) -> dict[str, str]:
    """Service waited for -> condition; the short form (a list) waits for a start."""
    waits = service.get("depends_on", {})
    if isinstance(waits, list):
        return dict.fromkeys(waits, "service_started")
    return {name: wait["condition"] for name, wait in waits.items()}


def test_every_part_of_the_stack_has_a_service() -> None:
    assert set(ALL) >= SERVICES
    assert {name for name, one in ALL.items() if "image" not in one} == set()


@pytest.mark.parametrize("name", sorted(OWN))
def test_command_names_what_exists(name: str) -> None:
    program, *arguments = OWN[name]["command"]
    if program == "python":
        assert arguments[0] == "-m"
        assert importlib.util.find_spec(arguments[1]), arguments[1]
        assert "__main__" in Path(str(importlib.util.find_spec(arguments[1]).origin)).read_text()  # type: ignore[union-attr]
    else:
        assert program == "airflow"
        from airflow.cli.cli_parser import get_parser

        # An unknown command or option ends the parser, and with it the container.
        get_parser().parse_args(arguments)


@pytest.mark.parametrize("name", sorted(ALL))
def test_what_is_waited_for_exists_and_can_come_to_pass(name: str) -> None:
    for other, condition in conditions(ALL[name]).items():
        assert other in ALL
        if condition == "service_healthy":
            assert ALL[other]["healthcheck"]["test"][0] == "CMD"
        elif condition == "service_completed_successfully":
            assert ALL[other]["restart"] == "no", f"{other} is waited for to end, and would be started again"
        else:
            assert condition == "service_started"


def test_nobody_waits_in_a_circle() -> None:
    left = {name: set(conditions(one)) for name, one in ALL.items()}
    while free := {name for name, waits in left.items() if not waits & set(left)}:
        left = {name: waits for name, waits in left.items() if name not in free}
    assert not left


def test_ports_are_published_on_the_loopback_alone() -> None:
    published = {port for one in ALL.values() for port in one.get("ports", [])}
    assert published
    for port in published:
        assert isinstance(port, str)
        assert port.startswith("127.0.0.1:"), port
    assert not {name for name, one in ALL.items() if one.get("network_mode") == "host"}
    # Port and network are the local cloud's; a service in that network cannot publish for itself.
    assert {name for name, one in ALL.items() if "ports" in one} == {"local-cloud"}


def test_networks_and_volumes_that_are_used_exist() -> None:
    for name, one in ALL.items():
        kind, _, other = one.get("network_mode", "").partition(":")
        assert (kind, other in ALL) in {("", False), ("service", True)}, name
        assert {volume.split(":")[0] for volume in one.get("volumes", [])} <= set(COMPOSE["volumes"]), name


def test_ports_and_settings_are_those_of_the_services() -> None:
    settings = Settings.model_construct()
    assert f":{settings.cloud_port}/" in " ".join(ALL["local-cloud"]["healthcheck"]["test"])
    assert f":{settings.airflow_port}/" in " ".join(ALL["api-server"]["healthcheck"]["test"])
    assert ALL["local-cloud"]["ports"] == [f"127.0.0.1:{settings.airflow_port}:{settings.airflow_port}"]
    for name, one in OWN.items():
        for variable in one.get("environment", {}):
            assert variable.removeprefix("REDSTART_").lower() in Settings.model_fields, f"{name}: {variable}"


def test_build_uses_the_files_that_are_here() -> None:
    assert {one["build"] for one in OWN.values()} == {"."}
    sources = [line.split()[1:-1] for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("COPY")]
    assert all((ROOT / name).exists() for names in sources for name in names)
    assert (ROOT / "docker-entrypoint.sh").stat().st_mode & 0o111


def test_compose_itself_takes_the_file() -> None:
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker's compose plugin is not installed: the file is checked by the tests above alone")
    done = subprocess.run(
        [docker, "compose", "-f", str(FILE), "config", "-q"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
