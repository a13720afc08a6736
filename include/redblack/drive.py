"""Observe, decide, do, again: as generators that neither sleep nor read a clock, for operators and tests alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from enum import StrEnum

from include.fleet import ClusterView, Fleet
from include.fleet.tags import FAILED
from include.ledger import Kind
from include.redblack.by_hand import groups_to_restore, next_rollback_step
from include.redblack.canary import next_canary_step, next_teardown_step, pair_of
from include.redblack.facts import Fact, describe_push, push_facts, push_failure, rollback_facts
from include.redblack.goal import CanaryGoal, JanitorGoal, PushGoal, RollbackGoal
from include.redblack.hold import unless_held
from include.redblack.janitor import next_janitor_step
from include.redblack.journal import Journal, NoJournal
from include.redblack.look import Look, Watched, WatchRequest
from include.redblack.loop import Loop, Progress, Work
from include.redblack.push import has_switched, next_step
from include.redblack.roles import previous_groups, red_group
from include.redblack.rollback import failure
from include.redblack.steps import DeleteRed, Done, End, Failed, Step

Clock = Callable[[], datetime]
Watch = Callable[[WatchRequest], Watched]


class Milestone(StrEnum):
    """How far to drive a push: until previous is black, or to its end."""

    SWITCHED = "switched"
    ENDED = "ended"


def drive_push(
    fleet: Fleet,
    goal: PushGoal,
    clock_now: Clock,
    journal: Journal | None = None,
    watch: Watch | None = None,
    until: Milestone = Milestone.ENDED,
) -> Iterator[Progress]:
    """Push `goal.build`, or roll it back; the last progress carries Done or Failed.

    Yields after each deed. RefusedError and, after many failed turns in a row, RetryableError pass through.
    """
    kept = journal or NoJournal()

    def decide(look: Look) -> Step:
        if red_group(look.view, goal.run, goal.attempt) is None and (reason := kept.failure()):
            return Failed(failure(look.view, "", reason))
        if until is Milestone.SWITCHED and has_switched(look.view, goal):
            red = _red_name(look.view, goal)
            return Done(f"{red} has all traffic of {look.view.cluster.region}", red)
        return next_step(look, goal)

    def after(step: Step, view: ClusterView) -> End | None:
        return Failed(failure(view, step.name, step.reason)) if isinstance(step, DeleteRed) else None

    def end(step: End, view: ClusterView) -> list[Fact]:
        if isinstance(step, Failed):
            return [push_failure(view, goal, kept.failure())] if kept.failure() else []
        return [Fact(Kind.PUSH_FINISHED, describe_push(view, goal))] if until is Milestone.ENDED else []

    work = Work(
        cluster=goal.cluster,
        need=goal.need,
        token=goal.token,
        decide=decide,
        eyed=lambda view: _eyed_of_push(view, goal),
        counted=lambda view: _eyed_of_push(view, goal) if goal.needs_traffic else [],
        facts=lambda view, now: push_facts(view, goal, now),
        after=after,
        end=end,
        watch=watch,
    )
    return Loop(fleet, work, clock_now, kept).turns()


def drive_rollback(
    fleet: Fleet, goal: RollbackGoal, clock_now: Clock, journal: Journal | None = None
) -> Iterator[Progress]:
    """Go back by hand; the last progress carries Done. RefusedError where no group is left to go back to."""

    kept = journal or NoJournal()

    def facts(view: ClusterView) -> list[Fact]:
        """None where the cluster was back before this attempt did anything."""
        found = rollback_facts(view, goal)
        is_back = any(fact.kind is Kind.ROLLBACK_SAFE for fact in found)
        return found if not is_back or kept.has(Kind.ROLLBACK_STARTED) else []

    def end(step: End, view: ClusterView) -> list[Fact]:
        return [Fact(Kind.ROLLBACK_FINISHED, fact.data, goal.reason) for fact in facts(view)[:1]]

    def restored(view: ClusterView) -> list[str]:
        return [group.name for group in groups_to_restore(view, goal)]

    work = Work(
        cluster=goal.cluster,
        need=goal.need,
        token=goal.token,
        decide=lambda look: next_rollback_step(look, goal),
        eyed=restored,
        counted=lambda view: restored(view) if goal.needs_traffic else [],
        facts=lambda view, now: facts(view),
        end=end,
    )
    return Loop(fleet, work, clock_now, kept).turns()


def drive_canary(
    fleet: Fleet, goal: CanaryGoal, clock_now: Clock, journal: Journal | None = None
) -> Iterator[Progress]:
    """Launch or adopt the pair; Done when both take traffic and the soak's end is written (`soak_end(view, goal)`)."""

    def pair(view: ClusterView) -> list[str]:
        return [group.name for group in pair_of(view, goal)]

    work = Work(
        cluster=goal.cluster,
        need=goal.need,
        token=goal.token,
        decide=lambda look: unless_held(look, next_canary_step(look, goal)),
        eyed=pair,
        counted=lambda view: pair(view) if goal.needs_traffic else [],
    )
    return Loop(fleet, work, clock_now, journal or NoJournal()).turns()


def drive_teardown(
    fleet: Fleet, goal: CanaryGoal, clock_now: Clock, journal: Journal | None = None
) -> Iterator[Progress]:
    """Take the pair of `goal.run` out of traffic and delete it, however far its launch came."""
    work = Work(
        cluster=goal.cluster,
        need=goal.need,
        token=goal.token,
        decide=lambda look: next_teardown_step(look.view, goal.run),
    )
    return Loop(fleet, work, clock_now, journal or NoJournal()).turns()


def drive_janitor(
    fleet: Fleet, goal: JanitorGoal, clock_now: Clock, journal: Journal | None = None
) -> Iterator[Progress]:
    """Delete what is past its time; Done says what is left and why."""
    work = Work(
        cluster=goal.cluster, need=goal.need, token=goal.token, decide=lambda look: next_janitor_step(look, goal)
    )
    return Loop(fleet, work, clock_now, journal or NoJournal()).turns()


def _red_name(view: ClusterView, goal: PushGoal) -> str:
    red = red_group(view, goal.run, goal.attempt)
    return red.name if red is not None else goal.build.image_id


def _eyed_of_push(view: ClusterView, goal: PushGoal) -> list[str]:
    """Red; and once its push goes back, those who get the traffic again."""
    red = red_group(view, goal.run, goal.attempt)
    if red is None:
        return []
    return [group.name for group in previous_groups(view, red)] if red.tags.get(FAILED) else [red.name]
