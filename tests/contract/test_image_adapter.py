"""The workshop's adapter and the bake on the local cloud's control plane."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from include.adapters.aws_images import AwsImages
from include.bake import BakeDone, BakeFailed, BakeGoal, BakeProgress, BuildResult, ImageRecipe, drive_bake
from include.fleet import ImageWorkshop
from include.services.settings import REGIONS, TEST_ACCOUNT
from tests.support.fake_workshop import FakeBox
from tests.support.local_cloud import LocalCloud


def workshops(cloud: LocalCloud) -> dict[str, AwsImages]:
    return {
        region: AwsImages(region, lambda service, region=region: cloud.client(service, region)) for region in REGIONS
    }


def follow(
    cloud: LocalCloud, goal: BakeGoal, box: FakeBox, shops: Mapping[str, ImageWorkshop] | None = None
) -> BakeProgress:
    loop = drive_bake(shops or workshops(cloud), goal, box, lambda: datetime.fromtimestamp(cloud.clock.now(), UTC))
    for turn, progress in enumerate(loop):
        assert turn < 300, progress.sentence
        if "LaunchBuilder" in type(progress.step).__name__:
            box.stored = box.outcome
        cloud.advance(progress.pause_seconds)
    return progress


def bake(cloud: LocalCloud, goal: BakeGoal) -> BakeDone:
    end = follow(cloud, goal, FakeBox(BuildResult(True))).end
    assert isinstance(end, BakeDone), end
    return end


def goal_for(cloud: LocalCloud, version: str, commit: str, **more: Any) -> BakeGoal:
    base = AwsImages("us-east-1", cloud.client).find_base_image("redstart-base-*")
    recipe = ImageRecipe("api", version, commit, "tree", "prod", base.image_id, "http://127.0.0.1/dags/api_prod/runs/7")
    script = more.pop("script", "#!/bin/bash\nshutdown -h now\n")
    return BakeGoal(recipe, "us-east-1", REGIONS, script, "m5.large", (TEST_ACCOUNT,), **more)


def images(cloud: LocalCloud, name: str) -> dict[str, list[str]]:
    """Region -> ids of all images of that name."""
    wish: dict[str, Any] = {"Owners": ["self"], "Filters": [{"Name": "name", "Values": [name]}]}
    found = {region: cloud.client("ec2", region).describe_images(**wish)["Images"] for region in REGIONS}
    return {region: [image["ImageId"] for image in ones] for region, ones in found.items()}


def test_a_bake_ends_with_images_that_the_other_account_can_see(local_cloud: LocalCloud) -> None:
    goal = goal_for(local_cloud, "1.4.2", "0123456789abcdef")
    done = bake(local_cloud, goal)

    assert set(done.images) == set(REGIONS)
    for region, image_id in done.images.items():
        client = local_cloud.client("ec2", region)
        image = client.describe_images(ImageIds=[image_id])["Images"][0]
        assert (image["Name"], image["State"]) == ("api-1.4.2-0123456789ab", "available")
        assert {tag["Key"]: tag["Value"] for tag in image["Tags"]} == goal.recipe.tags
        (snapshot,) = [disk["Ebs"]["SnapshotId"] for disk in image["BlockDeviceMappings"]]
        (found,) = client.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]
        assert {tag["Key"]: tag["Value"] for tag in found["Tags"]} == goal.recipe.tags
        wish = {"SnapshotId": snapshot, "Attribute": "createVolumePermission"}
        assert client.describe_snapshot_attribute(**wish)["CreateVolumePermissions"] == [{"UserId": TEST_ACCOUNT}]
        other = local_cloud.client("ec2", region, account=TEST_ACCOUNT)
        assert other.describe_images(ImageIds=[image_id])["Images"]
    assert not AwsImages("us-east-1", local_cloud.client).view_builder(goal.builder).is_there
    assert bake(local_cloud, replace(goal, user_data="")).images == done.images


def test_a_bake_through_throttling_and_lost_replies_makes_one_image_a_region(local_cloud: LocalCloud) -> None:
    goal = goal_for(local_cloud, "1.4.3", "fedcba9876543210")
    local_cloud.faults.add([{"code": "Throttling", "probability": 0.2}, {"lost_reply": True, "probability": 0.05}])
    done = bake(local_cloud, goal)
    local_cloud.faults.clear()
    assert images(local_cloud, goal.recipe.name) == {region: [found] for region, found in done.images.items()}


def test_a_region_that_refuses_the_copy_is_named_and_gets_it_by_the_next_try(local_cloud: LocalCloud) -> None:
    goal = goal_for(local_cloud, "1.4.4", "00aa00aa00aa00aa")
    local_cloud.faults.add([{"region": "us-west-2", "action": "CopyImage", "code": "UnauthorizedOperation"}])
    end = follow(local_cloud, goal, FakeBox(BuildResult(True))).end
    assert isinstance(end, BakeFailed)
    assert "not ready in us-west-2 (" in end.reason and "ec2:CopyImage" in end.reason
    found = images(local_cloud, goal.recipe.name)
    assert {region: len(ids) for region, ids in found.items()} == {"us-east-1": 1, "us-west-2": 0, "eu-west-1": 1}
    local_cloud.faults.clear()
    done = bake(local_cloud, goal)
    assert {**found, "us-west-2": [done.images["us-west-2"]]} == images(local_cloud, goal.recipe.name)


def test_a_builder_that_never_stops_is_ended_after_its_limit(local_cloud: LocalCloud) -> None:
    goal = goal_for(local_cloud, "1.4.5", "0b0b0b0b0b0b0b0b", script="#!/bin/bash\n", builder_limit_seconds=120)
    began = local_cloud.clock.now()
    end = follow(local_cloud, goal, FakeBox(BuildResult(True))).end
    assert isinstance(end, BakeFailed)
    assert "had not switched itself off 120 s after its launch" in end.reason and "says nothing of itself" in end.reason
    assert 118 <= local_cloud.clock.now() - began <= 130
    local_cloud.advance(10)
    assert not AwsImages("us-east-1", local_cloud.client).view_builder(goal.builder).is_there


CALLS = ("RunInstances", "CreateImage", "CopyImage", "ModifyImageAttribute", "TerminateInstances")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_two_flows_that_bake_one_commit_end_with_one_image_a_region(
    local_cloud: LocalCloud, call: str, moment: str
) -> None:
    """Another flow's bake runs from start to end while this one's first call of that kind is on its way."""
    ours = goal_for(local_cloud, "1.4.6", "0c0c0c0c0c0c0c0c")
    recipe = replace(ours.recipe, branch="release", build="http://127.0.0.1/dags/api_release/runs/3")
    theirs, ends = replace(ours, recipe=recipe, user_data=ours.user_data + "# of the release flow\n"), []
    shops, box = workshops(local_cloud), FakeBox(BuildResult(True))

    def overtake(name: str, when: str) -> None:
        if (name, when) == ("run_instances", "after"):
            box.stored = box.outcome
        if (name.replace("_", ""), when) == (call.lower(), moment) and not ends:
            ends.append(None)
            ends[0] = follow(local_cloud, theirs, box).end

    for shop in shops.values():
        listen(shop, overtake)
    end = follow(local_cloud, ours, box, shops).end
    assert isinstance(end, BakeDone) and ends == [end]
    assert images(local_cloud, ours.recipe.name) == {region: [found] for region, found in end.images.items()}
    local_cloud.advance(10)
    assert AwsImages("us-east-1", local_cloud.client).find_builders("api") == []


def listen(shop: AwsImages, heard: Callable[[str, str], None]) -> None:
    """Tell of each of its calls, before and after."""
    make = shop._calls.call

    def call(service: str, operation: str, **given: Any) -> Any:
        heard(operation, "before")
        answer = make(service, operation, **given)
        heard(operation, "after")
        return answer

    shop._calls.call = call  # type: ignore[method-assign]


def test_a_deleted_image_takes_its_snapshot_along(local_cloud: LocalCloud) -> None:
    goal = goal_for(local_cloud, "1.4.7", "0d0d0d0d0d0d0d0d")
    image_id = bake(local_cloud, goal).images["us-east-1"]
    shop, client = AwsImages("us-east-1", local_cloud.client), local_cloud.client("ec2")

    def snapshots() -> list[str]:
        filters = [{"Name": "tag:redstart:app", "Values": ["api"]}]
        return [one["SnapshotId"] for one in client.describe_snapshots(Filters=filters)["Snapshots"]]

    assert len(snapshots()) == 1
    shop.delete_image(image_id)
    shop.delete_image(image_id)
    assert snapshots() == [] and shop.find_images({"redstart:app": "api"}) == []
