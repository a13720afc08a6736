"""The plan and the deed: planned, then done with the same goal, and compared call by call."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from include.adapters.aws_fleet import AwsFleet
from include.adapters.aws_rehearsal import AwsRehearsal
from include.adapters.aws_rehearsal_reads import READS, RealReads
from include.errors import RedstartError, RefusedError
from include.fleet import ScalingPolicy
from include.ledger import Hold, Kind
from include.redblack import AtPeak, Finding, Progress, PushGoal, QuietTime, SizeBounds, Watched, drive_push
from include.redblack.region_plan import Outcome, RegionPlan
from include.redblack.rehearsal import plan_push
from include.redblack.steps import WaitPeak
from tests.support.local_cloud import LocalCloud
from tests.support.plan_world import LIMIT_SECONDS, Call, NotedClients, PlanWorld, comparable, planned
from tests.support.push_world import CLUSTER, LOAD_BALANCER, PLACE, REGION, TRAFFIC, PushWorld

SCALING = ScalingPolicy(60.0, 60.0)


@pytest.fixture
def empty(local_cloud: LocalCloud, tmp_path: Path) -> PlanWorld:
    """A load balancer that nothing stands behind."""
    return PlanWorld(PushWorld(local_cloud, tmp_path / "ledger.db"))


@pytest.fixture
def world(empty: PlanWorld) -> PlanWorld:
    """Two instances that the traffic needs both."""
    empty.world.seed(2, rps=190)
    return empty


def compare(world: PlanWorld, goal: PushGoal) -> RegionPlan:
    """The plan of a push and of its way back, which both were then done just so."""
    token = goal.token + 1 if goal.token else 0
    back = world.world.rollback_goal("(rollback)", token=token, needs_traffic=goal.needs_traffic)
    plan = world.plan(goal, back)
    calls, ends = world.push(goal)
    assert planned(plan.push.calls) == calls
    assert calls
    assert plan.push.word == ends[-1].sentence
    assert plan.back is not None
    if plan.back.outcome is Outcome.REFUSED:
        with pytest.raises(RefusedError) as refused:
            world.roll_back(back)
        assert str(refused.value) == plan.back.word
    else:
        returned, end = world.roll_back(back)
        assert planned(plan.back.calls) == returned
        assert returned
        assert plan.back.word == end.sentence
    return plan


def abandon(world: PlanWorld, goal: PushGoal, turns: int) -> Progress:
    """Whoever pushes is killed after so many turns, and half a minute passes."""
    loop = drive_push(world.world.fleet(), goal, world.world.now)
    for _ in range(turns):
        progress = next(loop)
        world.world.wait(progress)
    world.world.advance(30)
    return progress


def test_a_push_and_its_way_back(world: PlanWorld) -> None:
    plan = compare(world, world.world.push_goal("push-1", scaling=SCALING, token=7))
    assert plan.back is not None
    assert (plan.push.outcome, plan.back.outcome) == (Outcome.DONE, Outcome.DONE)
    waits = [step for step in plan.push.steps if not step.calls]
    assert [step.sentence.split()[0] for step in waits] == ["wait", "wait", "watch", "watch"]
    assert list(plan.push.moments)[-1] is Kind.PUSH_FINISHED
    assert plan.users_seconds is not None
    assert plan.safe_seconds is not None
    assert 0 < plan.safe_seconds < plan.users_seconds < plan.push.seconds
    sizes = [[(one.name, one.healthy, one.role) for one in groups] for groups in (plan.before, plan.during, plan.after)]
    assert sizes == [
        [("api-main-v000", 2, "live")],
        [("api-main-v000", 2, "live"), ("api-main-v001", 3, "live")],
        [("api-main-v000", 2, "black"), ("api-main-v001", 3, "live")],
    ]


def test_a_plan_only_reads(world: PlanWorld) -> None:
    before, changes = world.world.view(), world.world.changes
    world.plan(world.world.push_goal("push-1", scaling=SCALING), world.world.rollback_goal("(rollback)"))
    assert world.reader.changes == []
    assert set(world.reader.operations) <= {name for names in READS.values() for name in names}
    assert len(world.reader.operations) <= 20, "a plan asks each thing once"
    assert world.world.view() == before
    assert world.world.changes == changes


def test_black_groups_to_retire(world: PlanWorld) -> None:
    for run in ("push-1", "push-2"):
        world.push(world.world.push_goal(run))
        world.world.advance(600)
    plan = compare(world, world.world.push_goal("push-3"))
    assert [step.sentence for step in plan.push.steps if step.sentence.startswith("delete")] == ["delete api-main-v001"]


@pytest.mark.parametrize("turns", [1, 2, 3, 6, 9])
def test_a_push_that_was_left_half_way(world: PlanWorld, turns: int) -> None:
    goal = world.world.push_goal("push-1", scaling=SCALING)
    abandon(world, goal, turns)
    compare(world, goal)


@pytest.mark.parametrize("operation", ["create_launch_template", "create_auto_scaling_group", "suspend_processes"])
def test_a_group_that_was_left_half_made(world: PlanWorld, operation: str) -> None:
    def killed(name: str, subject: str) -> None:
        if name == operation:
            raise KeyboardInterrupt

    goal = world.world.push_goal("push-1", scaling=SCALING)
    with pytest.raises(KeyboardInterrupt):
        next(drive_push(world.world.fleet(killed), goal, world.world.now))
    compare(world, goal)


def test_a_half_made_group_that_the_listener_lists(world: PlanWorld) -> None:
    """Its Auto Scaling group was deleted by hand: what is left is taken away, and the push has failed."""
    goal = world.world.push_goal("push-1")
    abandon(world, goal, 3)
    world.world.clients("autoscaling").delete_auto_scaling_group(AutoScalingGroupName="api-main-v001", ForceDelete=True)
    world.world.advance(30)
    plan = world.plan(goal, world.world.rollback_goal("(rollback)"))
    calls, ends = world.push(goal)
    assert planned(plan.push.calls) == calls
    assert plan.push.word == ends[-1].sentence


def test_a_group_that_aws_is_about_to_delete(world: PlanWorld) -> None:
    """It is gone before the push is over, and what it leaves behind is taken away."""
    for run in ("push-1", "push-2"):
        world.push(world.world.push_goal(run))
        world.world.advance(60)
    world.world.clients("autoscaling").delete_auto_scaling_group(AutoScalingGroupName="api-main-v001", ForceDelete=True)
    plan = compare(world, world.world.push_goal("push-3", side_by_side_seconds=60.0))
    assert ("elbv2", "delete_target_group") in [(call.service, call.operation) for call in plan.push.calls]


def test_a_newer_lock_has_changed_it(world: PlanWorld) -> None:
    world.push(world.world.push_goal("push-1", token=9))
    goal = world.world.push_goal("push-2", token=3)
    plan = world.plan(goal, world.world.rollback_goal("(rollback)"))
    with pytest.raises(RedstartError) as refused:
        world.push(goal)
    assert plan.push.word == str(refused.value)
    assert (plan.push.outcome, plan.push.calls, plan.back) == (Outcome.REFUSED, (), None)


def test_previous_has_grown(world: PlanWorld) -> None:
    world.world.scale("api-main-v000", 5)
    world.world.advance(60)
    plan = compare(world, world.world.push_goal("push-1"))
    assert plan.during[-1].healthy == 6


def test_previous_is_growing(world: PlanWorld) -> None:
    """Whoever starts now is there, as measured, before red needs it."""
    world.world.scale("api-main-v000", 4)
    plan = world.plan(world.world.push_goal("push-1"), world.world.rollback_goal("(rollback)"))
    assert plan.push.outcome is Outcome.DONE
    assert plan.during[-1].healthy == 5


def test_the_first_push_into_an_empty_cluster(empty: PlanWorld) -> None:
    plan = compare(empty, empty.world.push_goal("push-1"))
    assert plan.before == ()
    assert plan.back is not None
    assert plan.back.outcome is Outcome.REFUSED


def test_a_cluster_that_nobody_calls(world: PlanWorld) -> None:
    world.world.serve(0)
    world.world.advance(930)
    plan = compare(world, world.world.push_goal("push-1", needs_traffic=False))
    assert not any("takes traffic" in step.sentence for step in plan.push.steps)


def test_nobody_calls_a_cluster_that_needs_traffic(world: PlanWorld) -> None:
    """The push would not see its instances at work, and go back: so does the plan."""
    world.world.serve(0)
    world.world.advance(930)
    goal = world.world.push_goal("push-1", launch_within_seconds=120)
    plan = world.plan(goal, world.world.rollback_goal("(rollback)"))
    calls, ends = world.push(goal)
    assert planned(plan.push.calls) == calls
    assert plan.push.outcome is Outcome.FAILED
    for word in (plan.push.word, ends[0].sentence):
        assert "rolled back: not taking traffic in time" in word


def test_more_traffic_than_black_can_carry(world: PlanWorld) -> None:
    """The way back begins with what black can carry, and goes on when it has grown."""
    world.world.scale("api-main-v000", 3)
    world.world.advance(60)
    goal = world.world.push_goal("push-1")
    world.push(goal)
    world.world.scale("api-main-v001", 6)
    world.world.advance(60)
    world.world.serve(560)
    world.world.advance(900)
    compare(world, world.world.push_goal("push-2"))


def test_it_is_live_already(world: PlanWorld) -> None:
    goal = world.world.push_goal("push-1")
    world.push(goal)
    plan = world.plan(goal, world.world.rollback_goal("(rollback)"))
    assert (plan.push.outcome, plan.push.calls, plan.back) == (Outcome.DONE, (), None)
    other = replace(world.world.push_goal("push-2"), build=goal.build)
    assert "already runs" in world.plan(other, world.world.rollback_goal("(rollback)")).push.word


def test_more_instances_than_a_group_may_have(world: PlanWorld) -> None:
    goal = replace(world.world.push_goal("push-1"), size=SizeBounds(1, 1))
    plan = world.plan(goal, world.world.rollback_goal("(rollback)"))
    assert plan.push.outcome is Outcome.FAILED
    assert "more than the 1 that a group of api-main may have" in plan.push.word
    assert plan.push.calls == ()


def test_a_guard_that_waits_for_ever(world: PlanWorld) -> None:
    world.world.scale("api-main-v000", 3)
    world.world.serve(350)
    world.world.advance(900)
    goal = replace(world.world.push_goal("push-1"), size=SizeBounds(2, 3))
    plan = world.plan(goal, world.world.rollback_goal("(rollback)"))
    assert plan.push.outcome is Outcome.WAITS
    assert "the traffic guard lets it" in plan.push.word
    assert plan.push.seconds < 2 * LIMIT_SECONDS
    assert plan.back is not None
    assert plan.back.outcome is Outcome.DONE


@pytest.mark.parametrize("minutes", [None, 30])
def test_a_hold(world: PlanWorld, minutes: int | None) -> None:
    """With an end it is waited for; without one the plan is of what comes when it is lifted."""
    now = world.world.now()
    hold = Hold(PLACE, "ann", "a show", now, now + timedelta(minutes=minutes) if minutes else None)
    plan = world.plan(world.world.push_goal("push-1"), world.world.rollback_goal("(rollback)"), hold=hold)
    assert plan.push.outcome is Outcome.DONE
    first = plan.push.steps[0]
    assert (first.sentence.startswith("wait until the hold"), first.seconds) == (
        (True, 1800.0) if minutes else (False, 1.25)
    )


def until_peak(world: PlanWorld, goal: PushGoal) -> tuple[list[Call], Progress]:
    """The deed, until it ends or is held for a peak."""
    noted = NotedClients(world.world.clients)
    fleet = AwsFleet(REGION, noted, LOAD_BALANCER, TRAFFIC, world.world.now)
    watch = lambda _: Watched(Finding.SOUND, world.world.now())  # noqa: E731
    for progress in drive_push(fleet, goal, world.world.now, watch=watch):
        if isinstance(progress.step, WaitPeak):
            break
        world.world.wait(progress)
    return comparable(noted.changes), progress


@pytest.mark.parametrize(
    ("at_peak", "may_begin", "outcome", "word"),
    [
        (AtPeak.HOLD, False, Outcome.WAITS, "not begun at its peak: wait until it is quiet again in us-east-1 at"),
        (AtPeak.HOLD, True, Outcome.WAITS, "held with api-main-v001 out of traffic at its peak: wait until it is"),
        (AtPeak.ROLL_BACK, True, Outcome.WAITS, "not begun at its peak: wait until it is quiet again in us-east-1"),
        (AtPeak.FINISH, True, Outcome.DONE, "api-main-v001"),
    ],
)
def test_a_window_that_is_too_short(
    world: PlanWorld, at_peak: AtPeak, may_begin: bool, outcome: Outcome, word: str
) -> None:
    now = world.world.now()
    quiet = QuietTime(now + timedelta(seconds=3), now + timedelta(hours=8), at_peak, may_begin)
    goal = world.world.push_goal("push-1", scaling=SCALING, quiet=quiet)
    plan = world.plan(goal, world.world.rollback_goal("(rollback)"))
    calls, _ = until_peak(world, goal)
    assert (plan.push.outcome, planned(plan.push.calls)) == (outcome, calls)
    assert word in plan.push.word
    assert (plan.back is not None) == bool(calls)


@pytest.mark.parametrize(
    ("at_peak", "seconds", "outcome", "word"),
    [
        (AtPeak.HOLD, 12.5, Outcome.WAITS, "held in red/red with api-main-v001 at its peak: wait until it is quiet"),
        (AtPeak.ROLL_BACK, 8.0, Outcome.FAILED, "rolled back: the peak of us-east-1 at"),
    ],
)
def test_a_peak_that_comes_earlier_than_it_seemed(
    world: PlanWorld, at_peak: AtPeak, seconds: float, outcome: Outcome, word: str
) -> None:
    """So many seconds after its traffic is shared, when both watches are to come; its instances start later than was
    measured."""
    goal, back = world.world.push_goal("push-1"), world.world.rollback_goal("(rollback)")
    goal = replace(goal, need=replace(goal.need, start_seconds=1.0))
    shared = world.plan(goal, back).push.moments[Kind.TRAFFIC_SHARED]
    now = world.world.now()
    quiet = QuietTime(now + timedelta(seconds=shared + seconds), now + timedelta(hours=8), at_peak, may_begin=True)
    plan = world.plan(replace(goal, quiet=quiet), back)
    _, end = until_peak(world, replace(goal, quiet=quiet))
    assert plan.push.outcome is outcome
    assert word in plan.push.word
    assert plan.push.word.endswith(end.sentence), "the deed's instances start sooner, and come to the same end"


def test_a_plan_of_later_has_the_traffic_of_now(world: PlanWorld) -> None:
    """Its clock begins in the window; the metric store is not asked for what is to come."""
    goal, now = world.world.push_goal("push-1", scaling=SCALING), world.world.now()
    stage = AwsRehearsal(
        REGION, world.reader, LOAD_BALANCER, TRAFFIC, now + timedelta(hours=9), world.start_seconds, 9 * 3600
    )
    back = world.world.rollback_goal("(rollback)")
    later = plan_push(stage, goal, back, limit_seconds=LIMIT_SECONDS)
    soon = world.plan(goal, back)
    assert (later.push.outcome, planned(later.push.calls)) == (Outcome.DONE, planned(soon.push.calls))
    assert (later.push.seconds, later.during) == (soon.push.seconds, soon.during)


def test_an_account_that_does_not_answer(world: PlanWorld, local_cloud: LocalCloud) -> None:
    local_cloud.faults.add([{"code": "InternalFailure", "status": 500, "action": "DescribeTargetHealth"}])
    plan = world.plan(world.world.push_goal("push-1"), world.world.rollback_goal("(rollback)"))
    local_cloud.faults.clear()
    assert plan.push.outcome is Outcome.UNREADABLE
    assert "describe_target_health in us-east-1" in plan.push.word


def test_nothing_but_reads_reaches_a_client() -> None:
    def clients(service: str) -> Any:
        raise AssertionError(f"{service} was asked for")

    for service, operation in (("elbv2", "modify_listener"), ("autoscaling", "describe_policies"), ("iam", "get_user")):
        with pytest.raises(RefusedError, match=f"may not ask {service} for {operation}"):
            RealReads(clients).items(service, operation, "Any")


def test_what_was_not_rehearsed_is_refused(world: PlanWorld) -> None:
    stage = AwsRehearsal(REGION, world.reader, LOAD_BALANCER, TRAFFIC, world.world.now(), 1.0)
    with pytest.raises(RefusedError, match="attach_instances of autoscaling"):
        stage._clients["autoscaling"].attach_instances(InstanceIds=["i-1"])
    assert stage.fleet().view_cluster(CLUSTER) == world.world.view()
