"""No orphan, whoever is killed: the supervisor with real processes that have children of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from include.errors import RedstartError
from include.services.processes import MARKER, end_marked, marked_pids
from include.services.supervisor import Part, Supervisor

pytestmark = pytest.mark.system
ROOT = Path(__file__).resolve().parents[2]
# A part with a child and a grandchild that ignores SIGTERM and sits in a session of its own.
STUBBORN = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(300)"
FAMILY = (
    "import subprocess,sys,time;"
    f"subprocess.Popen([sys.executable,'-c',{STUBBORN!r}],start_new_session=True);"
    "time.sleep(300)"
)
KEEPER = """
import signal, sys
from pathlib import Path
from include.services.supervisor import Part, Supervisor
supervisor = Supervisor(sys.argv[1], Path(sys.argv[2]))
signal.signal(signal.SIGTERM, lambda *_: setattr(supervisor, "is_stopping", True))
supervisor.start([[Part("family", [sys.executable, "-c", sys.argv[3]])]])
print("up", flush=True)
supervisor.run()
supervisor.stop(grace_seconds=1)
"""


def wait_until(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "condition not met in time"
        time.sleep(0.05)


@pytest.fixture
def stack() -> Iterator[str]:
    name = uuid.uuid4().hex
    yield name
    end_marked(name, grace_seconds=0)


@pytest.fixture
def keeper(stack: str, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", KEEPER, stack, str(tmp_path), FAMILY],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    wait_until(lambda: len(list(marked_pids(stack))) >= 3)  # guard, part, grandchild
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_the_supervisor_ends(keeper: subprocess.Popen[str], stack: str, number: int) -> None:
    keeper.send_signal(number)
    keeper.wait(timeout=15)
    wait_until(lambda: not list(marked_pids(stack)))


def test_a_dead_part_is_back_within_five_seconds(stack: str, tmp_path: Path) -> None:
    supervisor = Supervisor(stack, tmp_path, say=lambda _: None)
    supervisor.start([[Part("sleeper", [sys.executable, "-c", "import time; time.sleep(300)"])]])
    first = supervisor.running["sleeper"].process.pid
    os.kill(first, signal.SIGKILL)
    began = time.monotonic()

    def is_back() -> bool:
        supervisor.tick()
        return supervisor.running["sleeper"].process.pid != first

    wait_until(is_back, 5)
    assert time.monotonic() - began < 5
    supervisor.stop(grace_seconds=1)


def test_a_killed_guard_is_replaced(stack: str, tmp_path: Path) -> None:
    supervisor = Supervisor(stack, tmp_path, say=lambda _: None)
    supervisor.start([])
    assert supervisor._guard is not None
    first = supervisor._guard.pid
    os.kill(first, signal.SIGKILL)

    def is_back() -> bool:
        supervisor.tick()
        return supervisor._guard is not None and supervisor._guard.pid != first

    wait_until(is_back, 5)
    supervisor.stop(grace_seconds=1)
    assert not list(marked_pids(stack))


def test_a_part_that_dies_at_its_start_says_why(stack: str, tmp_path: Path) -> None:
    supervisor = Supervisor(stack, tmp_path, say=lambda _: None)
    part = Part("broken", [sys.executable, "-c", "raise SystemExit('port 1 is taken')"], ready=lambda: False)
    with pytest.raises(RedstartError, match="broken ended with status 1: port 1 is taken"):
        supervisor.start([[part]])
    supervisor.stop(grace_seconds=1)


def test_the_death_of_a_vital_part_ends_the_stack(stack: str, tmp_path: Path) -> None:
    supervisor = Supervisor(stack, tmp_path, say=lambda _: None)
    command = [sys.executable, "-c", "import time; time.sleep(300)"]
    supervisor.start([[Part("cloud", command, is_vital=True)]])
    os.kill(supervisor.running["cloud"].process.pid, signal.SIGKILL)
    supervisor.running["cloud"].process.wait()
    with pytest.raises(RedstartError, match="what it held is lost: cloud was ended by SIGKILL"):
        supervisor.tick()
    supervisor.stop(grace_seconds=1)


def test_marker_constant_is_what_the_local_cloud_hands_on() -> None:
    assert MARKER == "REDSTART_STACK"
