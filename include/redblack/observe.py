"""How often and how closely to look: a poll while waiting is cheap, a look before a deed sees everything."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from include.redblack.steps import Step, Wait, WaitGuard, WaitTakingTraffic, WatchRed

QUICK_TURNS = 15
"""Looks of one second each while traffic is being switched; after them, as seldom as any other wait."""
POLL_SECONDS = 5.0
SWITCH_SECONDS = 1.0
GUARD_SECONDS = 15.0
"""Whoever waits for the guard has to look at everything each time."""


@dataclass(frozen=True)
class Focus:
    """What one look reads. `health_of`: groups whose target health is asked for, None for all; `is_whole`: a look
    before a deed, which also reads the traffic. A poll costs two reads and one for each of the others."""

    health_of: Collection[str] | None = None
    counts_requests: bool = True
    asks_watch: bool = False
    is_whole: bool = True


WHOLE = Focus()


def focus_after(step: Step | None, red: Collection[str], turn: int) -> Focus:
    """How to look after `step`; `turn` counts looks since the same wait began.

    Three reads at most: whoever watches, or waits for traffic, hears of health from Auto Scaling every second time.
    """
    is_other_turn = turn % 2 == 0
    if isinstance(step, WatchRed) and is_other_turn:
        return Focus((), counts_requests=False, asks_watch=True, is_whole=False)
    if isinstance(step, WaitTakingTraffic) and is_other_turn:
        return Focus((), is_whole=False)
    if isinstance(step, Wait) and not isinstance(step, WaitGuard):
        return Focus(red, counts_requests=False, is_whole=False)
    return WHOLE


def pause_after(step: Step, turn: int, now: datetime) -> float:
    """Seconds until the next look: none after a verb, short while traffic is being switched or a watch ends."""
    if isinstance(step, WatchRed) and step.request is not None and step.request.until > now:
        return min(POLL_SECONDS, max((step.request.until - now).total_seconds(), SWITCH_SECONDS))
    if isinstance(step, WaitTakingTraffic) and turn <= QUICK_TURNS:
        return SWITCH_SECONDS
    if isinstance(step, WaitGuard):
        return GUARD_SECONDS
    return POLL_SECONDS if isinstance(step, Wait) else 0.0
