"""A soak and its judgements: what is due now, what it found, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from include.canary.looks import LookPlan, NextLook, after_look, look_of, next_look, no_answer
from include.errors import RetryableError
from redstart.operators import clock
from redstart.operators.judgement import (
    JUDGED_UNTIL,
    SOAK_END,
    SOAK_START,
    CanaryJudge,
    Judgement,
    is_whole,
    sentence_of,
)

if TYPE_CHECKING:
    from include.canary import MetricPairs
    from include.canary.looks import Look
    from redstart.sensors.soak_metrics import SoakMetrics

Say = Callable[..., None]


class Soak:
    """One soak, as often as somebody comes by: everything that it knows is in the launch's result and the kept files.

    `launched` is that result; `is_last_try` says that a store which does not answer at the end is not asked again.
    """

    def __init__(
        self,
        launched: Mapping[str, Any],
        plan: LookPlan,
        judge: CanaryJudge,
        metrics: SoakMetrics,
        say: Say,
        *,
        is_last_try: bool,
    ) -> None:
        self._plan, self._judge, self._metrics, self._say = plan, judge, metrics, say
        self._pair = (str(launched["image"]), str(launched["baseline_image"]))
        self._is_last_try = is_last_try

    def advance(self) -> dict[str, Any] | None:
        """Judge what is due; the summary once the soak is over, None while it goes on."""
        kept = self._judge.files.find_pairs(*self._pair)
        if kept is not None and (ended := self._end_again(kept)) is not None:
            return ended
        while (window := self.next()).due <= clock.now():
            ended = self._end(window) if window.is_end else self._look(window)
            if ended is not None:
                return ended
        return None

    def next(self) -> NextLook:
        done = (look.at for look in self._judge.files.looks(*self._pair))
        return next_look(self._plan, done, clock.now())

    def _end_again(self, kept: MetricPairs) -> dict[str, Any] | None:
        """Data once kept is judged again, not fetched again; None if it is a look's that would not end the soak any
        more, by today's settings, and there is some soak left to go on with."""
        judgement = self._judge.judge(kept)
        is_over = is_whole(kept) or self._plan.due(self._plan.end) <= clock.now()
        if is_over or after_look(judgement.verdict, judgement.config):
            return self._conclude(judgement)
        self._judge.files.forget_pairs()
        return None

    def _look(self, window: NextLook) -> dict[str, Any] | None:
        """A judgement before the end; the summary if it ends the soak. A store that is away ends nothing."""
        try:
            pairs = self._metrics.fetch(window)
        except RetryableError as error:
            self._note(no_answer(window, str(error)))
            return None
        judgement = self._judge.judge(pairs)
        if after_look(judgement.verdict, judgement.config):
            self._judge.files.keep_pairs(pairs)
            return self._conclude(judgement)
        decision = judgement.decision
        history = self._note(look_of(window, judgement.verdict, decision.outcome, decision.reasons[0]))
        self._judge.keep(judgement, decision, history)
        return None

    def _end(self, window: NextLook) -> dict[str, Any]:
        """The judgement at the end. A store that is away is a RetryableError, and on the last try the result."""
        from include.canary.gate import lack_answer

        try:
            pairs = self._metrics.fetch(window)
        except RetryableError as error:
            self._note(no_answer(window, str(error)))
            if not self._is_last_try:
                raise
            return self._told(self._judge.summary(None, lack_answer(str(error))), window.at)
        self._judge.files.keep_pairs(pairs)
        return self._conclude(self._judge.judge(pairs))

    def _conclude(self, judgement: Judgement) -> dict[str, Any]:
        decision = self._judge.conclude(judgement)
        at = self._judged_until(judgement.pairs)
        window = NextLook(self._plan.window_start(at), at, self._plan.due(at), at == self._plan.end)
        why = after_look(judgement.verdict, judgement.config) if not is_whole(judgement.pairs) else ""
        reason = f"ended the soak: {why}" if why else decision.reasons[0]
        history = self._note(look_of(window, judgement.verdict, decision.outcome, reason))
        self._judge.keep(judgement, decision, history)
        return self._told(self._judge.summary(judgement.verdict, decision), at)

    def _judged_until(self, pairs: MetricPairs) -> datetime:
        return datetime.fromisoformat(pairs.metadata.get(JUDGED_UNTIL, pairs.metadata[SOAK_END]))

    def _note(self, look: Look) -> tuple[Look, ...]:
        score = "no score" if look.score is None else f"score {look.score:g}"
        self._say("Judged until %s: %s, %s. %s", f"{look.at:%H:%M:%S}", look.outcome, score, look.reason)
        return self._judge.files.keep_look(*self._pair, look)

    def _told(self, summary: dict[str, Any], until: datetime) -> dict[str, Any]:
        self._say("%s; report: %s", sentence_of(summary), summary["report"])
        moments = {SOAK_START: self._plan.start, SOAK_END: self._plan.end, JUDGED_UNTIL: until}
        looks = len(self._judge.files.looks(*self._pair))
        return {**summary, "looks": looks, **{key: at.isoformat(timespec="seconds") for key, at in moments.items()}}
