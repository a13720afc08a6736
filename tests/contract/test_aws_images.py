"""The image workshop's adapter, on stock moto."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError

from include.adapters.aws_builders import client_token
from include.adapters.aws_images import AwsImages
from include.errors import RefusedError, RetryableError
from include.fleet import BuilderSpec, Image
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
    assert workshop.view_builder(NAME).state == "missing"
    spec = builder(aws)
    first = workshop.launch_builder(spec)
    assert workshop.launch_builder(spec) == first
    assert workshop.view_builder(NAME).state in ("pending", "running")
    instance = aws("ec2").describe_instances(InstanceIds=[first])["Reservations"][0]["Instances"][0]
    assert {"Key": "redstart:builder", "Value": NAME} in instance["Tags"]
    workshop.end_builder(NAME)
    workshop.end_builder(NAME)
    assert workshop.view_builder(NAME).state == "terminated"
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
    other_run = {**TAGS, "redstart:branch": "release", "redstart:build": "http://127.0.0.1/dags/api_release"}
    assert workshop.create_image(NAME, NAME, other_run).image_id == image.image_id, "another flow's, of the same code"
    with pytest.raises(RefusedError, match="is another image"):
        workshop.create_image(NAME, NAME, {**TAGS, "redstart:commit": "other"})


def made_image(workshop: AwsImages, aws: CountingClients) -> Image:
    aws("ec2").stop_instances(InstanceIds=[workshop.launch_builder(builder(aws))])
    return workshop.create_image(NAME, NAME, TAGS)


def snapshots_of(aws: CountingClients, image_id: str) -> list[str]:
    disks = aws("ec2").describe_images(ImageIds=[image_id])["Images"][0]["BlockDeviceMappings"]
    return [disk["Ebs"]["SnapshotId"] for disk in disks]


def test_a_builder_says_when_it_was_launched(workshop: AwsImages, aws: CountingClients) -> None:
    began = datetime.now(UTC)
    workshop.launch_builder(builder(aws))
    found = workshop.view_builder(NAME)
    assert found.since is not None and abs((found.since - began).total_seconds()) < 5
    assert (found.name, found.instance_type) == (NAME, "m5.large")
    assert workshop.find_builders("api") == [found] and workshop.find_builders("billing") == []
    assert "Linux" in workshop.view_console(NAME) and workshop.view_console("other") == ""
    workshop.end_builder(NAME)
    assert workshop.find_builders("api") == []


def test_a_wish_for_another_builder_has_another_token() -> None:
    """AWS remembers a token for a day: a later try's would be refused, or answered with the machine of the first."""
    spec = BuilderSpec(NAME, "ami-1", "m5.large", "#!/bin/bash\n# addresses of today\n")
    later = replace(spec, user_data="#!/bin/bash\n# addresses of tomorrow\n")
    tokens = [client_token(spec, []), client_token(later, []), client_token(spec, ["i-1"])]
    assert len(set(tokens)) == 3 and client_token(spec, []) == tokens[0]
    assert all(len(token) <= 64 for token in tokens)


def test_a_name_that_was_just_taken_and_is_not_shown_is_asked_for_again(
    workshop: AwsImages, aws: CountingClients
) -> None:
    aws("ec2").stop_instances(InstanceIds=[workshop.launch_builder(builder(aws))])
    taken = {"Error": {"Code": "InvalidAMIName.Duplicate", "Message": "in use"}}
    aws.fail["CreateImage"] = [ClientError(taken, "CreateImage")]
    with pytest.raises(RetryableError, match="was just made and is not shown yet"):
        workshop.create_image(NAME, NAME, TAGS)


def test_a_quota_says_what_to_do(workshop: AwsImages, aws: CountingClients) -> None:
    image = made_image(workshop, aws)
    aws("ec2").deregister_image(ImageId=image.image_id)
    full = {"Error": {"Code": "ResourceLimitExceeded", "Message": "20 copies"}}
    aws.fail["CopyImage"] = [ClientError(full, "CopyImage")]
    with pytest.raises(RefusedError, match="in us-east-1 .*free some, or ask AWS for a higher quota"):
        workshop.copy_image("us-west-2", image)


def test_a_shared_images_disks_are_shared_too(workshop: AwsImages, aws: CountingClients) -> None:
    image = made_image(workshop, aws)
    workshop.share_image(image.image_id, ["210987654321"])
    for snapshot in snapshots_of(aws, image.image_id):
        wish = {"SnapshotId": snapshot, "Attribute": "createVolumePermission"}
        found = aws("ec2").describe_snapshot_attribute(**wish)["CreateVolumePermissions"]
        assert found == [{"UserId": "210987654321"}]


def test_an_image_is_deleted_once(workshop: AwsImages, aws: CountingClients) -> None:
    image = made_image(workshop, aws)
    assert image.size_gib > 0
    workshop.delete_image(image.image_id)
    workshop.delete_image(image.image_id)
    assert workshop.find_images({"redstart:app": "api"}) == []


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
