"""`./redstart` as a breaker uses it: whoever is killed, nothing is left, and one sentence says what happened."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from include.services.processes import end_marked, is_alive, marked_pids
from tests.support.stack import CommandLine, stack_environment, wait_for

pytestmark = pytest.mark.system
OCTET = 120
START_SECONDS = 150  # ten on an idle machine
END_SECONDS = 40


class Stack:
    """One `up --cloud-only` and what it says; every start of it is ended with the test."""

    def __init__(self, folder: Path) -> None:
        self.home, self.output = folder / "home", folder / "output"
        self.environment = stack_environment(self.home, octet=OCTET)
        self.command = CommandLine(self.environment)
        self.markers: set[str] = set()

    def start(self) -> subprocess.Popen[bytes]:
        self.cli = self.command.start("up", "--cloud-only", output=self.output)
        return self.cli

    def state(self) -> dict[str, Any]:
        try:
            state = dict(json.loads((self.home / "stack.json").read_text()))
        except (OSError, ValueError):
            return {}
        self.markers.add(state["stack"])
        return state

    def start_cloud(self) -> Mapping[str, Any]:
        """Start, and return the state as soon as the local cloud is there: the rest is still starting."""
        self.start()
        return dict(wait_for(lambda: self.state().get("parts", {}).get("cloud") and self.state(), 60, self.said()))

    def said(self) -> str:
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def is_gone(self) -> bool:
        self.state()
        return not any(pid for marker in self.markers for pid in marked_pids(marker))

    def is_port_free(self, name: str) -> bool:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", int(self.environment[name])))
            except OSError:
                return False
        return True

    def await_nothing_left(self, supervisor: int) -> None:
        wait_for(lambda: not is_alive(supervisor), END_SECONDS, "the supervisor ends")
        wait_for(self.is_gone, END_SECONDS, "every process of the stack ends")
        assert self.is_port_free("REDSTART_CLOUD_PORT")
        assert self.is_port_free("REDSTART_TRAFFIC_PORT")

    def close(self) -> None:
        self.state()
        if hasattr(self, "cli") and self.cli.poll() is None:
            self.cli.kill()
            self.cli.wait()
        if hasattr(self, "cli"):
            self.command.run("down")
        for marker in self.markers:
            end_marked(marker, grace_seconds=0)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    made = Stack(tmp_path)
    yield made
    made.close()


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def test_sigint_while_it_starts_leaves_nothing(stack: Stack) -> None:
    state = stack.start_cloud()
    stack.cli.send_signal(signal.SIGINT)
    assert stack.cli.wait(END_SECONDS) == 0, stack.said()
    stack.await_nothing_left(state["pid"])
    assert lines(stack.said())[-1] == "Ending the stack ..."


def test_kill_9_of_the_command_leaves_nothing(stack: Stack) -> None:
    state = stack.start_cloud()
    stack.cli.kill()
    stack.await_nothing_left(state["pid"])


def test_kill_9_of_the_supervisor_leaves_nothing(stack: Stack) -> None:
    state = stack.start_cloud()
    os.kill(state["pid"], signal.SIGKILL)
    assert stack.cli.wait(END_SECONDS) == 2
    stack.await_nothing_left(state["pid"])
    assert "ended by SIGKILL" in lines(stack.said())[-1]
    assert "Traceback" not in stack.said()


def test_the_death_of_the_local_cloud_ends_the_stack_with_a_word(stack: Stack) -> None:
    state = stack.start_cloud()
    os.kill(state["parts"]["cloud"]["pid"], signal.SIGKILL)
    assert stack.cli.wait(END_SECONDS) == 2
    stack.await_nothing_left(state["pid"])
    assert lines(stack.said())[-1] == "redstart: the stack cannot go on: cloud was ended by SIGKILL"


def test_second_start_is_refused_and_status_and_down_tell_the_truth(stack: Stack) -> None:
    state = stack.start_cloud()
    log = (stack.home / "stack.log").stat().st_ino
    second = stack.command.run("up", "--cloud-only")
    assert second.returncode == 2
    assert lines(second.stderr) == [
        f"redstart: A stack is already running here (process {state['pid']}); `make down` ends it."
    ]
    assert (stack.home / "stack.log").stat().st_ino == log, "the running stack's log is left alone"
    status = stack.command.run("status")
    assert (status.returncode, lines(status.stdout)[0]) == (0, f"Stack starting, process {state['pid']}")
    ended = stack.command.run("down")
    assert (ended.returncode, ended.stdout.strip()) == (0, f"Ended the stack of process {state['pid']}.")
    stack.await_nothing_left(state["pid"])
    assert stack.cli.wait(END_SECONDS) == 2
    assert stack.command.run("down").stdout.strip() == "No stack is running here."
    assert stack.command.run("status").returncode == 1


def test_a_stack_of_which_all_was_killed_starts_again_up_to_its_traffic(stack: Stack) -> None:
    state = stack.start_cloud()
    stack.cli.kill()
    os.kill(state["pid"], signal.SIGKILL)
    stack.cli.wait()
    status = stack.command.run("status")
    assert "killed" in status.stdout or "No stack" in status.stdout
    stack.start()
    wait_for(lambda: "traffic  " in stack.said() or stack.cli.poll() is not None, START_SECONDS, "it is up again")
    status = stack.command.run("status")
    assert status.returncode == 0, stack.said() + status.stderr
    groups = [line.split()[:2] for line in lines(status.stdout)[-6:]]
    assert groups == [
        *([region, "api-main-v000"] for region in ("us-east-1", "us-west-2", "eu-west-1")),
        *(["us-east-1", f"api-{name}-v000"] for name in ("test", "integration", "staging")),
    ]
    again = stack.state()
    assert again["stack"] != state["stack"]
    os.kill(again["parts"]["cloud"]["pid"], signal.SIGSTOP)
    silent = stack.command.run("status")
    assert (silent.returncode, len(lines(silent.stderr))) == (2, 1)
    assert "the local cloud does not answer" in silent.stderr
    os.kill(again["parts"]["cloud"]["pid"], signal.SIGCONT)
    stack.cli.terminate()
    assert stack.cli.wait(END_SECONDS) == 0
    stack.await_nothing_left(again["pid"])
    assert stack.is_gone()


@pytest.mark.parametrize(
    ("address", "variable"),
    [
        (lambda e: ("127.0.0.1", int(e["REDSTART_CLOUD_PORT"])), "REDSTART_CLOUD_PORT"),
        (lambda e: ("127.0.0.1", int(e["REDSTART_TRAFFIC_PORT"])), "REDSTART_TRAFFIC_PORT"),
        (lambda e: ("127.0.0.1", int(e["REDSTART_AIRFLOW_PORT"])), "REDSTART_AIRFLOW_PORT"),
        (lambda e: (f"127.{OCTET + 1}.0.10", 8080), "REDSTART_ROUTER_PORT"),
        (lambda e: (f"127.{OCTET + 10}.0.12", 8080), "REDSTART_ROUTER_PORT"),
        (lambda e: (f"127.{OCTET}.0.11", 9901), "REDSTART_NETWORK_OCTET"),
    ],
)
def test_a_taken_port_is_refused_in_one_line(
    stack: Stack, address: Callable[[Mapping[str, str]], tuple[str, int]], variable: str
) -> None:
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(address(stack.environment))
        holder.listen()
        refused = stack.command.run("up")
    assert refused.returncode == 2
    assert len(lines(refused.stderr)) == 1
    assert variable in refused.stderr
    assert not (stack.home / "stack.json").exists()
    assert not (stack.home / "logs").exists(), "nothing was started"


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("REDSTART_CLOUD_PORT", "abc", "REDSTART_CLOUD_PORT: input should be a valid integer"),
        ("REDSTART_TRAFFIC_RPS", "nonsense", "(found 'nonsense')"),
        ("REDSTART_HOME", "/proc/nope", "REDSTART_HOME"),
        ("PATH", "/nowhere", "git is not on the PATH"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(stack: Stack, variable: str, value: str, words: str) -> None:
    refused = CommandLine({**stack.environment, variable: value}).run("up", "--cloud-only")
    assert refused.returncode == 2
    assert len(lines(refused.stderr)) == 1
    assert words in refused.stderr
