"""Baking as a function: what the workshops say now gives the next step. What a driver remembers only spares calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from include.bake.recipe import ImageRecipe
from include.bake.steps import (
    BakeDone,
    BakeFailed,
    BakeStep,
    ClearResult,
    CopyImage,
    CreateImage,
    EndBuilder,
    LaunchBuilder,
    ShareImage,
    WaitBake,
)
from include.fleet import Builder, BuilderSpec, Image
from include.fleet.tags import APP

USABLE = ("available", "pending")
MOST_LAUNCHES = 2
"""A builder that somebody has ended is launched once more, not for ever."""


@dataclass(frozen=True)
class BakeGoal:
    """The image of `recipe` in `home` and copied to `regions`, shared with `share_with` accounts.

    `user_data` is `builder_script(...)`; "" where there is nothing to build from. It differs from try to try
    (presigned addresses), the builder's name does not: a builder that is at work is adopted, whoever launched it. One
    that has not switched itself off `builder_limit_seconds` after its launch never will.
    """

    recipe: ImageRecipe
    home: str
    regions: Sequence[str]
    user_data: str
    instance_type: str
    share_with: Sequence[str] = ()
    builder_limit_seconds: float = 1200.0

    @property
    def builder(self) -> str:
        return self.recipe.name

    @property
    def builder_spec(self) -> BuilderSpec:
        tags = {APP: self.recipe.app}
        return BuilderSpec(self.builder, self.recipe.base_image_id, self.instance_type, self.user_data, tags)

    def is_overdue(self, builder: Builder, now: datetime) -> bool:
        if not builder.is_there or builder.state == "stopped" or builder.since is None:
            return False
        return now >= builder.since + timedelta(seconds=self.builder_limit_seconds)


@dataclass(frozen=True)
class BuildResult:
    """What the builder reported before it switched itself off."""

    ok: bool
    reason: str = ""


@dataclass(frozen=True)
class BakeView:
    """What the workshops say: newest image per region (None: none), the builder, its result, its console's last words.

    Then what this driver has met: `shared` regions (sharing again does no harm, so a new driver starts empty),
    `refused` regions with AWS's reason, `launched` builders' ids.
    """

    images: Mapping[str, Image | None]
    builder: Builder
    now: datetime
    result: BuildResult | None = None
    console: str = ""
    shared: frozenset[str] = field(default_factory=frozenset)
    refused: Mapping[str, str] = field(default_factory=dict)
    launched: frozenset[str] = field(default_factory=frozenset)


def next_bake_step(view: BakeView, goal: BakeGoal) -> BakeStep:
    """Find or make the image at home, copy it, share it, end the builder."""
    home = view.images.get(goal.home)
    if home is None:
        return _build(view, goal)
    if home.state not in USABLE:
        return BakeFailed(
            f"image {home.image_id} of {home.name} in {goal.home} is {home.state}: "
            "deregister it there, then clear this task; it is made again"
        )
    if home.state != "available":
        return WaitBake(f"wait until {home.image_id} in {goal.home} is available")
    return _spread(view, goal, home)


def _build(view: BakeView, goal: BakeGoal) -> BakeStep:
    if not view.builder.is_there:
        return _launch(view, goal)
    who = f"builder {goal.builder} in {goal.home}"
    if goal.is_overdue(view.builder, view.now):
        limit = f"{goal.builder_limit_seconds:.0f} s"
        why = f"{who} had not switched itself off {limit} after its launch, and was ended; clear this task for another"
        return EndBuilder(goal.home, goal.builder, why + _last_words(view))
    if view.builder.state != "stopped":
        return WaitBake(f"wait until {who} has switched itself off ({view.builder.state})")
    if view.result is None or not view.result.ok:
        reason = view.result.reason if view.result else "it ended without a result"
        return EndBuilder(goal.home, goal.builder, f"{who} failed: {reason}" + _last_words(view))
    return CreateImage(goal.home, goal.builder, goal.recipe.name, goal.recipe.tags)


def _launch(view: BakeView, goal: BakeGoal) -> BakeStep:
    if not goal.user_data:
        return BakeFailed(
            f"image {goal.recipe.name} is gone from {goal.home}, and nothing to make it of was given: "
            "clear build_artifact and what comes after it"
        )
    if view.result is not None:
        return ClearResult()
    if len(view.launched) >= MOST_LAUNCHES:
        said = f" ({view.builder.reason})" if view.builder.reason else ""
        return BakeFailed(
            f"builder {goal.builder} in {goal.home} was terminated {len(view.launched)} times before it had "
            f"reported{said}: find out who or what ends it, then clear this task"
        )
    return LaunchBuilder(goal.home, goal.builder_spec)


def _spread(view: BakeView, goal: BakeGoal, home: Image) -> BakeStep:
    """Each region by itself: one that refuses keeps none of the others from its image."""
    others = [region for region in goal.regions if region != goal.home]
    for region in others:
        if view.images.get(region) is None and region not in view.refused:
            return CopyImage(goal.home, region, home)
    found = {region: image for region in (goal.home, *others) if (image := view.images.get(region))}
    waiting = [region for region, image in found.items() if image.state == "pending"]
    if waiting:
        return WaitBake(f"wait until the copies in {', '.join(waiting)} are available")
    images = {region: image.image_id for region, image in found.items() if image.state == "available"}
    for region, image_id in images.items():
        if goal.share_with and region not in view.shared and region not in view.refused:
            return ShareImage(region, image_id, tuple(goal.share_with))
    if view.builder.is_there:
        return EndBuilder(goal.home, goal.builder)
    broken = {
        region: f"its copy {image.image_id} there is {image.state}, deregister it"
        for region, image in found.items()
        if image.state not in USABLE
    }
    if hindered := {**broken, **view.refused}:
        return BakeFailed(_hindrance(goal.recipe.name, hindered))
    return BakeDone(goal.recipe.name, images)


def _hindrance(name: str, hindered: Mapping[str, str]) -> str:
    told = "; ".join(f"{region}: {reason.rstrip('.')}" for region, reason in sorted(hindered.items()))
    return (
        f"image {name} is not ready in {', '.join(sorted(hindered))} ({told}). "
        "Mend that and clear this task: the other regions' images are kept, and it goes on where it stopped."
    )


def _last_words(view: BakeView) -> str:
    return f"; its console's last words: {view.console}" if view.console else ""
