"""Observe, decide, do for a bake: a generator that neither sleeps nor reads a clock of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from include.bake.plan import USABLE, BakeGoal, BakeView, BuildResult, next_bake_step
from include.bake.steps import (
    BakeDone,
    BakeEnd,
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
from include.errors import RedstartError, RefusedError, RetryableError
from include.fleet import Builder, Image, ImageWorkshop

POLL_SECONDS = 2.0
PATIENCE = 60
LAST_LINES = 5
LAST_CHARACTERS = 600


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


def drive_bake(
    workshops: Mapping[str, ImageWorkshop], goal: BakeGoal, box: ResultBox, clock_now: Callable[[], datetime]
) -> Iterator[BakeProgress]:
    """Bake, or find what is baked; the last progress carries BakeDone or BakeFailed.

    `workshops` has the goal's home and every region. Others may bake the same commit at the same time. RefusedError
    and, after many failed turns in a row, RetryableError pass through; a region that refuses its image is told at the
    end, when the others have theirs.
    """
    return _Driver(workshops, goal, box, clock_now).turns()


class _Driver:
    """What it remembers may be lost at any moment."""

    def __init__(
        self,
        workshops: Mapping[str, ImageWorkshop],
        goal: BakeGoal,
        box: ResultBox,
        clock_now: Callable[[], datetime],
    ) -> None:
        self._workshops, self._goal, self._box, self._now = workshops, goal, box, clock_now
        self._shared: set[str] = set()
        self._refused: dict[str, str] = {}
        self._launched: set[str] = set()
        self._said = ""

    def turns(self) -> Iterator[BakeProgress]:
        failed_turns = 0
        while True:
            try:
                progress = self._take_turn()
            except RetryableError as error:
                failed_turns += 1
                if failed_turns >= PATIENCE:
                    raise
                yield self._progress(f"{error}; trying again", error.next_delay_seconds)
                continue
            failed_turns = 0
            yield progress
            step = progress.step
            if isinstance(step, EndBuilder) and step.failure:
                step = BakeFailed(step.failure)
                yield BakeProgress(step.sentence, 0.0, step)
            if isinstance(step, BakeDone | BakeFailed):
                return

    def _take_turn(self) -> BakeProgress:
        step = next_bake_step(self._observe(), self._goal)
        try:
            self._perform(step)
        except RefusedError as error:
            if not isinstance(step, CopyImage | ShareImage):
                raise
            self._refused[step.region] = str(error)
            return self._progress(str(error), 0.0)
        # What was just changed may not be shown at once, and an end takes a moment.
        pause = POLL_SECONDS if isinstance(step, WaitBake | EndBuilder | LaunchBuilder) else 0.0
        return self._progress(step.sentence, pause, step)

    def _progress(self, sentence: str, pause_seconds: float, step: BakeStep | None = None) -> BakeProgress:
        is_news, self._said = sentence != self._said, sentence
        return BakeProgress(sentence, pause_seconds, step, is_news)

    def _observe(self) -> BakeView:
        """The builder before the images: who sees a builder ended by another bake must see the image that it left."""
        goal, workshops = self._goal, self._workshops
        home, now = workshops[goal.home], self._now()
        builder = home.view_builder(goal.builder)
        images = {region: _newest(workshops[region], goal) for region in dict.fromkeys((goal.home, *goal.regions))}
        is_awaited = images[goal.home] is None
        is_ended = builder.state not in ("pending", "running", "stopping")
        result = self._box.read() if is_awaited and is_ended else None
        is_failed = goal.is_overdue(builder, now) or (builder.state == "stopped" and not (result and result.ok))
        console = _last_words(home, builder) if is_awaited and is_failed else ""
        return BakeView(
            images,
            builder,
            now,
            result,
            console,
            frozenset(self._shared),
            dict(self._refused),
            frozenset(self._launched),
        )

    def _perform(self, step: BakeStep) -> None:
        workshops = self._workshops
        match step:
            case ClearResult():
                self._box.clear()
            case LaunchBuilder():
                self._launched.add(workshops[step.region].launch_builder(step.spec))
            case CreateImage():
                workshops[step.region].create_image(step.builder, step.name, step.tags)
            case CopyImage():
                workshops[step.region].copy_image(step.source_region, step.image)
            case ShareImage():
                workshops[step.region].share_image(step.image_id, step.account_ids)
                self._shared.add(step.region)
            case EndBuilder():
                workshops[step.region].end_builder(step.builder)
            case _:
                pass


def _newest(workshop: ImageWorkshop, goal: BakeGoal) -> Image | None:
    """The image of that code; one that failed only where there is no other."""
    found = [image for image in workshop.find_images(goal.recipe.identity) if image.state != "deregistered"]
    usable = [image for image in found if image.state in USABLE]
    return next(iter(usable or found), None)


def _last_words(workshop: ImageWorkshop, builder: Builder) -> str:
    """Good to know, and no reason to fail."""
    try:
        text = workshop.view_console(builder.name)
    except RedstartError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-LAST_LINES:])[-LAST_CHARACTERS:]
