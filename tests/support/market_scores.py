"""How well windows that were learned fit the true ones of a simulated market."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from include.peaks import Window
from tests.support.markets import SLOT_SECONDS, STEP_SECONDS, Market, true_busiest, true_windows

LOOKED_AT_DAYS = 7.0
ALLOWED_SECONDS = 1800.0
NO_PARTNER = float("inf")


@dataclass(frozen=True)
class Score:
    """`edges`: seconds from each true edge to the learned one (inf where a window has no partner, of either side);
    `next_edges`: of the next true window. `busy_seconds` inside windows are of the true top third of a day.
    `true_seconds` are quiet in truth, `found_seconds` of them were found, `beyond_seconds` are in windows but not quiet
    in truth."""

    edges: tuple[float, ...]
    next_edges: tuple[float, ...]
    busy_seconds: float
    true_seconds: float
    found_seconds: float
    beyond_seconds: float

    @property
    def fits(self) -> bool:
        return all(edge <= ALLOWED_SECONDS for edge in self.edges)

    @property
    def next_fits(self) -> bool:
        return all(edge <= ALLOWED_SECONDS for edge in self.next_edges)


def score_of(world: Market, learned: Sequence[Window]) -> Score:
    truth = _without_gaps(true_windows(world, LOOKED_AT_DAYS + 1, since=world.now - timedelta(days=1)))
    until = world.now + timedelta(days=LOOKED_AT_DAYS)
    pairs = [(one, other) for one, other in _pairs(truth, learned) if _in_sight(one, world.now, until)]
    paired = {id(window) for pair in pairs for window in pair}
    alone = [one for one in (*truth, *learned) if id(one) not in paired and _in_sight(one, world.now, until)]
    edges = [edge for one, other in pairs for edge in _edges(one, other)]
    following = next((one for one in truth if one.start > world.now + timedelta(seconds=ALLOWED_SECONDS)), None)
    partner = next((other for one, other in pairs if one is following), None)
    sight = (world.moments >= world.now.timestamp()) & (world.moments < until.timestamp())
    quiet, taken = _covered(world.moments, truth) & sight, _covered(world.moments, learned) & sight
    return Score(
        edges=(*edges, *(NO_PARTNER for _ in range(2 * len(alone)))),
        next_edges=_edges(following, partner) if following and partner else (NO_PARTNER,) if following else (),
        busy_seconds=_seconds(taken & true_busiest(world)),
        true_seconds=_seconds(quiet),
        found_seconds=_seconds(quiet & taken),
        beyond_seconds=_seconds(taken & ~quiet),
    )


def _in_sight(window: Window, begin: datetime, end: datetime) -> bool:
    """Well within what is looked at: whether one that ends or begins just there is given is a matter of seconds."""
    edge = timedelta(seconds=ALLOWED_SECONDS)
    return window.end > begin + edge and window.start < end - edge


def _without_gaps(windows: Sequence[Window]) -> list[Window]:
    """A gap that is shorter than a slot (at midnight, where the day's peak changes) makes no two windows."""
    joined: list[Window] = []
    for window in windows:
        if joined and (window.start - joined[-1].end).total_seconds() < SLOT_SECONDS:
            window = Window(joined.pop().start, window.end)
        joined.append(window)
    return joined


def _pairs(truth: Sequence[Window], found: Sequence[Window]) -> list[tuple[Window, Window]]:
    """Each true window with the one that shares most with it, each used once."""
    free, pairs = list(found), []
    for window in truth:
        best = max(free, key=lambda other: _shared(window, other), default=None)
        if best is not None and _shared(window, best) > 0:
            pairs.append((window, best))
            free.remove(best)
    return pairs


def _shared(one: Window, other: Window) -> float:
    return (min(one.end, other.end) - max(one.start, other.start)).total_seconds()


def _edges(one: Window, other: Window) -> tuple[float, float]:
    return abs((one.start - other.start).total_seconds()), abs((one.end - other.end).total_seconds())


def _covered(moments: np.ndarray, windows: Sequence[Window]) -> np.ndarray:
    """Five minutes whose middle is in a window: `traffic` is that of the middle."""
    middles = moments + STEP_SECONDS / 2
    covered = np.zeros(len(moments), dtype=bool)
    for window in windows:
        covered |= (middles >= window.start.timestamp()) & (middles < window.end.timestamp())
    return covered


def _seconds(chosen: np.ndarray) -> float:
    return float(np.count_nonzero(chosen) * STEP_SECONDS)
