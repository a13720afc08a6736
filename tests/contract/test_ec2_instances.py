"""EC2: instances follow their machines; launch templates."""

from __future__ import annotations

import base64

import pytest

from tests.support.cloud_things import Things, refused
from tests.support.local_cloud import LocalCloud


def test_an_instance_is_pending_running_stopped_and_terminated_with_its_machine(
    things: Things, local_cloud: LocalCloud
) -> None:
    instance = things.run()
    assert things.state(instance) == "pending"
    local_cloud.advance(2)
    assert things.state(instance) == "running"
    answer = things.ec2.stop_instances(InstanceIds=[instance])
    assert answer["StoppingInstances"][0]["CurrentState"]["Name"] == "stopping"
    local_cloud.advance(1)
    assert (things.state(instance), local_cloud.machines.state(instance)) == ("stopped", "stopped")
    answer = things.ec2.terminate_instances(InstanceIds=[instance])["TerminatingInstances"][0]
    assert (answer["CurrentState"]["Name"], answer["PreviousState"]["Name"]) == ("shutting-down", "stopped")
    local_cloud.advance(1)
    assert (things.state(instance), local_cloud.machines.state(instance)) == ("terminated", "terminated")


@pytest.mark.parametrize(("behaviour", "end"), [("stop", "stopped"), ("terminate", "terminated")])
def test_an_instance_that_switches_itself_off(
    things: Things, local_cloud: LocalCloud, behaviour: str, end: str
) -> None:
    instance = things.run(UserData="#!/bin/sh\nshutdown -h now\n", InstanceInitiatedShutdownBehavior=behaviour)
    local_cloud.advance(10)
    assert things.state(instance) == end


def test_a_client_token_makes_one_instance(things: Things, local_cloud: LocalCloud) -> None:
    first = things.run(ClientToken="token-1", UserData="one")
    assert things.run(ClientToken="token-1", UserData="one") == first
    assert things.run(ClientToken="token-2", UserData="one") != first
    with refused("IdempotentParameterMismatch"):
        things.run(ClientToken="token-1", UserData="two")
    assert len(things.ec2.describe_instances()["Reservations"]) == 2


def test_as_many_as_max_count_are_launched(things: Things) -> None:
    things.run(MaxCount=3)
    assert len(things.ec2.describe_instances()["Reservations"][0]["Instances"]) == 3


def test_user_data_tags_and_address_reach_the_machine(things: Things, local_cloud: LocalCloud) -> None:
    tag = [{"ResourceType": "instance", "Tags": [{"Key": "redstart:builder", "Value": "b"}]}]
    instance = things.run(UserData="#!/bin/sh\ntrue\n", TagSpecifications=tag)
    spec = local_cloud.machines.specs[instance]
    assert spec.user_data == b"#!/bin/sh\ntrue\n"
    assert (spec.region, spec.zone, spec.tags) == ("us-east-1", "us-east-1a", {"redstart:builder": "b"})
    assert spec.address.startswith("127.10.1.")


def test_user_data_of_a_launch_template_reaches_the_machine(things: Things, local_cloud: LocalCloud) -> None:
    things.template("t", UserData=base64.b64encode(b"from template").decode())
    wish = {"LaunchTemplate": {"LaunchTemplateName": "t"}, "SubnetId": things.subnets()[2]["SubnetId"]}
    made = things.ec2.run_instances(MinCount=1, MaxCount=1, **wish)["Instances"][0]
    spec = local_cloud.machines.specs[made["InstanceId"]]
    assert (spec.user_data, spec.content_id, spec.zone) == (b"from template", "base", "us-east-1c")
    assert made["ImageId"] == local_cloud.base_image()


def test_addresses_are_free_again_after_a_rest(things: Things, local_cloud: LocalCloud) -> None:
    first = things.run()
    address = local_cloud.machines.specs[first].address
    things.ec2.terminate_instances(InstanceIds=[first])
    local_cloud.advance(5)
    assert local_cloud.machines.specs[things.run()].address != address
    local_cloud.advance(60)
    assert local_cloud.machines.specs[things.run()].address == address


def test_terminated_instances_are_shown_for_an_hour(things: Things, local_cloud: LocalCloud) -> None:
    instance = things.run()
    things.ec2.terminate_instances(InstanceIds=[instance])
    local_cloud.advance(600)
    assert things.state(instance) == "terminated"
    local_cloud.clock.move(3600)
    local_cloud.advance(1)
    assert things.ec2.describe_instances()["Reservations"] == []


def test_an_unknown_launch_template_is_named_as_aws_does(things: Things) -> None:
    with refused("InvalidLaunchTemplateName.NotFoundException"):
        things.ec2.delete_launch_template(LaunchTemplateName="nobody")
    things.template("t")
    with refused("InvalidLaunchTemplateName.AlreadyExistsException"):
        things.template("t")


def test_launch_templates_page(things: Things) -> None:
    for number in range(17):
        things.template(f"t{number:02}")
    pages = things.ec2.get_paginator("describe_launch_templates").paginate(PaginationConfig={"PageSize": 10})
    assert [len(page["LaunchTemplates"]) for page in pages] == [10, 7]
