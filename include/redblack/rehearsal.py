"""A push and its way back, rehearsed: the same loop as the deed's, before a stage on which nothing is real.

The stage has a fleet that only pretends, and a clock that stands still until it is moved: waits pass at once and are
told in seconds. What comes of it is a value: the plan of a region.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from include.errors import RedstartError, RetryableError
from include.fleet import ClusterView, Fleet
from include.fleet.tags import FENCE
from include.ledger import Hold, Json, Kind
from include.redblack.drive import Milestone, drive_push, drive_rollback
from include.redblack.goal import PushGoal, RollbackGoal
from include.redblack.journal import NoJournal
from include.redblack.look import Finding, Watched, WatchKind, WatchRequest
from include.redblack.loop import Progress
from include.redblack.picture import busiest, picture_of
from include.redblack.region_plan import Outcome, PlannedCall, PlannedStep, RegionPlan, Rehearsed
from include.redblack.roles import red_group
from include.redblack.steps import Done, MarkFailed, Step, TagGroup, Wait, WaitHeld, WaitPeak, WatchRed


class Stage(Protocol):
    """A region's AWS as it is, on which everything may be done and nothing happens."""

    def fleet(self) -> Fleet: ...

    def now(self) -> datetime: ...

    def advance(self, seconds: float) -> None:
        """Let time go by: what was launched starts."""

    def take_calls(self) -> list[PlannedCall]:
        """The changing calls since it was last asked."""


class PlanJournal(NoJournal):
    """Writes nothing; remembers when the engine would have. A hold without an end is heeded by nobody here: it is told,
    and the plan is what comes when it is lifted."""

    def __init__(self, stage: Stage, hold: Hold | None = None) -> None:
        self._stage, self._hold, self._began = stage, hold, stage.now()
        self.moments: dict[Kind, float] = {}

    def note(self, kind: Kind, data: Mapping[str, Json] | None = None, *, why: str = "") -> None:
        del data, why
        self.moments.setdefault(kind, (self._stage.now() - self._began).total_seconds())

    def has(self, kind: Kind) -> bool:
        return kind in self.moments

    def hold(self) -> str:
        held = self._hold
        if held is None or held.until is None or not held.is_in_force(self._stage.now()):
            return ""
        return held.describe()


def plan_push(
    stage: Stage, goal: PushGoal, back: RollbackGoal, *, limit_seconds: float, hold: Hold | None = None
) -> RegionPlan:
    """The plan of a push as its tasks do it, until previous is black and then to the end; and of the way `back`.

    `limit_seconds` is what each of the tasks has; what is waited for longer does not come by itself. `hold`: the
    cluster's, told, and waited for where it has an end. A push that is held for a peak ends the plan.
    """
    journal, actor = PlanJournal(stage, hold), _Actor(stage, limit_seconds, hold, partial(_where, goal))
    for until in (Milestone.SWITCHED, Milestone.ENDED):
        if actor.may_go_on:
            actor.follow(partial(drive_push, stage.fleet(), goal, stage.now, journal, _sound(stage), until))
    push = actor.told(journal)
    has_way = push.calls and push.outcome in (Outcome.DONE, Outcome.WAITS)
    back_again = plan_rollback(stage, back, limit_seconds=limit_seconds) if has_way else None
    plan = RegionPlan(goal.cluster, push, back_again)
    if not actor.views:
        return plan
    before, during, after = actor.views[0], busiest(actor.views), actor.views[-1]
    return replace(plan, before=picture_of(before), during=picture_of(during), after=picture_of(after))


def plan_rollback(stage: Stage, goal: RollbackGoal, *, limit_seconds: float) -> Rehearsed:
    """What on-call's rollback would do, from where the stage stands."""
    journal, actor = PlanJournal(stage), _Actor(stage, limit_seconds)
    actor.follow(partial(drive_rollback, stage.fleet(), goal, stage.now, journal))
    return actor.told(journal)


def _sound(stage: Stage) -> Callable[[WatchRequest], Watched]:
    """A plan is that of a good version."""
    return lambda request: Watched(Finding.SOUND, stage.now())


def _where(goal: PushGoal, view: ClusterView) -> str:
    """Where a push is that is held."""
    red = red_group(view, goal.run, goal.attempt)
    if red is None:
        return "not begun"
    return f"held in red/red with {red.name}" if red.is_enabled else f"held with {red.name} out of traffic"


class _Actor:
    """Follows loops as tasks do, but lets the stage's time go by, and keeps what was done when."""

    def __init__(
        self,
        stage: Stage,
        limit_seconds: float,
        hold: Hold | None = None,
        where: Callable[[ClusterView], str] = lambda view: "held",
    ) -> None:
        self._stage, self._limit, self._hold, self._where = stage, timedelta(seconds=limit_seconds), hold, where
        self._began = stage.now()
        self._steps: list[PlannedStep] = []
        self._last: Step | None = None
        self._outcome, self._word = Outcome.DONE, ""
        self.views: list[ClusterView] = []

    @property
    def may_go_on(self) -> bool:
        return self._outcome is Outcome.DONE

    def follow(self, begin: Callable[[], Iterator[Progress]]) -> None:
        """A loop to its end, which may be an error, or a wait for what does not come."""
        try:
            self._follow(begin())
        except RetryableError as error:
            self._end(Outcome.UNREADABLE, str(error))
        except RedstartError as error:
            self._end(Outcome.REFUSED, str(error))

    def told(self, journal: PlanJournal) -> Rehearsed:
        moments = dict(journal.moments)
        return Rehearsed(self._outcome, self._word, tuple(self._steps), self._elapsed(), moments)

    def _follow(self, loop: Iterator[Progress]) -> None:
        deadline = self._stage.now() + self._limit
        for progress in loop:
            if progress.view is not None:
                self.views.append(progress.view)
            if progress.step is None:  # the deed would try again; a plan says so
                return self._end(Outcome.UNREADABLE, progress.sentence)
            if progress.end is not None:
                is_done = isinstance(progress.end, Done)
                return self._end(Outcome.DONE if is_done else Outcome.FAILED, progress.sentence)
            self._keep(progress.step)
            if isinstance(progress.step, WaitPeak) and progress.view is not None:  # for hours: no plan looks so far
                where = self._where(progress.view)
                return self._end(Outcome.WAITS, f"{where} at its peak: {progress.sentence}")
            self._stage.advance(pause := self._pause(progress))
            if isinstance(progress.step, WaitHeld):
                deadline += timedelta(seconds=pause)
            elif self._stage.now() >= deadline:
                return self._end(
                    Outcome.WAITS, f"not at its end after {self._limit.total_seconds():.0f} s: {progress.sentence}"
                )
        return None

    def _pause(self, progress: Progress) -> float:
        """As the loop says; a hold with an end is waited for at once."""
        if isinstance(progress.step, WaitHeld) and self._hold is not None and self._hold.until is not None:
            return max((self._hold.until - self._stage.now()).total_seconds(), progress.pause_seconds)
        return progress.pause_seconds

    def _keep(self, step: Step) -> None:
        calls, last = tuple(self._stage.take_calls()), self._last
        is_same = isinstance(step, Wait) and isinstance(last, Wait) and step.what == last.what
        self._last = step
        if is_same and not calls:
            return
        began = self._since(calls)
        self._close(began)
        self._steps.append(PlannedStep(began, sentence_of(step), calls=calls))

    def _close(self, at_seconds: float) -> None:
        """The step before has taken until this moment."""
        if self._steps:
            last = self._steps[-1]
            self._steps[-1] = replace(last, seconds=at_seconds - last.after_seconds)

    def _end(self, outcome: Outcome, word: str) -> None:
        if calls := tuple(self._stage.take_calls()):  # the end is a deed, as the deletion of a failed group
            began = self._since(calls)
            self._close(began)
            self._steps.append(PlannedStep(began, word, calls=calls))
        self._close(self._elapsed())
        self._outcome, self._word = outcome, word

    def _since(self, calls: Sequence[PlannedCall]) -> float:
        """When the step with these calls began."""
        return (calls[0].at - self._began).total_seconds() if calls else self._elapsed()

    def _elapsed(self) -> float:
        return (self._stage.now() - self._began).total_seconds()


def sentence_of(step: Step) -> str:
    """The step as a plan says it: what is not there yet is no news, and notes are told by their names."""
    if isinstance(step, WatchRed) and step.request is not None:
        beside = f" beside {' and '.join(step.request.previous)}" if step.request.kind is WatchKind.SIDE_BY_SIDE else ""
        return f"watch {step.request.red}{beside}"
    if isinstance(step, Wait):
        return f"wait until {step.what}"
    if isinstance(step, TagGroup) and not isinstance(step, MarkFailed):
        names = (key.removeprefix("redstart:") for key in sorted(step.tags) if key != FENCE)
        return f"note on {step.name}: {', '.join(names)}"
    return step.sentence
