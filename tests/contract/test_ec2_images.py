"""EC2: images, their states, copies and sharing between accounts."""

from __future__ import annotations

import pytest

from include.localcloud.world import TEST_ACCOUNT
from include.services.settings import PROD_ACCOUNT
from tests.support.cloud_things import Things, refused
from tests.support.local_cloud import LocalCloud


class OfTest(Things):
    """The same region as seen by the test account."""

    def __init__(self, cloud: LocalCloud) -> None:
        super().__init__(cloud)
        self.ec2 = cloud.client("ec2", account=TEST_ACCOUNT)


def stopped_builder(things: Things, local_cloud: LocalCloud) -> str:
    builder = things.run(UserData="#!/bin/sh\nmake\nshutdown -h now\n")
    local_cloud.advance(8)
    assert things.state(builder) == "stopped"
    return builder


def baked_image(things: Things, local_cloud: LocalCloud, name: str = "api-1") -> str:
    builder = stopped_builder(things, local_cloud)
    image = things.ec2.create_image(
        InstanceId=builder, Name=name, NoReboot=True,
        TagSpecifications=[
            {"ResourceType": "image", "Tags": [{"Key": "redstart:commit", "Value": "abc"}]},
            {"ResourceType": "snapshot", "Tags": [{"Key": "redstart:commit", "Value": "abc"}]},
        ],
    )["ImageId"]  # fmt: skip
    assert shown(things, image)["State"] == "pending"
    local_cloud.advance(3)
    assert shown(things, image)["State"] == "available"
    return str(image)


def shown(things: Things, image: str) -> dict:
    return things.ec2.describe_images(ImageIds=[image])["Images"][0]


def tags(image: dict) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in image.get("Tags", ())}


def test_an_image_keeps_the_disk_of_its_builder(things: Things, local_cloud: LocalCloud) -> None:
    image = baked_image(things, local_cloud)
    assert tags(shown(things, image)) == {"redstart:commit": "abc"}
    instance = things.run(image)
    assert local_cloud.machines.specs[instance].content_id.startswith("content-of-i-")


def test_an_image_of_an_instance_without_a_disk_is_refused(things: Things, local_cloud: LocalCloud) -> None:
    local_cloud.speeds.boot_seconds = 10
    builder = things.run()
    with refused("IncorrectState"):
        things.ec2.create_image(InstanceId=builder, Name="too-early")


def test_a_taken_image_name_is_refused(things: Things, local_cloud: LocalCloud) -> None:
    first = baked_image(things, local_cloud)
    builder = stopped_builder(things, local_cloud)
    with refused("InvalidAMIName.Duplicate"):
        things.ec2.create_image(InstanceId=builder, Name="api-1")
    with refused("InvalidAMIName.Duplicate"):
        things.ec2.register_image(Name="api-1")
    with refused("InvalidAMIName.Duplicate"):
        things.ec2.copy_image(SourceImageId=first, SourceRegion="us-east-1", Name="api-1")
    things.ec2.deregister_image(ImageId=first)
    things.ec2.create_image(InstanceId=builder, Name="api-1")


@pytest.mark.parametrize("copies_tags", [True, False])
def test_a_copy_has_its_own_tags_source_and_the_same_disk(
    things: Things, local_cloud: LocalCloud, copies_tags: bool
) -> None:
    source = baked_image(things, local_cloud)
    west = Things(local_cloud, "us-west-2")
    wish = {
        "SourceImageId": source,
        "SourceRegion": "us-east-1",
        "Name": "api-1",
        "CopyImageTags": copies_tags,
        "TagSpecifications": [{"ResourceType": "image", "Tags": [{"Key": "region", "Value": "west"}]}],
        "ClientToken": "once",
    }
    copied = west.ec2.copy_image(**wish)["ImageId"]
    assert west.ec2.copy_image(**wish)["ImageId"] == copied, "the same token is the same copy"
    found = shown(west, copied)
    assert found["State"] == "pending"
    assert (found["SourceImageId"], found["SourceImageRegion"]) == (source, "us-east-1")
    assert tags(found) == {"region": "west"} | ({"redstart:commit": "abc"} if copies_tags else {})
    with refused("InvalidAMIID.Unavailable"):
        west.run(copied)
    local_cloud.advance(3)
    instance = west.run(copied)
    here = things.run(source)
    assert local_cloud.machines.specs[instance].content_id == local_cloud.machines.specs[here].content_id
    with refused("InvalidAMIID.NotFound"):
        west.run(source)


def test_unknown_deregistered_and_disabled_images_do_not_boot(things: Things, local_cloud: LocalCloud) -> None:
    image = baked_image(things, local_cloud)
    with refused("InvalidAMIID.NotFound"):
        things.run("ami-12345678")
    things.ec2.disable_image(ImageId=image)
    with refused("InvalidAMIID.Unavailable"):
        things.run(image)
    things.ec2.deregister_image(ImageId=image)
    with refused("InvalidAMIID.Unavailable"):
        things.run(image)


def test_registered_images_have_tags_and_become_available(things: Things, local_cloud: LocalCloud) -> None:
    specification = [{"ResourceType": "image", "Tags": [{"Key": "a", "Value": "b"}]}]
    image = things.ec2.register_image(Name="own", TagSpecifications=specification)["ImageId"]
    assert (shown(things, image)["State"], tags(shown(things, image))) == ("pending", {"a": "b"})
    local_cloud.advance(3)
    assert shown(things, image)["State"] == "available"


def test_only_a_shared_image_is_seen_and_boots_in_the_other_account(things: Things, local_cloud: LocalCloud) -> None:
    image = baked_image(things, local_cloud)
    other = OfTest(local_cloud)
    with refused("InvalidAMIID.NotFound"):
        shown(other, image)
    with refused("InvalidAMIID.NotFound"):
        other.run(image)
    permission = {"Add": [{"UserId": TEST_ACCOUNT}]}
    things.ec2.modify_image_attribute(ImageId=image, LaunchPermission=permission)

    found = shown(other, image)
    assert (found["OwnerId"], tags(found)) == (PROD_ACCOUNT, {}), "tags stay the owner's"
    assert ids(other, ExecutableUsers=["self"]) == [image]
    assert ids(other, Owners=[PROD_ACCOUNT]) == [image]
    assert ids(other, Filters=[{"Name": "name", "Values": ["api-*"]}]) == [image]
    assert image not in ids(other, Owners=["self"])
    instance = other.run(image)
    assert local_cloud.machines.specs[instance].account_id == TEST_ACCOUNT
    local_cloud.advance(3)
    assert other.state(instance) == "running"
    with refused("InvalidInstanceID.NotFound"):
        things.state(instance)

    with refused("AuthFailure"):
        other.ec2.modify_image_attribute(ImageId=image, LaunchPermission=permission)
    west = local_cloud.client("ec2", "us-west-2", account=TEST_ACCOUNT)
    with refused("InvalidAMIID.NotFound"):
        west.describe_images(ImageIds=[image])
    things.ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Remove": [{"UserId": TEST_ACCOUNT}]})
    with refused("InvalidAMIID.NotFound"):
        other.run(image)


def ids(things: Things, **wish: object) -> list[str]:
    return [one["ImageId"] for one in things.ec2.describe_images(**wish)["Images"]]
