"""The whole line with real processes: commits travel to three regions while parts of Airflow, and the tasks of their
pushes, are killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import datetime

import pytest

from include.adapters.ledger_store import SqlLedger
from include.fleet.tags import PINNED
from include.ledger import Place
from include.services.processes import is_alive, marked_pids
from include.services.settings import REGIONS
from redstart.cli import fleet_view
from redstart.cli.demo import DAG_ID, Demo
from redstart.cli.traffic import shares
from tests.support.killer import Killer
from tests.support.stack import CommandLine, listeners, running_demo, stack_environment, task_process, wait_for

pytestmark = [pytest.mark.system, pytest.mark.timeout(1800)]
SOAK_SECONDS = 60
LEAST_KILLS = 20
KILLED: list[str] = []
"""Region and deed of every task process that was killed in a push."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return stack_environment(tmp_path_factory.mktemp("stack"), octet=120, soak_seconds=SOAK_SECONDS) | {
        "REDSTART_WATCH_SECONDS": "15"
    }


@pytest.fixture(scope="module")
def demo(environment: dict[str, str]) -> Iterator[Demo]:
    with running_demo(environment) as demo:
        yield demo


def part_pid(demo: Demo, name: str) -> int:
    return int(demo.stack.state()["parts"][name]["pid"])


def kill_and_await(demo: Demo, name: str) -> None:
    """kill -9; the supervisor has a new one within 5 s."""
    first = part_pid(demo, name)
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: part_pid(demo, name) != first and is_alive(part_pid(demo, name)), 5, f"{name} is back", 0.1)


def test_every_listener_is_on_loopback(demo: Demo) -> None:
    stack = str(demo.stack.state()["stack"])
    found = listeners(set(marked_pids(stack)))
    assert len(found) > 10
    assert {address for address in found if not address.startswith("127.")} == set()


def test_a_second_start_is_refused_with_one_sentence(demo: Demo, environment: dict[str, str]) -> None:
    second = CommandLine(environment).run("up")
    assert second.returncode == 2
    assert "already running here" in second.stderr
    assert len(second.stderr.strip().splitlines()) == 1


def test_a_good_commit_arrives_though_airflow_is_killed_in_the_soak(demo: Demo) -> None:
    from redstart.cli.commit import push_variant

    demo.marks.keep("start", demo.counters())
    repository = demo.settings.git_root / "api"
    commit = push_variant(repository, demo.settings.home / "worktree", "good", 1)
    run = wait_for(lambda: demo.run_of(commit), 60, "the commit starts a run")

    def soaks() -> bool:
        states = {task.task_id: task.state for task in demo.api.tasks(DAG_ID, run.run_id)}
        return states.get("canary.analyze_canary") == "deferred"

    wait_for(soaks, 300, "the soak begins")
    demo.marks.keep("soak", demo.counters())
    promised = demo.api.result(DAG_ID, run.run_id, "canary.launch_canary")
    kill_and_await(demo, "triggerer")
    kill_and_await(demo, "scheduler")
    end = datetime.fromisoformat(promised["soak_end"])
    killed = kill_the_judging_task(demo, run.run_id)
    demo.soak_last = demo.counters()
    with Killer(demo, 1) as killer:
        followed = demo.follow(commit)
    KILLED.extend(killer.killed)
    outcome = demo.judge("good", commit, followed, {})
    assert outcome.problems == ()
    check_nothing_is_left(demo)
    assert demo.api.result(DAG_ID, run.run_id, "canary.launch_canary")["soak_end"] == promised["soak_end"]
    gate = next(task for task in demo.api.tasks(DAG_ID, run.run_id) if task.task_id == "gate_score")
    assert gate.started_at is not None
    assert (gate.started_at - end).total_seconds() <= 60
    assert killed, "the judging task was never seen at work"
    parts = shares(demo.marks.at("soak"), demo.soak_last, REGIONS[0])
    for role in ("canary", "baseline"):
        assert abs(parts[promised[role]] - 15) < 1, parts
    verdict = demo._verdict(followed)
    assert verdict is not None
    assert verdict["judged"] >= 1000


def kill_the_judging_task(demo: Demo, run_id: str) -> int:
    """kill -9 of the process that judges, once; its pid."""

    def judging() -> int:
        tasks = {task.task_id: task for task in demo.api.tasks(DAG_ID, run_id)}
        task = tasks["canary.analyze_canary"]
        return task_process(demo, task.instance_id) if task.state == "running" else 0

    pid = int(wait_for(judging, SOAK_SECONDS + 90, "the task judges", 0.05))
    os.kill(pid, signal.SIGKILL)
    return pid


def test_the_next_commit_arrives_however_often_its_push_is_killed(demo: Demo) -> None:
    with Killer(demo, 2) as killer:
        outcome = demo.deliver("good", 2)
    KILLED.extend(killer.killed)
    assert outcome.problems == ()
    assert outcome.failed_requests == 0
    check_nothing_is_left(demo)
    print(f"{len(KILLED)} kills: {', '.join(KILLED)}")
    assert len(KILLED) >= LEAST_KILLS
    assert {one.partition(":")[0] for one in KILLED} == set(REGIONS)


def check_nothing_is_left(demo: Demo) -> None:
    """No lock, no pinned minimum, nothing suspended on what serves."""
    ledger = SqlLedger(demo.settings.ledger_url)
    wait_for(
        lambda: not any(ledger.lease(Place("api", "main", region)) for region in REGIONS), 30, "every lock is free"
    )
    for view in demo.views():
        assert not [group.name for group in view.groups if group.tags.get(PINNED)]
        (serving,) = [group for group in view.groups if group.weight]
        assert not serving.suspended


def test_a_bad_commit_is_stopped_by_its_canary(demo: Demo) -> None:
    before = dict(fleet_view.live_commits(demo.views()).items())
    outcome = demo.deliver("heat", 3)
    assert outcome.problems == ()
    assert outcome.run_state == "failed"
    assert fleet_view.live_commits(demo.views()) == before
    roles = {group.tags.get("redstart:role") for view in demo.views() for group in view.groups}
    assert roles == {"main"}
    assert set(before) == set(REGIONS)


def test_nothing_is_left_after_a_kill_of_the_supervisor(demo: Demo) -> None:
    state = demo.stack.state()
    os.kill(int(state["pid"]), signal.SIGKILL)
    wait_for(lambda: not list(marked_pids(str(state["stack"]))), 20, "no process of the stack is left")
