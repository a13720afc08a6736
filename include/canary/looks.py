"""Looks: judgements in the middle of a soak. When the next one is due, and whether what it saw ends the soak early.

Every moment is absolute and follows from the soak alone, so that whoever asks again gets the same answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from include.errors import ConfigError

if TYPE_CHECKING:  # every DAG file loads this module, and the judge's settings take a sixth of a second
    from include.canary.config import JudgeConfig
    from include.canary.verdict import MetricVerdict, Verdict

LOOKS_FORMAT = 1
LookOutcome = Literal["go", "no-go", "cannot tell yet", "no answer"]


@dataclass(frozen=True)
class Look:
    """What one judgement of the window from `start` to `at` (tz-aware) found; the last of a soak is at its end.

    `score` is None where nothing was judged (the metric store stayed away: outcome "no answer"); `unknown_weight` is
    in percent, `deviating` counts unmuted metrics that are HOT or COLD, `reason` is a sentence.
    """

    at: datetime
    start: datetime
    score: float | None
    outcome: LookOutcome
    unknown_weight: float = 0.0
    deviating: int = 0
    reason: str = ""


@dataclass(frozen=True)
class LookPlan:
    """When a soak from `start` to `end` (tz-aware) is looked at.

    Every `every_seconds` (0: only at the end), over the last `lookback_seconds` (0: all since the start). A window's
    last points are in the store `settle_seconds` after it closed. The judgement at the end is always of the whole
    soak: that is what was asked for.
    """

    start: datetime
    end: datetime
    every_seconds: int = 0
    lookback_seconds: int = 0
    settle_seconds: int = 0

    @property
    def moments(self) -> tuple[datetime, ...]:
        """The looks before the end; one within half an interval of the end would tell little more than the end."""
        if self.every_seconds <= 0:
            return ()
        every = timedelta(seconds=self.every_seconds)
        count = int((self.end - self.start - every / 2) / every)
        return tuple(self.start + every * number for number in range(1, max(count, 0) + 1))

    def window_start(self, at: datetime) -> datetime:
        if at >= self.end or self.lookback_seconds <= 0:
            return self.start
        return max(self.start, at - timedelta(seconds=self.lookback_seconds))

    def due(self, at: datetime) -> datetime:
        """When the window that ends `at` can be read."""
        return at + timedelta(seconds=self.settle_seconds)


@dataclass(frozen=True)
class NextLook:
    """The window to judge next, not before `due`; `is_end`: it is the soak's own."""

    start: datetime
    at: datetime
    due: datetime
    is_end: bool


def next_look(plan: LookPlan, done: Iterable[datetime], now: datetime) -> NextLook:
    """What to judge next, after looks at the moments `done`.

    Of several that are overdue (the machinery was away) only the latest is taken, none once the end is due; and
    never one from before a look that was taken.
    """
    taken = max(done, default=plan.start)
    left = [at for at in plan.moments if at > taken] if plan.due(plan.end) > now else []
    overdue = [at for at in left if plan.due(at) <= now]
    at = overdue[-1] if overdue else left[0] if left else plan.end
    return NextLook(plan.window_start(at), at, plan.due(at), at == plan.end)


def after_look(verdict: Verdict, config: JudgeConfig) -> str:
    """Why the soak ends early after a look, or "" to go on.

    A critical metric that stops, or a score below marginal, each on at least the minimum points. Lack of evidence
    never ends a soak: that is what the rest of it is for.
    """
    least = config.minimum.points
    stops = [metric for metric in verdict.failed_criticals if metric.points >= least]
    if stops:
        return _critical(stops)
    is_known = verdict.points >= least and verdict.unknown_weight <= verdict.unknown_limit
    if is_known and verdict.classification != "unknown" and verdict.score < verdict.thresholds.marginal:
        return f"score {verdict.score:g} is below {verdict.thresholds.marginal:g}"
    return ""


def _critical(stops: Sequence[MetricVerdict]) -> str:
    more = f" and {len(stops) - 1} more critical" if len(stops) > 1 else ""
    return f"critical {stops[0].name} is {stops[0].label}: {stops[0].reason}{more}"


def for_look(config: JudgeConfig, looks: int) -> JudgeConfig:
    """The settings of one of `looks` judgements before the end.

    Each gets its share of the chance that a critical metric of an identical canary deviates (Bonferroni): all looks
    together say so no more often than the judgement at the end does.
    """
    if looks <= 1:
        return config
    shares = {name: getattr(config.minimum, name) / looks for name in ("critical_alarm", "canary_alarm")}
    level = config.minimum.model_copy(update=shares)
    return config.model_copy(update={"evidence_levels": {**config.evidence_levels, config.evidence: level}})


def look_of(window: NextLook, verdict: Verdict, outcome: LookOutcome, reason: str) -> Look:
    """A judged window as a line of the history."""
    is_unknown = verdict.classification == "unknown"
    deviating = sum(metric.label.is_deviating and not metric.muted for metric in verdict.metrics)
    score = None if is_unknown else verdict.score
    return Look(window.at, window.start, score, outcome, verdict.unknown_weight, deviating, reason)


def no_answer(window: NextLook, reason: str) -> Look:
    """A window that the metric store could not be asked for."""
    return Look(window.at, window.start, None, "no answer", 100.0, 0, reason)


def with_look(history: Iterable[Look], look: Look) -> tuple[Look, ...]:
    """The history in order of time, one look a moment: a look taken again replaces the former."""
    return tuple(sorted((*(one for one in history if one.at != look.at), look), key=lambda one: one.at))


def looks_json(history: Iterable[Look]) -> dict[str, Any]:
    """Plain JSON values under a version; `looks_from_json` reads them back."""
    looks = [{**asdict(look), "at": look.at.isoformat(), "start": look.start.isoformat()} for look in history]
    return {"version": LOOKS_FORMAT, "looks": looks}


def looks_from_json(body: Mapping[str, Any]) -> tuple[Look, ...]:
    """Raises ConfigError for a version that this one does not know."""
    if body.get("version") != LOOKS_FORMAT:
        raise ConfigError("this version cannot read it", source="looks", key="version", value=body.get("version"))
    return tuple(_look_from_json(look) for look in body["looks"])


def _look_from_json(body: Mapping[str, Any]) -> Look:
    at, start = (datetime.fromisoformat(body[key]) for key in ("at", "start"))
    rest = {key: value for key, value in body.items() if key not in {"at", "start"}}
    return Look(at=at, start=start, **rest)
