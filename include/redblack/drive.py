"""Observe, decide, do, again: as generators that neither sleep nor read a clock, for operators and tests alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from include.errors import RetryableError
from include.fleet import ClusterView, Fleet
from include.redblack.canary import next_canary_step, next_teardown_step, pair_of
from include.redblack.goal import CanaryGoal, PushGoal
from include.redblack.perform import perform
from include.redblack.push import next_step
from include.redblack.roles import red_group
from include.redblack.rollback import failure
from include.redblack.steps import DeleteRed, Done, End, Failed, SetWeights, Step, Wait, WaitTakingTraffic

SEEN_SECONDS = 30
"""How far back "taking traffic" looks; the agent publishes every 5 s and the store may be a few late."""
POLL_SECONDS = 5.0
SWITCH_SECONDS = 1.0
QUICK_TURNS = 15
"""Looks of one second each while traffic is being switched; after them, as seldom as any other wait."""
PATIENCE = 60
"""Observations in a row that may fail before the driver gives up; the task's own retries come after that."""

Decide = Callable[[ClusterView, Mapping[str, float]], Step]
Watch = Callable[[ClusterView], list[str]]


@dataclass(frozen=True)
class Progress:
    """One turn of the loop. `pause_seconds` is what to wait before the next; an end is the last one.

    `is_news` is False where the same wait was reported before, so that a log does not repeat itself.
    """

    sentence: str
    pause_seconds: float
    step: Step | None = None
    view: ClusterView | None = None
    is_news: bool = True

    @property
    def end(self) -> End | None:
        return self.step if isinstance(self.step, Done | Failed) else None


def drive_push(fleet: Fleet, goal: PushGoal, clock_now: Callable[[], datetime]) -> Iterator[Progress]:
    """Push `goal.build`, or roll it back; the last progress carries Done or Failed.

    Yields after each verb. RefusedError and, after `PATIENCE` failed turns in a row, RetryableError pass through.
    """

    def decide(view: ClusterView, served: Mapping[str, float]) -> Step:
        return next_step(view, goal, served, clock_now())

    def watch(view: ClusterView) -> list[str]:
        red = red_group(view, goal.run)
        return [red.name] if red and red.is_enabled and goal.needs_traffic and len(view.weights) > 1 else []

    return _drive(fleet, goal.cluster.name, decide, watch, lambda: fleet.view_cluster(goal.cluster))


def drive_canary(fleet: Fleet, goal: CanaryGoal, clock_now: Callable[[], datetime]) -> Iterator[Progress]:
    """Launch or adopt the pair; Done when both take traffic and the soak's end is written (`soak_end(view, goal)`)."""

    def decide(view: ClusterView, served: Mapping[str, float]) -> Step:
        return next_canary_step(view, goal, served, clock_now())

    def watch(view: ClusterView) -> list[str]:
        return [group.name for group in pair_of(view, goal) if group.is_enabled and goal.needs_traffic]

    return _drive(fleet, goal.cluster.name, decide, watch, lambda: fleet.view_cluster(goal.cluster))


def drive_teardown(fleet: Fleet, goal: CanaryGoal) -> Iterator[Progress]:
    """Take the pair of `goal.run` out of traffic and delete it, however far its launch came."""

    def decide(view: ClusterView, served: Mapping[str, float]) -> Step:
        return next_teardown_step(view, goal.run)

    return _drive(fleet, goal.cluster.name, decide, lambda view: [], lambda: fleet.view_cluster(goal.cluster))


def _drive(
    fleet: Fleet, cluster: str, decide: Decide, watch: Watch, observe: Callable[[], ClusterView]
) -> Iterator[Progress]:
    failed_turns = quick_turns = 0
    said = ""
    while True:
        try:
            view = observe()
            served: dict[str, float] = {}
            for name in watch(view):
                served.update(fleet.count_requests(name, seconds=SEEN_SECONDS))
            step = decide(view, served)
            perform(fleet, step)
        except RetryableError as error:
            failed_turns += 1
            if failed_turns >= PATIENCE:
                raise
            yield Progress(f"{cluster} in {fleet.region}: {error}; trying again", error.next_delay_seconds)
            continue
        failed_turns = 0
        quick_turns = quick_turns + 1 if isinstance(step, WaitTakingTraffic) else 0
        is_news = step.sentence != said
        pause = pause_after(step) if quick_turns <= QUICK_TURNS else POLL_SECONDS
        if not is_news:
            # A verb whose effect cannot be seen yet, as AWS's lists may lag behind: said again, but not at once.
            pause = max(pause, SWITCH_SECONDS)
        yield Progress(step.sentence, pause, step, view, is_news=is_news)
        said = step.sentence
        if isinstance(step, DeleteRed):
            end = Failed(failure(view, step.name, step.reason))
            yield Progress(end.sentence, 0.0, end, view)
            return
        if isinstance(step, Done | Failed):
            return


def pause_after(step: Step) -> float:
    """Seconds until the next look: none after a verb, short while traffic is being switched."""
    if isinstance(step, WaitTakingTraffic | SetWeights):
        return SWITCH_SECONDS
    return POLL_SECONDS if isinstance(step, Wait) else 0.0
