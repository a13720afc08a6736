"""Pushes and rollbacks while AWS throttles one call in five, or does one in twenty and loses the reply."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from include.errors import RetryableError
from tests.support.local_cloud import LocalCloud, local_cloud, local_cloud_server
from tests.support.push_outcome import Outcome, difference, outcome_of
from tests.support.push_tasks import Tasks, push_tasks, rollback_tasks
from tests.support.push_world import PushWorld

__all__ = ["local_cloud", "local_cloud_server"]

pytestmark = pytest.mark.system
THROTTLED = {"code": "Throttling", "probability": 0.2}
LOST_REPLIES = {"lost_reply": True, "probability": 0.05}
BROKEN = {"code": "InternalFailure", "status": 500, "probability": 0.05}
NO_FAULT = {"probability": 0.0}
RETRIES = 5
RETRY_SECONDS = 10
SETTLE_SECONDS = 30


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("fault", [THROTTLED, LOST_REPLIES, BROKEN], ids=["throttled", "lost replies", "5xx"])
def test_a_faulty_aws_changes_nothing_but_the_time(
    local_cloud: LocalCloud, tmp_path: Path, fault: dict[str, Any], seed: int
) -> None:
    expected = push_and_roll_back(local_cloud, tmp_path / "quiet.db", NO_FAULT, seed)
    local_cloud.reset()
    found = push_and_roll_back(local_cloud, tmp_path / "faulty.db", fault, seed)
    for quiet, faulty in zip(expected, found, strict=True):
        ignore_head_room(quiet, faulty)
        assert faulty == quiet, difference(quiet, faulty)


def ignore_head_room(quiet: Outcome, faulty: Outcome) -> None:
    """Where the traffic could not be read at the moment, a rollback counts on the size of the group that served it."""
    for name, group in faulty["groups"].items():
        other = quiet["groups"].get(name, group)
        assert group["healthy"] == group["capacity"].desired >= other["healthy"]
        group |= {"healthy": other["healthy"], "capacity": replace(group["capacity"], desired=other["healthy"])}


def push_and_roll_back(cloud: LocalCloud, database: Path, fault: dict[str, Any], seed: int) -> list[Outcome]:
    """How a push, and a rollback an hour later at more traffic, have ended."""
    world = PushWorld(cloud, database)
    world.seed(2, rps=190)
    outcomes = [carry_out(world, push_tasks(world, world.push_goal("push-1")), fault, seed)]
    world.scale("api-main-v001", 6)
    world.advance(120)
    world.serve(480)
    world.advance(3600)
    return [*outcomes, carry_out(world, rollback_tasks(world, world.rollback_goal("back-1")), fault, seed)]


def carry_out(world: PushWorld, tasks: Tasks, fault: dict[str, Any], seed: int) -> Outcome:
    """As Airflow does: a task that gives up is tried again."""
    faults = world.cloud.faults
    faults.clear()
    faults._dice = random.Random(seed)
    faults.add([fault])
    for _ in range(RETRIES):
        try:
            tasks.run()
            break
        except RetryableError:
            world.advance(RETRY_SECONDS)
    faults.clear()
    world.advance(SETTLE_SECONDS)
    return outcome_of(world, tasks)
