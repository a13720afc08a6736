"""Observe, decide, do for a bake: a generator that neither sleeps nor reads a clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from include.bake.plan import (
    BakeDone,
    BakeEnd,
    BakeFailed,
    BakeGoal,
    BakeStep,
    BakeView,
    BuildResult,
    ClearResult,
    CopyImage,
    CreateImage,
    EndBuilder,
    LaunchBuilder,
    ShareImage,
    WaitBake,
    next_bake_step,
)
from include.errors import RetryableError
from include.fleet import Image, ImageWorkshop

POLL_SECONDS = 2.0
PATIENCE = 60


class ResultBox(Protocol):
    """Where the builder's result arrives (an object at the address that its user data was given)."""

    def read(self) -> BuildResult | None: ...

    def clear(self) -> None: ...


@dataclass(frozen=True)
class BakeProgress:
    """One turn; `pause_seconds` is what to wait before the next."""

    sentence: str
    pause_seconds: float
    step: BakeStep | None = None
    is_news: bool = True

    @property
    def end(self) -> BakeEnd | None:
        return self.step if isinstance(self.step, BakeDone | BakeFailed) else None


def drive_bake(workshops: Mapping[str, ImageWorkshop], goal: BakeGoal, box: ResultBox) -> Iterator[BakeProgress]:
    """Bake, or find what is baked; the last progress carries BakeDone or BakeFailed.

    `workshops` has the goal's home and every region. RefusedError and, after many failed turns in a row,
    RetryableError pass through.
    """
    shared: frozenset[str] = frozenset()
    said, failed_turns = "", 0
    while True:
        try:
            step = next_bake_step(observe_bake(workshops, goal, box, shared), goal)
            perform_bake(workshops, step, box)
        except RetryableError as error:
            failed_turns += 1
            if failed_turns >= PATIENCE:
                raise
            yield BakeProgress(f"{error}; trying again", error.next_delay_seconds)
            continue
        failed_turns = 0
        if isinstance(step, ShareImage):
            shared |= {step.region}
        pause = POLL_SECONDS if isinstance(step, WaitBake | EndBuilder) else 0.0
        yield BakeProgress(step.sentence, pause, step, is_news=step.sentence != said)
        said = step.sentence
        if isinstance(step, EndBuilder) and step.failure:
            end = BakeFailed(step.failure)
            yield BakeProgress(end.sentence, 0.0, end)
            return
        if isinstance(step, BakeDone | BakeFailed):
            return


def observe_bake(
    workshops: Mapping[str, ImageWorkshop], goal: BakeGoal, box: ResultBox, shared: frozenset[str]
) -> BakeView:
    """Images first: once there is one at home, the builder's result is of no interest."""
    images = {region: _newest(workshops[region], goal) for region in {goal.home, *goal.regions}}
    state = workshops[goal.home].builder_state(goal.builder)
    is_needed = images[goal.home] is None and state not in ("pending", "running", "stopping")
    return BakeView(images, state, box.read() if is_needed else None, shared)


def perform_bake(workshops: Mapping[str, ImageWorkshop], step: BakeStep, box: ResultBox) -> None:
    match step:
        case ClearResult():
            box.clear()
        case LaunchBuilder():
            workshops[step.region].launch_builder(step.spec)
        case CreateImage():
            workshops[step.region].create_image(step.builder, step.name, step.tags)
        case CopyImage():
            workshops[step.region].copy_image(step.source_region, step.image)
        case ShareImage():
            workshops[step.region].share_image(step.image_id, step.account_ids)
        case EndBuilder():
            workshops[step.region].end_builder(step.builder)
        case _:
            pass


def _newest(workshop: ImageWorkshop, goal: BakeGoal) -> Image | None:
    """The image of that code; one that failed only where there is no other."""
    found = [image for image in workshop.find_images(goal.recipe.identity) if image.state != "deregistered"]
    usable = [image for image in found if image.state in ("available", "pending")]
    return next(iter(usable or found), None)
