"""Stories of a bake: plan and driver on workshops in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from include.bake import BakeDone, BakeFailed, BakeGoal, BuildResult, ImageRecipe, drive_bake
from include.bake.drive import BakeProgress
from include.errors import RetryableError
from tests.support.fake_workshop import EPOCH, FakeBox, FakeWorkshop

HOME, WEST, EUROPE = REGIONS = ("us-east-1", "us-west-2", "eu-west-1")
NAME = "api-1.4.2-0123456789ab"
RECIPE = ImageRecipe("api", "1.4.2", "0123456789abcdef", "tree", "prod", "ami-base", "http://127.0.0.1/dags/api_prod/7")
GOAL = BakeGoal(RECIPE, HOME, REGIONS, "#!/bin/bash\n", "m5.large", ("210987654321",), 600)
OTHER = replace(GOAL, recipe=replace(RECIPE, branch="release", build="http://127.0.0.1/dags/api_release/3"))

OK = BuildResult(True)


class Killed(BaseException):
    pass


class World:
    """Workshops of three regions, the box, and a clock that only waits move."""

    def __init__(self, outcome: BuildResult | None = OK) -> None:
        self.now = EPOCH
        self.box = FakeBox(outcome)
        self.shops = {region: FakeWorkshop(region, self.box, lambda: self.now) for region in REGIONS}

    def clock(self) -> datetime:
        return self.now

    def drive(self, goal: BakeGoal = GOAL) -> Iterator[BakeProgress]:
        return drive_bake(self.shops, goal, self.box, self.clock)

    def bake(self, goal: BakeGoal = GOAL) -> tuple[BakeProgress, list[str]]:
        said = []
        for turn, progress in enumerate(self.drive(goal)):
            said.append(type(progress.step).__name__)
            self.now += timedelta(seconds=progress.pause_seconds)
            assert turn < 500, said[-10:]
        return progress, said

    def refuse(self, region: str, call: str, words: str) -> None:
        self.shops[region].levers.refuses[call] = words


def reason(progress: BakeProgress) -> str:
    assert isinstance(progress.end, BakeFailed), progress
    return progress.end.reason


def test_a_bake_leaves_a_shared_image_in_every_region_and_no_builder() -> None:
    world = World()
    progress, _ = world.bake()
    assert isinstance(progress.end, BakeDone)
    assert set(progress.end.images) == set(REGIONS)
    for region, shop in world.shops.items():
        assert shop.images[NAME].tags == RECIPE.tags
        assert shop.shared == {progress.end.images[region]: {"210987654321"}}
        assert shop.builders == {}


def test_an_image_of_that_code_is_found_and_not_baked_again() -> None:
    world = World()
    first, _ = world.bake()
    for goal in (GOAL, OTHER, replace(GOAL, user_data="")):
        again, said = world.bake(goal)
        assert again.end == first.end
        assert not {"LaunchBuilder", "CreateImage", "CopyImage"} & set(said)
    assert world.shops[HOME].launched == 1
    assert world.shops[HOME].images[NAME].tags["redstart:branch"] == "prod", "who came first has named itself"


def test_an_image_without_artifact_that_is_gone_says_what_to_clear() -> None:
    progress, _ = World().bake(replace(GOAL, user_data=""))
    assert "clear build_artifact" in reason(progress)


@pytest.mark.parametrize(
    ("outcome", "word"), [(BuildResult(False, "the artifact's sha256 is x"), "sha256"), (None, "without a result")]
)
def test_a_failed_builder_makes_no_image_and_is_ended(outcome: BuildResult | None, word: str) -> None:
    world = World(outcome)
    world.shops[HOME].levers.console = "booted\nbake: failed\n\n"
    progress, _ = world.bake()
    assert word in reason(progress)
    assert reason(progress).endswith("last words: booted | bake: failed")
    assert not any(shop.images for shop in world.shops.values())
    assert world.shops[HOME].builders == {}


def test_the_next_try_after_a_failure_forgets_its_result() -> None:
    world = World(BuildResult(False, "disk full"))
    world.bake()
    world.box.outcome = BuildResult(True)
    progress, said = world.bake()
    assert said[0] == "ClearResult"
    assert isinstance(progress.end, BakeDone)


def test_a_builder_that_never_stops_is_ended_at_its_limit_and_says_so() -> None:
    world = World()
    world.shops[HOME].levers.never_stops = True
    world.shops[HOME].levers.console = "fetching the artifact\n"
    progress, _ = world.bake()
    assert "had not switched itself off 600 s after its launch, and was ended" in reason(progress)
    assert "fetching the artifact" in reason(progress)
    assert world.shops[HOME].builders == {}
    assert (world.now - EPOCH).total_seconds() == pytest.approx(600, abs=5)
    world.shops[HOME].levers.never_stops = False
    assert isinstance(world.bake()[0].end, BakeDone), "cleared, it tries another one"


def test_an_adopted_builder_keeps_its_limit() -> None:
    world = World()
    world.shops[HOME].levers.never_stops = True
    turns = world.drive()
    while world.now - EPOCH < timedelta(seconds=400):
        world.now += timedelta(seconds=next(turns).pause_seconds)
    reason(world.bake()[0])
    assert (world.now - EPOCH).total_seconds() == pytest.approx(600, abs=5)


def test_a_builder_that_somebody_terminates_is_launched_once_more_and_then_told() -> None:
    world, shop = World(), None
    shop = world.shops[HOME]
    turns, ended = world.drive(), 0
    for progress in turns:
        world.now += timedelta(seconds=progress.pause_seconds)
        if type(progress.step).__name__ == "WaitBake":
            shop.builders.clear()
            ended += 1
            assert ended < 5
    assert ended == 2
    assert "was terminated 2 times before it had reported" in reason(progress)


def test_a_region_that_refuses_keeps_the_others_images_and_is_taken_up_again() -> None:
    world = World()
    world.refuse(WEST, "copy_image", "UnauthorizedOperation: the role may not ec2:CopyImage (docs/aws.md)")
    progress, said = world.bake()
    assert reason(progress).startswith(f"image {NAME} is not ready in {WEST} (")
    assert "the role may not ec2:CopyImage" in reason(progress) and "clear this task" in reason(progress)
    assert NAME in world.shops[EUROPE].images and world.shops[EUROPE].shared
    assert world.shops[HOME].builders == {}
    assert said.count("CopyImage") == 1
    world.shops[WEST].levers.refuses.clear()
    progress, said = world.bake()
    assert isinstance(progress.end, BakeDone) and set(progress.end.images) == set(REGIONS)
    assert said.count("CopyImage") == 1 and "LaunchBuilder" not in said


def test_two_regions_that_refuse_are_told_together() -> None:
    world = World()
    world.refuse(WEST, "copy_image", "ResourceLimitExceeded")
    world.refuse(EUROPE, "modify_image_attribute", "UnauthorizedOperation")
    told = reason(world.bake()[0])
    assert f"not ready in {EUROPE}, {WEST} (" in told
    assert "ResourceLimitExceeded" in told and "UnauthorizedOperation" in told


def test_a_copy_that_failed_is_told_when_the_others_are_ready() -> None:
    world = World()
    world.shops[WEST].levers.fails = True
    told = reason(world.bake()[0])
    assert f"{WEST}: its copy ami-{WEST}-89ab there is failed, deregister it" in told
    assert world.shops[EUROPE].shared
    world.shops[WEST].levers.fails = False
    world.shops[WEST].delete_image(f"ami-{WEST}-89ab")
    assert isinstance(world.bake()[0].end, BakeDone)


def test_an_image_that_failed_at_home_says_what_to_do() -> None:
    world = World()
    world.shops[HOME].levers.fails = True
    told = reason(world.bake()[0])
    assert f"in {HOME} is failed: deregister it there, then clear this task" in told


def test_throttling_is_waited_out() -> None:
    world, left = World(), [30]

    def throttle(call: str, moment: str) -> None:
        if call == "copy_image" and moment == "before" and left[0]:
            left[0] -= 1
            raise RetryableError("copy_image in eu-west-1: throttled (RequestLimitExceeded)")

    world.shops[EUROPE].hook = throttle
    progress, _ = world.bake()
    assert isinstance(progress.end, BakeDone)
    assert world.now - EPOCH >= timedelta(seconds=150)


def points_of(world: World) -> list[tuple[str, str]]:
    points: list[tuple[str, str]] = []
    for shop in world.shops.values():
        shop.hook = lambda call, moment: points.append((call, moment))
    world.bake()
    return points


def test_an_engine_killed_before_or_after_any_call_ends_with_the_same_images() -> None:
    whole = World()
    points = points_of(whole)
    assert len(points) >= 18
    for point in range(len(points)):
        world = World()
        seen: list[str] = []

        def hook(call: str, moment: str, point: int = point, seen: list[str] = seen) -> None:
            seen.append(call)
            if len(seen) == point + 1:
                raise Killed

        for shop in world.shops.values():
            shop.hook = hook
        with pytest.raises(Killed):
            world.bake()
        progress, _ = world.bake()
        assert isinstance(progress.end, BakeDone), points[point]
        for region in REGIONS:
            found, wanted = world.shops[region].images[NAME], whole.shops[region].images[NAME]
            assert replace(found, created_at=EPOCH) == replace(wanted, created_at=EPOCH), points[point]
            assert world.shops[region].shared == whole.shops[region].shared, points[point]
            assert world.shops[region].builders == {}


def test_another_flow_that_overtakes_at_any_call_leaves_one_image_a_region() -> None:
    """Before and after each call of one bake the other flow's bake of the same commit runs from start to end."""
    points = points_of(World())
    for point in range(len(points)):
        world = World()
        seen: list[str] = []
        ends: list[BakeProgress] = []

        def overtake(
            call: str,
            moment: str,
            point: int = point,
            seen: list[str] = seen,
            ends: list[BakeProgress] = ends,
            world: World = world,
        ) -> None:
            seen.append(call)
            if len(seen) == point + 1:
                for shop in world.shops.values():
                    shop.hook = lambda call, moment: None
                ends.append(world.bake(OTHER)[0])

        for shop in world.shops.values():
            shop.hook = overtake
        progress, _ = world.bake()
        assert isinstance(progress.end, BakeDone), (points[point], progress)
        assert progress.end == ends[0].end, points[point]
        assert all(list(shop.images) == [NAME] for shop in world.shops.values())
        assert world.shops[HOME].builders == {}, points[point]


def test_two_bakes_turn_by_turn_end_alike() -> None:
    world = World()
    turns = [world.drive(GOAL), world.drive(OTHER)]
    ends: list[BakeProgress] = []
    while turns:
        for one in list(turns):
            progress = next(one)
            world.now += timedelta(seconds=progress.pause_seconds)
            if progress.end:
                ends.append(progress)
                turns.remove(one)
    assert ends[0].end == ends[1].end and isinstance(ends[0].end, BakeDone)
    assert world.shops[HOME].launched == 1 and world.shops[HOME].builders == {}
