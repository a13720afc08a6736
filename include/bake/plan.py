"""Baking as a function: what the workshops say now gives the next step; nothing is remembered but who was told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from include.bake.recipe import ImageRecipe
from include.fleet import BuilderSpec, Image
from include.fleet.tags import APP


@dataclass(frozen=True)
class BakeGoal:
    """The image of `recipe` in `home` and copied to `regions`, shared with `share_with` accounts.

    `user_data` is `builder_script(...)`. It differs from try to try (presigned addresses), the builder's name does
    not: a builder that is at work is adopted.
    """

    recipe: ImageRecipe
    home: str
    regions: Sequence[str]
    user_data: str
    instance_type: str
    share_with: Sequence[str] = ()

    @property
    def builder(self) -> str:
        return self.recipe.name

    @property
    def builder_spec(self) -> BuilderSpec:
        tags = {APP: self.recipe.app}
        return BuilderSpec(self.builder, self.recipe.base_image_id, self.instance_type, self.user_data, tags)


@dataclass(frozen=True)
class BuildResult:
    """What the builder reported before it switched itself off."""

    ok: bool
    reason: str = ""


@dataclass(frozen=True)
class BakeView:
    """What the workshops say: newest image per region (None: none), the builder's state and its result.

    `shared`: regions whose image this driver has shared; sharing again does no harm, so a new driver starts empty.
    """

    images: Mapping[str, Image | None]
    builder: str
    result: BuildResult | None = None
    shared: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class ClearResult:
    """The result of an earlier builder must not be taken for that of the next."""

    sentence: str = "forget the result of an earlier builder"


@dataclass(frozen=True)
class LaunchBuilder:
    region: str
    spec: BuilderSpec

    @property
    def sentence(self) -> str:
        return f"launch builder {self.spec.name} from {self.spec.base_image_id} in {self.region}"


@dataclass(frozen=True)
class CreateImage:
    region: str
    builder: str
    name: str
    tags: Mapping[str, str]

    @property
    def sentence(self) -> str:
        return f"make image {self.name} in {self.region}"


@dataclass(frozen=True)
class CopyImage:
    source_region: str
    region: str
    image: Image

    @property
    def sentence(self) -> str:
        return f"copy image {self.image.name} from {self.source_region} to {self.region}"


@dataclass(frozen=True)
class ShareImage:
    region: str
    image_id: str
    account_ids: tuple[str, ...]

    @property
    def sentence(self) -> str:
        return f"share {self.image_id} in {self.region} with {', '.join(self.account_ids)}"


@dataclass(frozen=True)
class EndBuilder:
    """`failure`: why the bake ends here without an image; empty where it does not."""

    region: str
    builder: str
    failure: str = ""

    @property
    def sentence(self) -> str:
        return f"end builder {self.builder} in {self.region}"


@dataclass(frozen=True)
class WaitBake:
    sentence: str


@dataclass(frozen=True)
class BakeDone:
    """The image id per region."""

    name: str
    images: Mapping[str, str]

    @property
    def sentence(self) -> str:
        return f"image {self.name}: " + ", ".join(f"{image} in {region}" for region, image in self.images.items())


@dataclass(frozen=True)
class BakeFailed:
    reason: str

    @property
    def sentence(self) -> str:
        return self.reason


BakeEnd = BakeDone | BakeFailed
BakeStep = ClearResult | LaunchBuilder | CreateImage | CopyImage | ShareImage | EndBuilder | WaitBake | BakeEnd


def next_bake_step(view: BakeView, goal: BakeGoal) -> BakeStep:
    """Find or make the image at home, copy it, share it, end the builder."""
    home = view.images.get(goal.home)
    if home is None:
        return _build(view, goal)
    for region in (goal.home, *goal.regions):
        image = view.images.get(region)
        if image is not None and image.state not in ("available", "pending"):
            return BakeFailed(f"image {image.image_id} of {goal.recipe.name} in {region} is {image.state}")
    if home.state != "available":
        return WaitBake(f"wait until {home.image_id} in {goal.home} is available")
    return _spread(view, goal, home)


def _build(view: BakeView, goal: BakeGoal) -> BakeStep:
    if view.builder in ("missing", "terminated"):
        return ClearResult() if view.result is not None else LaunchBuilder(goal.home, goal.builder_spec)
    if view.builder != "stopped":
        return WaitBake(f"wait until builder {goal.builder} in {goal.home} has switched itself off ({view.builder})")
    if view.result is None or not view.result.ok:
        reason = view.result.reason if view.result else "it ended without a result; its console says more"
        return EndBuilder(goal.home, goal.builder, f"builder {goal.builder} in {goal.home} failed: {reason}")
    return CreateImage(goal.home, goal.builder, goal.recipe.name, goal.recipe.tags)


def _spread(view: BakeView, goal: BakeGoal, home: Image) -> BakeStep:
    others = [region for region in goal.regions if region != goal.home]
    for region in others:
        copy = view.images.get(region)
        if copy is None:
            return CopyImage(goal.home, region, home)
    waiting = [region for region in others if (copy := view.images.get(region)) and copy.state != "available"]
    if waiting:
        return WaitBake(f"wait until the copies in {', '.join(waiting)} are available")
    images = {region: image.image_id for region in (goal.home, *others) if (image := view.images.get(region))}
    for region, image_id in images.items():
        if goal.share_with and region not in view.shared:
            return ShareImage(region, image_id, tuple(goal.share_with))
    if view.builder not in ("missing", "terminated"):
        return EndBuilder(goal.home, goal.builder)
    return BakeDone(goal.recipe.name, images)
