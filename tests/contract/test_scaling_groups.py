"""Auto Scaling: making, resizing and deleting groups."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.support.cloud_things import Things, refused
from tests.support.local_cloud import START, LocalCloud


def test_members_are_pending_until_their_machines_run_then_in_service(things: Things, local_cloud: LocalCloud) -> None:
    local_cloud.speeds.boot_seconds = 20
    things.group()
    local_cloud.advance(15)
    assert len(things.members(lifecycle="Pending")) == 3
    local_cloud.advance(10)
    assert len(things.members()) == 3
    assert things.describe()["CreatedTime"].timestamp() == START


def test_zones_are_balanced_at_every_size(things: Things, local_cloud: LocalCloud) -> None:
    things.group(size=4)
    local_cloud.advance(3)
    for size in (7, 9, 5, 2):
        things.scaling.set_desired_capacity(AutoScalingGroupName="g-v000", DesiredCapacity=size)
        local_cloud.advance(30)
        held = Counter(one["AvailabilityZone"] for one in things.describe()["Instances"])
        assert held.total() == size
        assert max(held.values()) - min(held.get(f"us-east-1{zone}", 0) for zone in "abc") <= 1


def test_a_taken_name_is_refused_and_the_group_stays(things: Things, local_cloud: LocalCloud) -> None:
    things.group()
    local_cloud.advance(3)
    before = things.members()
    with refused("AlreadyExists"):
        things.bare_group("g-v000", size=1)
    local_cloud.advance(3)
    assert things.members() == before


def test_a_missing_target_group_or_template_leaves_nothing_behind(things: Things, local_cloud: LocalCloud) -> None:
    arn = things.target_group("other")
    things.elb.delete_target_group(TargetGroupArn=arn)
    things.template("g-v000")
    with refused("ValidationError"):
        things.bare_group("g-v000", TargetGroupARNs=[arn])
    with refused("ValidationError"):
        things.bare_group("g-v001")
    local_cloud.advance(3)
    assert things.describe("g-v000") == things.describe("g-v001") == {}
    assert things.ec2.describe_instances()["Reservations"] == []


def test_a_member_shows_the_template_version_it_was_launched_from(things: Things, local_cloud: LocalCloud) -> None:
    things.group(size=1)
    local_cloud.advance(3)
    things.ec2.create_launch_template_version(
        LaunchTemplateName="g-v000", SourceVersion="1", LaunchTemplateData={"UserData": "IyEvYmluL3NoCg=="}
    )
    things.scaling.set_desired_capacity(AutoScalingGroupName="g-v000", DesiredCapacity=2)
    local_cloud.advance(3)
    versions = {one["InstanceId"]: one["LaunchTemplate"]["Version"] for one in things.describe()["Instances"]}
    assert sorted(versions.values()) == ["1", "2"]
    newest = next(one for one, version in versions.items() if version == "2")
    assert local_cloud.machines.specs[newest].user_data == b"#!/bin/sh\n"
    assert local_cloud.machines.specs[newest].content_id == "base"


def test_bounds_are_kept(things: Things, local_cloud: LocalCloud) -> None:
    things.group(size=3, largest=5, MinSize=2)
    scaling, name = things.scaling, {"AutoScalingGroupName": "g-v000"}
    for size in (1, 6):
        with refused("ValidationError"):
            scaling.set_desired_capacity(**name, DesiredCapacity=size)
    with refused("ValidationError"):
        scaling.update_auto_scaling_group(**name, MinSize=4, MaxSize=3)
    with refused("ValidationError"):
        scaling.update_auto_scaling_group(**name, DesiredCapacity=7)
    with refused("ValidationError"):
        things.bare_group("g-v000-b", size=9, largest=3)
    scaling.update_auto_scaling_group(**name, MinSize=4)
    assert things.describe()["DesiredCapacity"] == 4
    scaling.update_auto_scaling_group(**name, MinSize=1, MaxSize=2)
    assert things.describe()["DesiredCapacity"] == 2


def test_an_unknown_group_is_a_validation_error(things: Things) -> None:
    name = {"AutoScalingGroupName": "nobody"}
    calls = (
        lambda: things.scaling.set_desired_capacity(**name, DesiredCapacity=1),
        lambda: things.scaling.update_auto_scaling_group(**name, MinSize=1),
        lambda: things.scaling.suspend_processes(**name),
        lambda: things.scaling.resume_processes(**name),
        lambda: things.scaling.attach_load_balancer_target_groups(**name, TargetGroupARNs=[]),
        lambda: things.scaling.delete_auto_scaling_group(**name, ForceDelete=True),
        lambda: things.scaling.describe_scaling_activities(**name),
        lambda: things.scaling.create_or_update_tags(
            Tags=[{"ResourceId": "nobody", "ResourceType": "auto-scaling-group", "Key": "a", "Value": "b",
                   "PropagateAtLaunch": True}]
        ),
    )  # fmt: skip
    for call in calls:
        with refused("ValidationError"):
            call()


def test_scale_in_prefers_the_unhealthy_then_the_oldest_of_the_fullest_zone(
    things: Things, local_cloud: LocalCloud
) -> None:
    arn = things.serving_group(size=4)
    fullest = Counter(one["AvailabilityZone"] for one in things.describe()["Instances"]).most_common(1)[0][0]
    oldest = next(one["InstanceId"] for one in things.describe()["Instances"] if one["AvailabilityZone"] == fullest)
    sick = next(one["InstanceId"] for one in things.describe()["Instances"] if one["AvailabilityZone"] != fullest)
    things.scaling.suspend_processes(AutoScalingGroupName="g-v000", ScalingProcesses=["ReplaceUnhealthy"])
    local_cloud.machines.sicken(sick)
    local_cloud.advance(6)
    assert things.health(arn)[sick] == "unhealthy"
    things.scaling.set_desired_capacity(AutoScalingGroupName="g-v000", DesiredCapacity=3)
    assert things.members(lifecycle="Terminating") == [sick]
    things.scaling.set_desired_capacity(AutoScalingGroupName="g-v000", DesiredCapacity=2)
    assert oldest in things.members(lifecycle="Terminating")


def test_a_protected_member_is_never_scaled_in(things: Things, local_cloud: LocalCloud) -> None:
    things.group(size=2)
    local_cloud.advance(3)
    kept = things.members()[0]
    things.scaling.set_instance_protection(AutoScalingGroupName="g-v000", InstanceIds=[kept], ProtectedFromScaleIn=True)
    things.scaling.set_desired_capacity(AutoScalingGroupName="g-v000", DesiredCapacity=0)
    local_cloud.advance(20)
    assert things.members() == [kept]


def test_a_member_drains_before_its_instance_is_terminated(things: Things, local_cloud: LocalCloud) -> None:
    arn = things.serving_group(size=2)
    things.scaling.set_desired_capacity(AutoScalingGroupName="g-v000", DesiredCapacity=1)
    local_cloud.advance(8)
    victim = things.members(lifecycle="Terminating")[0]
    assert things.reason(arn, victim) == ("draining", "Target.DeregistrationInProgress")
    assert things.state(victim) == "running"
    assert things.activities()[0]["StatusCode"] == "WaitingForELBConnectionDraining"
    assert [one.is_draining for one in local_cloud.router().groups[0].targets if one.instance_id == victim] == [True]
    local_cloud.advance(5)
    assert things.state(victim) == "terminated"
    assert list(things.health(arn).values()) == ["healthy"]
    assert things.activities()[0]["StatusCode"] == "Successful"


def test_deletion_needs_an_empty_group_or_force(things: Things, local_cloud: LocalCloud) -> None:
    arn = things.serving_group(size=2)
    with refused("ResourceInUse"):
        things.scaling.delete_auto_scaling_group(AutoScalingGroupName="g-v000")
    things.scaling.set_desired_capacity(AutoScalingGroupName="g-v000", DesiredCapacity=1)
    with refused("ScalingActivityInProgress"):
        things.scaling.delete_auto_scaling_group(AutoScalingGroupName="g-v000")
    things.scaling.delete_auto_scaling_group(AutoScalingGroupName="g-v000", ForceDelete=True)
    assert things.describe()["Status"] == "Delete in progress"
    with refused("AlreadyExists"):
        things.bare_group("g-v000")
    with refused("ValidationError"):
        things.scaling.set_desired_capacity(AutoScalingGroupName="g-v000", DesiredCapacity=0)
    local_cloud.advance(5)
    assert set(things.health(arn).values()) == {"draining"}
    local_cloud.advance(10)
    assert things.describe() == {}
    assert things.health(arn) == {}
    things.bare_group("g-v000")


def test_policies_and_schedules_belong_to_their_group_and_go_with_it(things: Things, local_cloud: LocalCloud) -> None:
    scaling = things.scaling
    for name in ("g-v000", "g-v001"):
        things.group(name, size=1)
        scaling.put_scaling_policy(
            AutoScalingGroupName=name, PolicyName="track", PolicyType="TargetTrackingScaling",
            TargetTrackingConfiguration={
                "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"},
                "TargetValue": 50.0,
            },
        )  # fmt: skip
        scaling.put_scheduled_update_group_action(
            AutoScalingGroupName=name, ScheduledActionName="night", StartTime=START + 60, DesiredCapacity=2
        )
    assert len(scaling.describe_policies(AutoScalingGroupName="g-v000")["ScalingPolicies"]) == 1
    scaling.suspend_processes(AutoScalingGroupName="g-v001", ScalingProcesses=["ScheduledActions"])
    local_cloud.advance(70)
    assert (len(things.members("g-v000")), len(things.members("g-v001"))) == (2, 1)
    scaling.delete_auto_scaling_group(AutoScalingGroupName="g-v000", ForceDelete=True)
    local_cloud.advance(10)
    assert [one["AutoScalingGroupName"] for one in scaling.describe_policies()["ScalingPolicies"]] == ["g-v001"]


def test_activities_tell_what_happened_and_page(things: Things, local_cloud: LocalCloud) -> None:
    things.group(size=3)
    assert {one["StatusCode"] for one in things.activities()} == {"InProgress"}
    assert all("EndTime" not in one for one in things.activities())
    local_cloud.advance(3)
    done = things.activities()
    assert {one["StatusCode"] for one in done} == {"Successful"}
    assert all(one["EndTime"] > one["StartTime"] and one["Cause"] for one in done)
    pages = things.scaling.get_paginator("describe_scaling_activities").paginate(
        AutoScalingGroupName="g-v000", PaginationConfig={"PageSize": 2}
    )
    assert [len(page["Activities"]) for page in pages] == [2, 1]


def test_an_image_that_is_gone_is_a_failed_activity_not_a_crash(things: Things, local_cloud: LocalCloud) -> None:
    things.group(size=1)
    local_cloud.advance(3)
    things.ec2.deregister_image(ImageId=local_cloud.base_image())
    things.scaling.set_desired_capacity(AutoScalingGroupName="g-v000", DesiredCapacity=2)
    local_cloud.advance(3)
    assert things.activities()[0]["StatusCode"] == "Failed"
    assert "Launching EC2 instance failed" in things.activities()[0]["StatusMessage"]
    assert len(things.members()) == 1
    assert len(things.activities()) == 2, "one try, then a pause"


def test_tags_reach_instances_only_where_they_propagate(things: Things, local_cloud: LocalCloud) -> None:
    tags = [
        {"Key": "a", "Value": "1", "PropagateAtLaunch": True},
        {"Key": "b", "Value": "2", "PropagateAtLaunch": False},
    ]
    things.group(size=1, Tags=tags)
    things.scaling.create_or_update_tags(
        Tags=[{"ResourceId": "g-v000", "ResourceType": "auto-scaling-group", "Key": "b", "Value": "3",
               "PropagateAtLaunch": False}]
    )  # fmt: skip
    assert {tag["Key"]: tag["Value"] for tag in things.describe()["Tags"]} == {"a": "1", "b": "3"}
    instance = things.ec2.describe_instances()["Reservations"][0]["Instances"][0]
    found = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
    assert (found["a"], found.get("b"), found["aws:autoscaling:groupName"]) == ("1", None, "g-v000")
    found_groups = things.scaling.describe_auto_scaling_groups(Filters=[{"Name": "tag:b", "Values": ["3"]}])
    assert len(found_groups["AutoScalingGroups"]) == 1


@pytest.mark.parametrize("names", [["Nonsense"], ["Launch", "launch"]])
def test_bogus_process_names_are_refused(things: Things, names: list[str]) -> None:
    things.group(size=0)
    with refused("ValidationError"):
        things.scaling.suspend_processes(AutoScalingGroupName="g-v000", ScalingProcesses=names)
    assert things.describe()["SuspendedProcesses"] == []
