"""Auto Scaling: health, replacement and suspended processes."""

from __future__ import annotations

from tests.support.cloud_things import Things, refused
from tests.support.local_cloud import LocalCloud

GROUP = {"AutoScalingGroupName": "g-v000"}


def test_a_target_that_fails_its_checks_is_replaced_after_the_grace(things: Things, local_cloud: LocalCloud) -> None:
    arn = things.serving_group(size=2, HealthCheckGracePeriod=30)
    sick = things.members()[0]
    local_cloud.machines.sicken(sick)
    local_cloud.advance(6)
    assert things.reason(arn, sick) == ("unhealthy", "Target.FailedHealthChecks")
    assert sick in things.members(), "still in its grace"
    local_cloud.advance(20)
    assert sick in things.members(lifecycle="Terminating")
    local_cloud.advance(20)
    assert sick not in things.health(arn)
    assert list(things.health(arn).values()) == ["healthy", "healthy"]
    assert any("ELB system health check failure" in one["Cause"] for one in things.activities())


def test_health_check_type_ec2_ignores_the_target_group(things: Things, local_cloud: LocalCloud) -> None:
    arn = things.serving_group(size=1, HealthCheckType="EC2")
    local_cloud.machines.sicken(things.members()[0])
    local_cloud.advance(60)
    assert list(things.health(arn).values()) == ["unhealthy"]


def test_a_machine_that_stopped_is_replaced_at_once(things: Things, local_cloud: LocalCloud) -> None:
    things.group(size=2, HealthCheckType="EC2", HealthCheckGracePeriod=600)
    local_cloud.advance(3)
    victim = things.members()[0]
    local_cloud.machines.kill(victim)
    local_cloud.advance(5)
    assert things.state(victim) == "terminated"
    assert len(things.members()) == 2


def test_a_member_that_was_terminated_by_hand_is_replaced(things: Things, local_cloud: LocalCloud) -> None:
    arn = things.serving_group(size=2)
    victim = things.members()[0]
    things.ec2.terminate_instances(InstanceIds=[victim])
    local_cloud.advance(15)
    assert victim not in things.health(arn)
    assert len(things.members()) == 2


def test_set_instance_health_is_acted_upon(things: Things, local_cloud: LocalCloud) -> None:
    things.group(size=1)
    local_cloud.advance(3)
    victim = things.members()[0]
    things.scaling.set_instance_health(InstanceId=victim, HealthStatus="Unhealthy")
    local_cloud.advance(5)
    assert victim not in things.members()
    assert len(things.members()) == 1


def test_terminating_a_member_may_lower_the_wish_but_not_below_the_minimum(
    things: Things, local_cloud: LocalCloud
) -> None:
    things.group(size=2, MinSize=1)
    local_cloud.advance(3)
    first, second = things.members()
    end = things.scaling.terminate_instance_in_auto_scaling_group
    assert end(InstanceId=first, ShouldDecrementDesiredCapacity=True)["Activity"]["StatusCode"] == "InProgress"
    local_cloud.advance(5)
    assert things.members() == [second]
    with refused("ValidationError"):
        end(InstanceId=second, ShouldDecrementDesiredCapacity=True)
    end(InstanceId=second, ShouldDecrementDesiredCapacity=False)
    local_cloud.advance(5)
    assert len(things.members()) == 1
    assert second not in things.members()


def test_suspended_launch_launches_nothing_until_resumed(things: Things, local_cloud: LocalCloud) -> None:
    things.group(size=1)
    things.scaling.suspend_processes(**GROUP, ScalingProcesses=["Launch"])
    things.scaling.set_desired_capacity(**GROUP, DesiredCapacity=3)
    local_cloud.advance(10)
    assert len(things.describe()["Instances"]) == 1
    things.scaling.resume_processes(**GROUP, ScalingProcesses=["Launch"])
    local_cloud.advance(3)
    assert len(things.members()) == 3


def test_suspended_terminate_ends_nobody(things: Things, local_cloud: LocalCloud) -> None:
    things.serving_group(size=2)
    things.scaling.suspend_processes(**GROUP, ScalingProcesses=["Terminate"])
    things.scaling.set_desired_capacity(**GROUP, DesiredCapacity=1)
    local_cloud.machines.sicken(things.members()[0])
    local_cloud.advance(40)
    assert len(things.members()) == 2
    assert sorted(one["HealthStatus"] for one in things.describe()["Instances"]) == ["Healthy", "Unhealthy"]


def test_suspended_add_to_load_balancer_keeps_new_members_out(things: Things, local_cloud: LocalCloud) -> None:
    arn = things.serving_group(size=1)
    things.scaling.suspend_processes(**GROUP, ScalingProcesses=["AddToLoadBalancer"])
    things.scaling.set_desired_capacity(**GROUP, DesiredCapacity=2)
    local_cloud.advance(10)
    assert (len(things.members()), len(things.health(arn))) == (2, 1)


def test_suspended_health_check_and_replace_unhealthy(things: Things, local_cloud: LocalCloud) -> None:
    things.serving_group(size=1)
    member = things.members()[0]
    things.scaling.suspend_processes(**GROUP, ScalingProcesses=["HealthCheck"])
    local_cloud.machines.sicken(member)
    local_cloud.advance(30)
    assert things.describe()["Instances"][0]["HealthStatus"] == "Healthy"
    things.scaling.suspend_processes(**GROUP, ScalingProcesses=["ReplaceUnhealthy"])
    things.scaling.resume_processes(**GROUP, ScalingProcesses=["HealthCheck"])
    local_cloud.advance(30)
    assert things.describe()["Instances"][0]["HealthStatus"] == "Unhealthy"
    assert things.members() == [member]
    things.scaling.resume_processes(**GROUP)
    local_cloud.advance(30)
    assert member not in things.members()


def test_all_processes_are_suspended_where_none_is_named(things: Things) -> None:
    things.group(size=0)
    things.scaling.suspend_processes(**GROUP)
    assert len(things.describe()["SuspendedProcesses"]) == 9
    things.scaling.resume_processes(**GROUP)
    assert things.describe()["SuspendedProcesses"] == []


def test_a_machine_that_does_not_boot_is_replaced_and_the_failure_told(things: Things, local_cloud: LocalCloud) -> None:
    local_cloud.machines.refuses_boot = lambda spec: True
    things.group(size=1)
    local_cloud.advance(30)
    failed = [one for one in things.activities() if one["StatusCode"] == "Failed"]
    assert 2 <= len(failed) <= 8, "again and again, but not at every step"
    local_cloud.machines.refuses_boot = lambda spec: False
    local_cloud.advance(10)
    assert len(things.members()) == 1


def test_target_groups_can_be_attached_and_detached(things: Things, local_cloud: LocalCloud) -> None:
    things.template("g-v000")
    things.bare_group("g-v000", size=2)
    arn = things.target_group("late")
    things.forward({arn: 1})
    local_cloud.advance(3)
    things.scaling.attach_load_balancer_target_groups(**GROUP, TargetGroupARNs=[arn])
    assert set(things.health(arn).values()) == {"initial"}
    local_cloud.advance(10)
    assert set(things.health(arn).values()) == {"healthy"}
    things.scaling.detach_load_balancer_target_groups(**GROUP, TargetGroupARNs=[arn])
    assert set(things.health(arn).values()) == {"draining"}
    local_cloud.advance(12)
    assert things.health(arn) == {}
    assert len(things.members()) == 2
