"""The crash matrix: pushes and rollbacks, killed before and after every call to AWS and every verb of the ledger.

Through boto3 and the local cloud's no-process mode; every fault point is enumerated, none is sampled. Whoever goes on
has only what AWS and the ledger say, and must come to the end of the run that nobody killed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from include.redblack import Finding, Progress, Wait, Watched, WatchKind, WatchRequest
from include.redblack.steps import WaitHealthy, WatchRed
from tests.support.crash import CrashMatrix
from tests.support.local_cloud import LocalCloud
from tests.support.push_outcome import Outcome, difference, outcome_of
from tests.support.push_tasks import Tasks, push_tasks, rollback_tasks
from tests.support.push_world import PushWorld

pytestmark = pytest.mark.timeout(900)
AWAY_SECONDS = 7
"""From the kill until somebody goes on: the retry delay of a task."""
SETTLE_SECONDS = 30
"""Groups that were deleted are gone by then."""
Say = Callable[[str], None]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    def print_aside(line: str) -> None:
        with capsys.disabled():
            print(f"\n{line}")

    return print_aside


@pytest.fixture
def world(local_cloud: LocalCloud, tmp_path: Path) -> PushWorld:
    """Two instances that the traffic needs both."""
    world = PushWorld(local_cloud, tmp_path / "ledger.db")
    world.seed(2, rps=190)
    return world


def test_a_push(world: PushWorld, tmp_path: Path, say: Say) -> None:
    expected = kill_everywhere("push", world, push_tasks(world, world.push_goal("push-1")), tmp_path, say)
    assert expected["ends"] == ["Done", "Done"]
    assert list(expected["groups"]) == ["api-main-v000", "api-main-v001"]
    red = expected["groups"]["api-main-v001"]
    assert (red["healthy"], red["capacity"].minimum, red["suspended"]) == (3, 2, [])


@pytest.mark.system  # a minute of CPU beside the plain push
def test_a_push_while_previous_grows(world: PushWorld, tmp_path: Path, say: Say) -> None:
    world.plan(3, lambda: world.scale("api-main-v000", 3))
    tasks = push_tasks(world, world.push_goal("push-1"))
    expected = kill_everywhere("push while previous grows", world, tasks, tmp_path, say)
    assert expected["groups"]["api-main-v001"]["healthy"] == 4


def test_a_push_whose_red_never_gets_healthy(world: PushWorld, tmp_path: Path, say: Say) -> None:
    world.cloud.machines.refuses_boot = lambda spec: True
    tasks = push_tasks(world, world.push_goal("push-1", launch_within_seconds=60.0))
    expected = kill_everywhere("push of a dead image", world, tasks, tmp_path, say)
    assert expected["ends"] == ["Failed", "Failed"]
    assert list(expected["groups"]) == ["api-main-v000"]


@pytest.mark.parametrize("kind", list(WatchKind))
def test_a_push_that_its_watch_stops(world: PushWorld, tmp_path: Path, say: Say, kind: WatchKind) -> None:
    def watch(request: WatchRequest) -> Watched:
        is_bad = request.kind is kind
        return Watched(Finding.UNSOUND if is_bad else Finding.SOUND, world.now(), "5xx 3 %", is_severe=True)

    tasks = push_tasks(world, world.push_goal("push-1"), watch)
    expected = kill_everywhere(f"push that its watch stops ({kind})", world, tasks, tmp_path, say)
    assert expected["ends"][-1] == "Failed"
    assert expected["groups"]["api-main-v000"]["weight"] > 0


@pytest.mark.parametrize("is_severe", [True, False], ids=["severe", "gentle"])
def test_a_rollback_two_hours_later(world: PushWorld, tmp_path: Path, say: Say, is_severe: bool) -> None:
    """At more than twice the traffic of the push: black is too small and has to grow."""
    push_tasks(world, world.push_goal("push-1")).run()
    world.scale("api-main-v001", 6)
    world.advance(120)
    world.serve(480)
    world.advance(7200)
    tasks = rollback_tasks(world, world.rollback_goal("back-1", is_severe=is_severe))
    name = f"rollback at 2.5 times the traffic ({'severe' if is_severe else 'gentle'})"
    expected = kill_everywhere(name, world, tasks, tmp_path, say)
    assert expected["groups"]["api-main-v000"]["healthy"] >= 5
    assert expected["groups"]["api-main-v001"]["weight"] == 0


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        pytest.param(WaitHealthy, None, id="launching"),
        pytest.param(WatchRed, WatchKind.SIDE_BY_SIDE, id="red-red"),
        pytest.param(WatchRed, WatchKind.ALONE, id="red-black", marks=pytest.mark.system),
    ],
)
def test_a_rollback_in_the_middle_of_a_push(
    world: PushWorld, tmp_path: Path, say: Say, step: type[Wait], kind: WatchKind | None
) -> None:
    """On-call takes the cluster over: red goes, or is kept if it has served alone; what served before serves."""
    push_tasks(world, world.push_goal("earlier")).run()
    world.advance(600)
    abandon(world, push_tasks(world, world.push_goal("push-1")), step, kind)
    tasks = rollback_tasks(world, world.rollback_goal("back-1"))
    name = f"rollback in the middle of a push ({kind or 'launching'})"
    expected = kill_everywhere(name, world, tasks, tmp_path, say)
    assert [group for group, shape in expected["groups"].items() if shape["weight"]] == ["api-main-v001"]
    assert ("api-main-v002" in expected["groups"]) == (kind is WatchKind.ALONE)


def abandon(world: PushWorld, tasks: Tasks, step: type[Wait], kind: WatchKind | None) -> None:
    """Run it until it waits so, and never go on."""

    class AbandonedError(Exception):
        pass

    def wait(progress: Progress) -> None:
        request = getattr(progress.step, "request", None)
        if isinstance(progress.step, step) and (kind is None or request.kind is kind):
            raise AbandonedError
        world.advance(progress.pause_seconds)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(AbandonedError):
        patch.setattr(world, "wait", wait)
        tasks.run()


def kill_everywhere(name: str, world: PushWorld, tasks: Tasks, directory: Path, say: Say) -> Outcome:
    """Every killed run ends as the one that nobody killed, which is returned."""
    world.listen = matrix = CrashMatrix(directory, world.mark)

    def resume(database: Path) -> Outcome:
        world.open_ledger(database)
        world.advance(AWAY_SECONDS)
        return run()

    def run() -> Outcome:
        tasks.run()
        world.advance(SETTLE_SECONDS)
        return outcome_of(world, tasks)

    begun = cpu_seconds()
    expected = matrix.record(run, resume, world.database)
    wrong = [
        f"{outcome.point}: {outcome.error or difference(expected, outcome.result)}"
        for outcome in matrix.outcomes()
        if outcome.error or outcome.result != expected
    ]
    ledger = sum("ledger." in point.what for point in matrix.points)
    say(
        f"{name}: killed at {len(matrix.points)} fault points ({ledger} of the ledger), which leave "
        f"{len(matrix.worlds)} different worlds; {len(wrong)} end otherwise ({cpu_seconds() - begun:.0f} s of CPU)"
    )
    assert (expected["shortfalls"], expected["lease"], expected["open deeds"]) == ([], None, [])
    assert not wrong, "\n".join(wrong[:5])
    return expected


def cpu_seconds() -> float:
    """Of this process and of all forks that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
