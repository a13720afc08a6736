"""The loop itself: look as closely as the last step asks for, decide, ask the guard, write down, do, write down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from include.errors import RedstartError, RetryableError
from include.fleet import ClusterRef, ClusterView, Fleet
from include.ledger import LockLostError
from include.redblack.deeds import describe, is_effected
from include.redblack.demand import Demand, forecast
from include.redblack.facts import Fact
from include.redblack.goal import Need
from include.redblack.guard import refuse
from include.redblack.journal import Journal
from include.redblack.look import Finding, Look, Watched, WatchRequest
from include.redblack.observe import SWITCH_SECONDS, WHOLE, Focus, focus_after, pause_after
from include.redblack.perform import perform
from include.redblack.roles import newest_fence
from include.redblack.steps import Done, End, Failed, Step, Verb, Wait, WaitGuard, WatchRed

SEEN_SECONDS = 30
"""How far back "taking traffic" looks; the agent publishes every 5 s and the store may be a few late."""
TRAFFIC_SECONDS = 900
"""How far back the traffic's trend is read."""
PATIENCE = 60
"""Observations in a row that may fail before the driver gives up; the task's own retries come after that."""
DARK_SECONDS = 30
"""For so long a metric store that did not answer is not asked again: each time may cost its time-out."""
LONG_WATCH_SECONDS = 120
WATCH_EVERY_SECONDS = 60

Read = TypeVar("Read")


@dataclass(frozen=True)
class Progress:
    """One turn of the loop. `pause_seconds` is what to wait before the next; an end is the last one.

    `is_news` is False where the same wait was reported before, so that a log does not repeat itself. `until`: a
    moment before which nobody needs to look again, as in a long watch; whoever drives may let go until then.
    """

    sentence: str
    pause_seconds: float
    step: Step | None = None
    view: ClusterView | None = None
    is_news: bool = True
    until: datetime | None = None

    @property
    def end(self) -> End | None:
        return self.step if isinstance(self.step, Done | Failed) else None


@dataclass(frozen=True)
class Work:
    """What a loop is for. `eyed`: groups whose health is looked at while waiting; `counted`: those whose requests are
    counted; `facts`: what a whole look proves; `after`: the end that a deed is; `end`: the facts of an end."""

    cluster: ClusterRef
    need: Need
    token: int
    decide: Callable[[Look], Step]
    eyed: Callable[[ClusterView], list[str]] = lambda view: []
    counted: Callable[[ClusterView], list[str]] = lambda view: []
    facts: Callable[[ClusterView, datetime], list[Fact]] = lambda view, now: []
    after: Callable[[Step, ClusterView], End | None] = lambda step, view: None
    end: Callable[[End, ClusterView], list[Fact]] = lambda step, view: []
    watch: Callable[[WatchRequest], Watched] | None = None


class Loop:
    """One engine at work on one cluster. What it remembers may be lost at any moment."""

    def __init__(self, fleet: Fleet, work: Work, clock_now: Callable[[], datetime], journal: Journal) -> None:
        self._fleet, self._work, self._now, self._journal = fleet, work, clock_now, journal
        self._step: Step | None = None
        self._eyed: list[str] = []
        self._turn = 0
        self._is_settled = False
        self._watched: Watched | None = None
        # As last counted: a poll that does not count must not call it nothing.
        self._served: dict[str, float] = {}
        self._blind = ""
        self._dark_until: datetime | None = None

    def turns(self) -> Iterator[Progress]:
        failed = 0
        while True:
            try:
                progress = self._take_turn()
            except RetryableError as error:
                failed += 1
                self._is_settled = False  # the deed may be done, and its answer lost
                if failed >= PATIENCE:
                    raise
                place = f"{self._work.cluster.name} in {self._fleet.region}"
                yield Progress(f"{place}: {error}; trying again", error.next_delay_seconds)
                continue
            failed = 0
            yield progress
            if progress.end is not None:
                return

    def _take_turn(self) -> Progress:
        self._journal.keep_lease()
        look = self._look(focus_after(self._step, self._eyed, self._turn))
        step = self._guarded(look, self._work.decide(look))
        if isinstance(step, Done | Failed):
            self._note(self._work.end(step, look.view))
            return Progress(step.sentence, 0.0, step, look.view)
        if not isinstance(step, Wait):
            self._do(step, look.view)
            if end := self._work.after(step, look.view):
                self._note(self._work.end(end, look.view))
                return Progress(end.sentence, 0.0, end, look.view)
        return self._tell(step, look)

    def _look(self, focus: Focus) -> Look:
        """A look that is close enough: one that is not whole, and leads to more than a wait, is taken again whole."""
        look = self._observe(focus)
        if not focus.is_whole and not isinstance(self._work.decide(look), Wait):
            look = self._observe(WHOLE)
        return look

    def _observe(self, focus: Focus) -> Look:
        work = self._work
        view = self._fleet.view_cluster(work.cluster, health_of=focus.health_of)
        if work.token and newest_fence(view) > work.token:
            raise LockLostError(
                f"{work.cluster.name} in {self._fleet.region} was changed under a newer lock "
                f"({newest_fence(view)}, ours is {work.token})."
            )
        if focus.asks_watch:
            self._ask_watch()
        if focus.counts_requests:
            self._count_requests(view)
        if focus.is_whole and not self._is_settled:
            self._journal.settle(view)
            self._is_settled = True
        now = self._now()
        if focus.is_whole or focus.health_of:
            self._note(work.facts(view, now))
        self._eyed = work.eyed(view)
        demand = self._read_demand() if focus.is_whole else Demand()
        return Look(view, now, self._served, self._blind, demand, self._watched, self._journal.hold())

    def _count_requests(self, view: ClusterView) -> None:
        """What cannot be counted is not called nothing; and a metric store that is away must not stop a rollback."""
        self._served, self._blind = {}, ""
        for name in self._work.counted(view):
            group = view.group(name)
            if group is None or not group.is_enabled:
                continue
            try:
                self._served.update(self._ask_metrics(partial(self._fleet.count_requests, name, seconds=SEEN_SECONDS)))
            except RedstartError as error:
                self._blind = f"requests cannot be counted: {error}"

    def _read_demand(self) -> Demand:
        """Unknown where the metric store is away: that must not stop a rollback either."""
        try:
            history = self._ask_metrics(partial(self._fleet.read_traffic, self._work.cluster, seconds=TRAFFIC_SECONDS))
        except RedstartError:
            return Demand()
        return forecast(history, self._work.need.start_seconds)

    def _ask_metrics(self, read: Callable[[], Read]) -> Read:
        if self._dark_until is not None and self._now() < self._dark_until:
            raise RetryableError("the metric store did not answer a moment ago")
        try:
            found = read()
        except RedstartError:
            self._dark_until = self._now() + timedelta(seconds=DARK_SECONDS)
            raise
        self._dark_until = None
        return found

    def _ask_watch(self) -> None:
        if not isinstance(self._step, WatchRed) or self._step.request is None:
            return
        request = self._step.request
        try:
            found = self._work.watch(request) if self._work.watch else Watched(Finding.SOUND, self._now())
        except RetryableError as error:
            found = Watched(Finding.UNKNOWN, self._now(), str(error))
        self._watched = found

    def _guarded(self, look: Look, step: Step) -> Step:
        if isinstance(step, Wait | Done | Failed):
            return step
        refusal = refuse(look.view, step, look.demand, self._work.need)
        return WaitGuard("the traffic guard lets it: " + step.sentence, (refusal,)) if refusal else step

    def _do(self, step: Verb, view: ClusterView) -> None:
        """What shows already is only made sure of: it was written down when it was done."""
        if is_effected(view, describe(step)):
            perform(self._fleet, step)
            return
        self._journal.intend(step)
        perform(self._fleet, step)
        self._journal.done(step)

    def _note(self, facts: list[Fact]) -> None:
        for fact in facts:
            self._journal.note(fact.kind, fact.data, why=fact.why)

    def _tell(self, step: Step, look: Look) -> Progress:
        is_news = self._step is None or step.sentence != self._step.sentence
        is_same_wait = isinstance(step, Wait) and type(step) is type(self._step)
        self._turn = self._turn + 1 if is_same_wait else 0
        self._step = step
        pause = pause_after(step, self._turn, look.now)
        if not is_news:
            # A verb whose effect cannot be seen yet, as AWS's lists may lag behind: said again, but not at once.
            pause = max(pause, SWITCH_SECONDS)
        return Progress(step.sentence, pause, step, look.view, is_news, self._free_until(step, look.now))

    def _free_until(self, step: Step, now: datetime) -> datetime | None:
        """In a long watch that has just been asked: when it is to be asked again."""
        if not isinstance(step, WatchRed) or step.request is None or self._watched is None or self._turn == 0:
            return None
        length = (step.request.until - step.request.since).total_seconds()
        if length < LONG_WATCH_SECONDS or now >= step.request.until:
            return None
        return min(step.request.until, now + timedelta(seconds=WATCH_EVERY_SECONDS))
