"""Stories of a bake: plan and driver on workshops in memory."""

from __future__ import annotations

import pytest

from include.bake import BakeDone, BakeFailed, BakeGoal, BuildResult, ImageRecipe, drive_bake
from include.bake.drive import BakeProgress
from tests.support.fake_workshop import FakeBox, FakeWorkshop

REGIONS = ("us-east-1", "us-west-2", "eu-west-1")
RECIPE = ImageRecipe("api", "1.4.2", "0123456789abcdef", "tree", "prod", "ami-base", "run-7")
GOAL = BakeGoal(RECIPE, "us-east-1", REGIONS, "#!/bin/bash\n", "m5.large", ("210987654321",))


class Killed(BaseException):
    pass


def workshops(outcome: BuildResult | None) -> tuple[dict[str, FakeWorkshop], FakeBox]:
    box = FakeBox(outcome)
    return {region: FakeWorkshop(region, box) for region in REGIONS}, box


def bake(shops: dict[str, FakeWorkshop], box: FakeBox) -> tuple[BakeProgress, list[str]]:
    said = []
    for turn, progress in enumerate(drive_bake(shops, GOAL, box)):
        said.append(type(progress.step).__name__)
        assert turn < 50, said
    return progress, said


def test_a_bake_leaves_a_shared_image_in_every_region_and_no_builder() -> None:
    shops, box = workshops(BuildResult(True))
    progress, _ = bake(shops, box)
    assert isinstance(progress.end, BakeDone)
    assert progress.end.images == {region: f"ami-{region}" for region in REGIONS}
    for shop in shops.values():
        assert shop.images["api-1.4.2-0123456789ab"].tags == RECIPE.tags
        assert shop.shared == {f"ami-{shop.region}": {"210987654321"}}
        assert shop.builders == {}


def test_an_image_of_that_code_is_found_and_not_baked_again() -> None:
    shops, box = workshops(BuildResult(True))
    bake(shops, box)
    _, said = bake(shops, box)
    assert "LaunchBuilder" not in said and "CreateImage" not in said and "CopyImage" not in said
    assert shops["us-east-1"].launched == 1


@pytest.mark.parametrize(
    ("outcome", "word"), [(BuildResult(False, "the artifact's sha256 is x"), "sha256"), (None, "without a result")]
)
def test_a_failed_builder_makes_no_image_and_is_ended(outcome: BuildResult | None, word: str) -> None:
    shops, box = workshops(outcome)
    progress, _ = bake(shops, box)
    assert isinstance(progress.end, BakeFailed) and word in progress.end.reason
    assert not any(shop.images for shop in shops.values())
    assert shops["us-east-1"].builders == {}


def test_the_next_try_after_a_failure_forgets_its_result() -> None:
    shops, box = workshops(BuildResult(False, "disk full"))
    bake(shops, box)
    box.outcome = BuildResult(True)
    progress, said = bake(shops, box)
    assert said[0] == "ClearResult"
    assert isinstance(progress.end, BakeDone)


def test_an_engine_killed_before_or_after_any_call_ends_with_the_same_images() -> None:
    shops, box = workshops(BuildResult(True))
    points: list[tuple[str, str]] = []
    for shop in shops.values():
        shop.hook = lambda call, moment: points.append((call, moment))
    bake(shops, box)
    assert len(points) >= 18
    for point in range(len(points)):
        again, other_box = workshops(BuildResult(True))
        seen: list[str] = []

        def hook(call: str, moment: str, point: int = point, seen: list[str] = seen) -> None:
            seen.append(call)
            if len(seen) == point + 1:
                raise Killed

        for shop in again.values():
            shop.hook = hook
        with pytest.raises(Killed):
            bake(again, other_box)
        progress, _ = bake(again, other_box)
        assert isinstance(progress.end, BakeDone), points[point]
        for region in REGIONS:
            assert again[region].images == shops[region].images, points[point]
            assert again[region].shared == shops[region].shared, points[point]
            assert again[region].builders == {}
