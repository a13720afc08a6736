"""The workshop's adapter and the bake on the local cloud's control plane."""

from __future__ import annotations

from dataclasses import replace

from include.adapters.aws_images import AwsImages
from include.bake import BakeDone, BakeGoal, BuildResult, ImageRecipe, drive_bake
from include.services.settings import REGIONS, TEST_ACCOUNT
from tests.support.fake_workshop import FakeBox
from tests.support.local_cloud import LocalCloud


def workshops(cloud: LocalCloud) -> dict[str, AwsImages]:
    return {
        region: AwsImages(region, lambda service, region=region: cloud.client(service, region)) for region in REGIONS
    }


def bake(cloud: LocalCloud, goal: BakeGoal) -> BakeDone:
    box = FakeBox()
    box.stored = None
    for turn, progress in enumerate(drive_bake(workshops(cloud), goal, box)):
        assert turn < 100, progress.sentence
        if isinstance(progress.end, BakeDone):
            return progress.end
        assert progress.end is None, progress.sentence
        if "LaunchBuilder" in type(progress.step).__name__:
            box.stored = BuildResult(True)
        cloud.advance(progress.pause_seconds)
    raise AssertionError("no end")


def test_a_bake_ends_with_images_that_the_other_account_can_see(local_cloud: LocalCloud) -> None:
    base = AwsImages("us-east-1", local_cloud.client).find_base_image("redstart-base-*")
    recipe = ImageRecipe("api", "1.4.2", "0123456789abcdef", "tree", "prod", base.image_id, "run-7")
    goal = BakeGoal(recipe, "us-east-1", REGIONS, "#!/bin/bash\nshutdown -h now\n", "m5.large", (TEST_ACCOUNT,))

    done = bake(local_cloud, goal)

    assert set(done.images) == set(REGIONS)
    for region, image_id in done.images.items():
        image = local_cloud.client("ec2", region).describe_images(ImageIds=[image_id])["Images"][0]
        assert (image["Name"], image["State"]) == ("api-1.4.2-0123456789ab", "available")
        assert {tag["Key"]: tag["Value"] for tag in image["Tags"]} == recipe.tags
        other = local_cloud.client("ec2", region, account=TEST_ACCOUNT)
        assert other.describe_images(ImageIds=[image_id])["Images"]
    assert AwsImages("us-east-1", local_cloud.client).builder_state(recipe.name) in ("terminated", "missing")
    assert bake(local_cloud, replace(goal, user_data="#!/bin/bash\nexit 1\n")).images == done.images


def test_a_bake_through_throttling_and_lost_replies_makes_one_image_a_region(local_cloud: LocalCloud) -> None:
    base = AwsImages("us-east-1", local_cloud.client).find_base_image("redstart-base-*")
    recipe = ImageRecipe("api", "1.4.3", "fedcba9876543210", "tree", "prod", base.image_id)
    goal = BakeGoal(recipe, "us-east-1", REGIONS, "#!/bin/bash\nshutdown -h now\n", "m5.large", (TEST_ACCOUNT,))
    local_cloud.faults.add([{"code": "Throttling", "probability": 0.2}, {"lost_reply": True, "probability": 0.05}])
    done = bake(local_cloud, goal)
    local_cloud.faults.clear()
    for region, image_id in done.images.items():
        filters = [{"Name": "name", "Values": [recipe.name]}]
        found = local_cloud.client("ec2", region).describe_images(Owners=["self"], Filters=filters)["Images"]
        assert [image["ImageId"] for image in found] == [image_id]
