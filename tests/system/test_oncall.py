"""On-call's day with real processes, as docs/oncall.md tells it: a failed task cleared, a push held, a stuck lock
freed, a rollback from the form and forward again; no request is lost meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from include.services.settings import REGIONS
from redstart.cli import fleet_view
from redstart.cli.airflow_api import RunState, TaskState
from redstart.cli.commit import Commit, push_variant
from redstart.cli.demo import DAG_ID, Demo
from redstart.cli.rolling_back import Wanted, roll_back_there
from redstart.cli.traffic import sent_and_failed
from tests.support.hands import clear, mark_failed
from tests.support.stack import CommandLine, running_demo, stack_environment, wait_for

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1500)]
FIRST, SECOND, THIRD = "us-west-2", "eu-west-1", "us-east-1"
"""The waves: the market with the least traffic first."""
INDEX = {region: index for index, region in enumerate(REGIONS)}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return stack_environment(tmp_path_factory.mktemp("stack"), octet=140) | {"REDSTART_WATCH_SECONDS": "15"}


@pytest.fixture(scope="module")
def demo(environment: dict[str, str]) -> Iterator[Demo]:
    with running_demo(environment) as demo:
        yield demo


@pytest.fixture(scope="module")
def commands(environment: dict[str, str]) -> CommandLine:
    return CommandLine(environment)


@pytest.fixture(scope="module")
def before(demo: Demo) -> dict[str, Any]:
    """What serves before anything is pushed."""
    demo.marks.keep("start", demo.counters())
    return fleet_view.live_commits(demo.views())


@pytest.fixture(scope="module")
def commit(demo: Demo, before: dict[str, Any]) -> Commit:
    return push_variant(demo.settings.git_root / "api", demo.settings.home / "worktree", "good", 1)


@pytest.fixture(scope="module")
def run(demo: Demo, commit: Commit) -> RunState:
    return wait_for(lambda: demo.run_of(commit), 180, "the commit starts a run")  # type: ignore[no-any-return]


def task(demo: Demo, run: RunState, name: str, region: str) -> TaskState:
    found = demo.api.tasks(DAG_ID, run.run_id)
    return next(one for one in found if (one.task_id, one.map_index) == (f"push.{name}", INDEX[region]))


def state(demo: Demo, run: RunState, name: str, region: str) -> str:
    return task(demo, run, name, region).state


def live(demo: Demo, region: str) -> set[str]:
    return fleet_view.live_commits(demo.views())[region]  # type: ignore[no-any-return]


def clear_push(demo: Demo, run: RunState, name: str, *regions: str) -> None:
    clear(demo.api, DAG_ID, run.run_id, f"push.{name}", [INDEX[region] for region in regions])


def test_push_whose_task_failed_goes_back_by_itself(demo: Demo, run: RunState, before: dict[str, Any]) -> None:
    wait_for(lambda: state(demo, run, "push_red_black", FIRST) == "running", 400, "the first region is pushed")
    wait_for(lambda: len(demo.views()[INDEX[FIRST]].weights) == 2, 120, "both groups serve")
    mark_failed(demo.api, DAG_ID, run.run_id, "push.push_red_black", INDEX[FIRST])
    wait_for(lambda: state(demo, run, "roll_back", FIRST) == "success", 240, "the region goes back")
    wait_for(lambda: demo.api.run(DAG_ID, run.run_id).state == "failed", 120, "the run ends")
    assert live(demo, FIRST) == before[FIRST]
    assert state(demo, run, "release_cluster", FIRST) == "success"
    assert {state(demo, run, "await_quiet_window", region) for region in (SECOND, THIRD)} == {"failed"}
    assert live(demo, SECOND) == before[SECOND]


def test_cleared_task_begins_the_push_again(demo: Demo, run: RunState, commit: Commit, commands: CommandLine) -> None:
    said = commands.run("hold", THIRD, "--why", "the match is on", "--user", "ann")
    assert "held by ann" in said.stdout, said.stderr
    said = commands.run("lock", SECOND, "--why", "its worker is gone", "--user", "ghost", "--minutes", "600")
    assert "ghost's (person)" in said.stdout, said.stderr
    clear_push(demo, run, "push_red_black", FIRST)
    wait_for(lambda: state(demo, run, "release_cluster", FIRST) == "success", 400, "the first region is pushed again")
    assert live(demo, FIRST) == {commit.sha}


def test_stuck_lock_is_freed(demo: Demo, run: RunState, commit: Commit, commands: CommandLine) -> None:
    clear_push(demo, run, "await_quiet_window", SECOND, THIRD)
    wait_for(lambda: state(demo, run, "await_quiet_window", SECOND) == "deferred", 120, "the second region waits")
    assert "ghost (person)" in commands.run("locks").stdout
    refused = commands.run("unlock", SECOND, "--why", "mine", "--user", "ann")
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    said = commands.run("unlock", SECOND, "--why", "its worker is gone", "--user", "ann", "--force")
    assert "is free" in said.stdout, said.stderr
    wait_for(lambda: state(demo, run, "release_cluster", SECOND) == "success", 400, "the second region is pushed")
    assert live(demo, SECOND) == {commit.sha}


def test_held_push_goes_on_when_it_is_released(
    demo: Demo, run: RunState, commit: Commit, commands: CommandLine, before: dict[str, Any]
) -> None:
    wait_for(lambda: state(demo, run, "await_quiet_window", THIRD) == "deferred", 120, "the third region waits")
    assert live(demo, THIRD) == before[THIRD]
    said = commands.run("unhold", THIRD, "--why", "it is over", "--user", "ann")
    assert "goes on" in said.stdout, said.stderr
    wait_for(lambda: demo.api.run(DAG_ID, run.run_id).state == "success", 400, "the run ends")
    assert {region: live(demo, region) for region in REGIONS} == {region: {commit.sha} for region in REGIONS}


def test_region_goes_back_from_the_form_and_forward_again(demo: Demo, commit: Commit, before: dict[str, Any]) -> None:
    (red,) = [group.name for group in demo.views()[INDEX[FIRST]].groups if group.is_enabled]
    said: list[str] = []
    assert roll_back_there(demo.api, "api_rollback", Wanted((FIRST,), "on-call's day"), said.append) == []
    assert live(demo, FIRST) == before[FIRST]
    assert roll_back_there(demo.api, "api_rollback", Wanted((FIRST,), "it was not it", to=red), said.append) == []
    assert live(demo, FIRST) == {commit.sha}
    print("\n".join(said))


def test_rollback_works_without_airflow(demo: Demo, commands: CommandLine, before: dict[str, Any]) -> None:
    said = commands.run("rollback", SECOND, "--why", "Airflow is away", "--user", "ann", "--here")
    assert said.returncode == 0, said.stderr
    assert "after the decision" in said.stdout
    assert live(demo, SECOND) == before[SECOND]


def test_locks_are_free_and_no_request_was_lost(demo: Demo, commands: CommandLine) -> None:
    table = commands.run("locks").stdout
    assert table.count("free") == 6  # three regions of production, one of each environment before it
    counted = sent_and_failed(demo.marks.at("start"), demo.counters())
    assert counted is not None
    print(f"{counted[0]:,} requests, {counted[1]} failed")
    assert counted[0] > 10_000
    assert counted[1] == 0
