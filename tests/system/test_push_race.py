"""Two pushes and one on-call rollback at once on one cluster: one of them at a time, and a sane end."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.fleet.tags import PINNED
from include.ledger import Kind
from include.redblack import Done
from tests.support.local_cloud import LocalCloud, local_cloud, local_cloud_server
from tests.support.push_race import Race, Racer
from tests.support.push_tasks import push_tasks, rollback_tasks
from tests.support.push_world import PLACE, PushWorld

__all__ = ["local_cloud", "local_cloud_server"]

pytestmark = pytest.mark.system
OWNER_EVENTS = (Kind.LOCK_CLAIMED, Kind.LOCK_TAKEN_OVER)


@pytest.mark.parametrize("rollback_after", [0, 3, 8, 15, 31, 45, 60, 75])
def test_two_pushes_and_a_rollback(local_cloud: LocalCloud, tmp_path: Path, rollback_after: int) -> None:
    world = PushWorld(local_cloud, tmp_path / "ledger.db")
    world.seed(2, rps=190)
    push_tasks(world, world.push_goal("earlier")).run()
    world.advance(600)
    race = Race(world)
    one, two, back = (Racer(race, run) for run in ("push-1", "push-2", "back-1"))
    race.run(
        lambda: one.carry_out(push_tasks(one, world.push_goal("push-1")), after=1),
        lambda: two.carry_out(push_tasks(two, world.push_goal("push-2")), after=1),
        lambda: back.carry_out(rollback_tasks(back, world.rollback_goal("back-1")), after=rollback_after),
    )
    world.advance(30)
    assert isinstance(back.outcome, Done), back.outcome
    assert world.shortfalls == []
    check_cluster(world, {racer.run for racer in (one, two) if isinstance(racer.outcome, Done)})
    check_owners(world, race)


def check_cluster(world: PushWorld, pushed: set[str]) -> None:
    """One group serves: the rollback's, or that of a push that ended well after it. Nothing is half done."""
    assert world.ledger.lease(PLACE) is None
    groups = world.view().groups
    (serving,) = [group for group in groups if group.weight]
    assert not serving.suspended
    assert not [group.name for group in groups if group.tags.get(PINNED) or group.is_partial]
    events = [one.event for one in world.ledger.events(place=PLACE)]
    ends = [event for event in events if event.kind in (Kind.PUSH_FINISHED, Kind.ROLLBACK_FINISHED)]
    assert ends[-1].data["group"] == serving.name
    for event in ends:
        assert event.kind is Kind.ROLLBACK_FINISHED or event.run in {*pushed, "earlier"}


def check_owners(world: PushWorld, race: Race) -> None:
    """Tokens only grow. A call that was allowed before a take-over may still arrive after it: one for each, no more."""
    events = [one.event for one in world.ledger.events(place=PLACE)]
    tokens = [event.data["token"] for event in events if event.kind in OWNER_EVENTS]
    assert tokens == sorted(set(tokens))
    take_overs = sum(event.kind is Kind.LOCK_TAKEN_OVER for event in events)
    assert len(race.trespasses) <= take_overs, race.trespasses
