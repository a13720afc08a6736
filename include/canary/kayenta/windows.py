"""Which stretch of a canary's life each judgement looks at, and what the judgements come to in the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from include.errors import ConfigError

_NOTHING = timedelta(0)


@dataclass(frozen=True)
class Window:
    """From `start` up to `end`, both tz-aware."""

    start: datetime
    end: datetime

    def earlier(self, offset: timedelta) -> Window:
        """The same stretch, `offset` before: the baseline's, where it is the same service at an earlier time."""
        return Window(self.start - offset, self.end - offset)


@dataclass(frozen=True)
class Schedule:
    """When a canary is judged: after every `interval`.

    The window grows from the beginning, or, with a `lookback`, slides: it is that long and ends where the growing one
    would. `start` (None: when the schedule is asked, `now`) to `end` judges the past: `begin_after`, the warm-up, is
    for a canary that is still to run, `end` None.
    """

    interval: timedelta
    start: datetime | None = None
    end: datetime | None = None
    begin_after: timedelta = _NOTHING
    lookback: timedelta = _NOTHING

    def begin(self, now: datetime) -> datetime:
        """Where the first window begins."""
        start = self.start or now
        return start if self.end else start + self.begin_after

    def window(self, number: int, *, now: datetime) -> Window:
        """Of judgement `number`, 1 being the first."""
        begin = self.begin(now)
        end = begin + number * self.interval
        return Window(end - self.lookback if self.lookback else begin, end)

    def windows(self, lifetime: timedelta, *, now: datetime) -> list[Window]:
        """Of all judgements of a lifetime: as many whole intervals as it holds, one if it holds none."""
        interval = self.interval if _NOTHING < self.interval <= lifetime else lifetime
        whole = Schedule(interval, self.start, self.end, self.begin_after, self.lookback)
        return [whole.window(number, now=now) for number in range(1, lifetime // interval + 1)]


def lifetime_of(*, start: datetime, end: datetime | None, lifetime: timedelta | None) -> timedelta:
    """How long the canary is looked at; an `end` outweighs a `lifetime`. Raises ConfigError without either."""
    found = end - start if end else lifetime
    if found is None:
        raise ConfigError("give an end time or a lifetime", source="schedule", key="lifetimeDurationMins")
    if found <= _NOTHING:
        raise ConfigError("must be over 0", source="schedule", key="lifetimeDurationMins", value=str(found))
    return found


def order_runs(runs: Sequence[tuple[str, str]]) -> list[str]:
    """The second members (ids) in the order of the numbers that end the first ("Run Canary #2")."""
    return [run for _, run in sorted(runs, key=lambda named: int(named[0].rpartition("#")[2]))]


@dataclass(frozen=True)
class FinalDecision:
    """Whether the canary passed, and why."""

    passed: bool
    message: str


def is_worth_going_on(score: float, marginal: float | None) -> bool:
    """Whether the next interval is judged: a score at or below the marginal threshold ends the canary."""
    return marginal is None or score > marginal


def decide_finally(score: float, *, marginal: float | None, passing: float | None) -> FinalDecision:
    """What the last score says of the whole canary. A score on the marginal threshold is not above it: it fails."""
    if marginal is None and passing is None:
        return FinalDecision(True, "No score thresholds were given.")
    if not is_worth_going_on(score, marginal):
        return FinalDecision(False, f"Final canary score {score} is not above the marginal score threshold.")
    if passing is None:
        return FinalDecision(True, "No pass score threshold was given.")
    if score < passing:
        return FinalDecision(False, f"Final canary score {score} is below the pass score threshold.")
    return FinalDecision(True, f"Final canary score {score} met or exceeded the pass score threshold.")
