"""The image workshop's adapter, on stock moto."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from include.adapters.aws_images import AwsImages
from include.errors import RefusedError, RetryableError
from include.fleet import BuilderSpec
from tests.contract.test_aws_fleet import throttled
from tests.support.aws_stub import CountingClients, stub_aws

TAGS = {"redstart:app": "api", "redstart:commit": "abc", "redstart:version": "1.0"}
NAME = "api-1.0-abc"


@pytest.fixture
def aws() -> Iterator[CountingClients]:
    with stub_aws() as clients:
        yield clients


@pytest.fixture
def workshop(aws: CountingClients) -> AwsImages:
    return AwsImages("us-east-1", aws)


def base_image(aws: CountingClients, name: str = "redstart-base-1") -> str:
    return str(aws("ec2").register_image(Name=name, RootDeviceName="/dev/sda1")["ImageId"])


def builder(aws: CountingClients) -> BuilderSpec:
    return BuilderSpec(NAME, base_image(aws), "m5.large", "#!/bin/bash\n", {"redstart:app": "api"})


def test_the_newest_base_image_of_the_pattern_is_found(workshop: AwsImages, aws: CountingClients) -> None:
    base_image(aws, "other-1")
    wanted = base_image(aws)
    assert workshop.find_base_image("redstart-base-*").image_id == wanted
    with pytest.raises(RefusedError, match="no available image is named nothing-\\*"):
        workshop.find_base_image("nothing-*")


def test_a_builder_of_that_name_is_adopted_until_it_is_ended(workshop: AwsImages, aws: CountingClients) -> None:
    assert workshop.builder_state(NAME) == "missing"
    spec = builder(aws)
    first = workshop.launch_builder(spec)
    assert workshop.launch_builder(spec) == first
    assert workshop.builder_state(NAME) in ("pending", "running")
    instance = aws("ec2").describe_instances(InstanceIds=[first])["Reservations"][0]["Instances"][0]
    assert {"Key": "redstart:builder", "Value": NAME} in instance["Tags"]
    workshop.end_builder(NAME)
    workshop.end_builder(NAME)
    assert workshop.builder_state(NAME) == "terminated"
    assert workshop.launch_builder(spec) != first


def test_an_image_is_made_once_of_the_stopped_builder(workshop: AwsImages, aws: CountingClients) -> None:
    instance = workshop.launch_builder(builder(aws))
    with pytest.raises(RefusedError, match="no stopped builder"):
        workshop.create_image(NAME, NAME, TAGS)
    aws("ec2").stop_instances(InstanceIds=[instance])
    image = workshop.create_image(NAME, NAME, TAGS)
    assert (image.name, dict(image.tags)) == (NAME, TAGS)
    assert workshop.create_image(NAME, NAME, TAGS).image_id == image.image_id
    assert [one.image_id for one in workshop.find_images(TAGS)] == [image.image_id]
    assert workshop.find_images({**TAGS, "redstart:commit": "other"}) == []
    with pytest.raises(RefusedError, match="is another image"):
        workshop.create_image(NAME, NAME, {**TAGS, "redstart:commit": "other"})


def test_a_copy_has_name_and_tags_also_after_an_interruption(workshop: AwsImages, aws: CountingClients) -> None:
    instance = workshop.launch_builder(builder(aws))
    aws("ec2").stop_instances(InstanceIds=[instance])
    image = workshop.create_image(NAME, NAME, TAGS)
    west = CountingClients("us-west-2")
    try:
        west.fail["CreateTags"] = [throttled("CreateTags")]
        other = AwsImages("us-west-2", west)
        with pytest.raises(RetryableError):
            other.copy_image("us-east-1", image)
        copy = other.copy_image("us-east-1", image)
        assert other.copy_image("us-east-1", image).image_id == copy.image_id
        assert west.calls.count("CopyImage") == 1
        assert [one.image_id for one in other.find_images(TAGS)] == [copy.image_id]
        assert other.find_images(TAGS)[0].name == NAME
    finally:
        west.close()


def test_an_image_is_shared_with_other_accounts(workshop: AwsImages, aws: CountingClients) -> None:
    image = base_image(aws)
    workshop.share_image(image, ["210987654321"])
    workshop.share_image(image, ["210987654321"])
    found = aws("ec2").describe_image_attribute(ImageId=image, Attribute="launchPermission")
    assert found["LaunchPermissions"] == [{"UserId": "210987654321"}]
