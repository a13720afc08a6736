"""The scores of the looks during the soak: where they lie in a small picture, and what a table says of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from include.canary.looks import Look

_CLASSES = {"go": "go", "no-go": "no-go", "cannot tell yet": "cannot", "no answer": "none"}
_GLYPHS = {"go": "●", "no-go": "▲", "cannot tell yet": "?", "no answer": "!"}


def _floor(scores: list[float], marginal: float) -> float:
    """The lowest score that the picture shows: a soak between 90 and 100 is not drawn as a straight line."""
    lowest = min([*scores, marginal])
    return 0.0 if lowest < 40.0 else 10.0 * ((lowest - 5.0) // 10.0)


def _across(moment: datetime, looks: Sequence[Look]) -> float:
    """Percent of the way from the first look to the last; a single look stands in the middle."""
    span = (looks[-1].at - looks[0].at).total_seconds()
    return 50.0 if span <= 0.0 else 100.0 * (moment - looks[0].at).total_seconds() / span


def _paths(marks: list[dict[str, Any]]) -> list[str]:
    """The line through the scores, in percent of the picture; it breaks where a look has none."""
    lines: list[list[str]] = [[]]
    for mark in marks:
        if mark["score"] is None:
            lines.append([])
        else:
            lines[-1].append(f"{mark['x']:.2f},{mark['y']:.2f}")
    return [" ".join(line) for line in lines if len(line) > 1]


def trend(looks: Sequence[Look], *, go: float, marginal: float) -> dict[str, Any] | None:
    """Marks (x, y in percent from the upper left), lines, thresholds and table of the looks; None without any.

    A look without a score is marked at the foot of the picture. Times are UTC; the table begins with the latest.
    """
    if not looks:
        return None
    in_order = sorted(looks, key=lambda look: look.at)
    floor = _floor([look.score for look in in_order if look.score is not None], marginal)

    def height(score: float | None) -> float:
        return 100.0 if score is None else 100.0 * (100.0 - score) / (100.0 - floor)

    marks = [
        {
            "x": _across(look.at, in_order),
            "y": height(look.score),
            "score": None if look.score is None else f"{look.score:.3g}",
            "tone": _CLASSES.get(look.outcome, "none"),
            "glyph": _GLYPHS.get(look.outcome, "!"),
            "outcome": look.outcome,
            "at": look.at.astimezone(UTC).strftime("%H:%M:%S"),
            "window": f"{look.start.astimezone(UTC):%Y-%m-%d %H:%M:%S} to {look.at.astimezone(UTC):%H:%M:%S}",
            "unknown": f"{look.unknown_weight:.3g}",
            "deviating": look.deviating,
            "reason": look.reason,
        }
        for look in in_order
    ]
    return {
        "marks": marks,
        "table": marks[::-1],
        "paths": _paths(marks),
        "go": f"{go:g}",
        "go_y": height(go),
        "marginal": f"{marginal:g}",
        "marginal_y": height(marginal),
        "floor": f"{floor:g}",
        "first": marks[0]["at"],
        "last": marks[-1]["at"],
    }
