"""Curves of traffic as SVG: the only part of a picture that is stretched to its width."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from markupsafe import Markup

from include.reports.windows_facts import Usual

TOP, PLOT_HEIGHT = 20, 140
UNITS = 10_000
HEAD_ROOM = 1.08
Point = tuple[float, float]


@dataclass(frozen=True)
class Frame:
    """The stretch of time that a picture shows, and the level at its upper edge."""

    start: datetime
    end: datetime
    top: float = 1.0

    def share(self, moment: datetime) -> float:
        """0 at the left edge, 1 at the right one."""
        return (moment - self.start) / (self.end - self.start)

    def percent(self, moment: datetime) -> str:
        return f"{100 * min(max(self.share(moment), 0.0), 1.0):.3f}%"

    def point(self, moment: datetime, level: float) -> Point:
        """Within the part of the picture that is stretched."""
        return UNITS * self.share(moment), UNITS * (1 - min(max(level, 0.0) / self.top, 1.0))

    def height(self, level: float) -> float:
        """Pixels from the picture's top."""
        return TOP + PLOT_HEIGHT * (1 - min(level / self.top, 1.0))


def highest_shown(usual: Sequence[Usual], counted: Iterable[float]) -> float:
    levels = [one.level + one.spread for one in usual] + [one.level for one in usual] + list(counted)
    return HEAD_ROOM * max((level for level in levels if math.isfinite(level)), default=0.0) or 1.0


def stretched(top: int, height: int, shapes: Iterable[Markup]) -> Markup:
    opening = Markup(
        '<svg x="0" y="{}" width="100%" height="{}" viewBox="0 0 {} {}" preserveAspectRatio="none" aria-hidden="true">'
    ).format(top, height, UNITS, UNITS)
    return opening + Markup("").join(shapes) + Markup("</svg>")


def curves(frame: Frame, usual: Sequence[Usual], counted: Sequence[tuple[datetime, float]]) -> Iterator[Markup]:
    for run in _runs(usual):
        upper = _smooth([frame.point(one.at, one.level + one.spread) for one in run])
        lower = _smooth([frame.point(one.at, one.level - one.spread) for one in reversed(run)])
        yield _path("spread", f"M{upper} L{lower} Z")
    limits = [frame.point(one.at, one.limit) for one in usual if math.isfinite(one.limit)]
    if limits:
        yield _path("below", f"M{_straight(limits)}")
    for run in _runs(usual):
        yield _path("usual", f"M{_smooth([frame.point(one.at, one.level) for one in run])}")
    seen = [frame.point(at, level) for at, level in counted if at >= frame.start]
    if len(seen) > 1:
        yield _path("counted", f"M{_straight(seen)}")


def area(frame: Frame, usual: Sequence[Usual]) -> Markup:
    shapes = []
    for run in _runs(usual):
        foot = _straight([frame.point(run[-1].at, 0.0), frame.point(run[0].at, 0.0)])
        shapes.append(_path("area", f"M{_smooth([frame.point(one.at, one.level) for one in run])} L{foot} Z"))
    return Markup("").join(shapes)


def _path(kind: str, way: str) -> Markup:
    return Markup('<path class="{}" d="{}"/>').format(kind, way)


def _straight(points: Sequence[Point]) -> str:
    return " ".join(f"{x:.0f},{y:.0f}" for x, y in points)


def _smooth(points: Sequence[Point]) -> str:
    """A curve through the points (Catmull-Rom); between two of them it never leaves their heights."""
    parts = [f"{points[0][0]:.0f},{points[0][1]:.0f}"]
    for k in range(len(points) - 1):
        (x, y), (u, v) = points[k], points[k + 1]
        before, after = points[max(k - 1, 0)][1], points[min(k + 2, len(points) - 1)][1]
        low, high = min(y, v), max(y, v)
        first, second = (min(max(one, low), high) for one in (y + (v - before) / 6, v - (after - y) / 6))
        third = (u - x) / 3
        parts.append(f"C{x + third:.0f},{first:.0f} {u - third:.0f},{second:.0f} {u:.0f},{v:.0f}")
    return " ".join(parts)


def _runs(usual: Sequence[Usual]) -> list[list[Usual]]:
    """Without the hours of which nothing is known: the line breaks there."""
    parts = groupby(usual, key=lambda one: one.is_known)
    return [list(run) for is_known, run in parts if is_known]
