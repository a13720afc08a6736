"""Kayenta's score: the weighted sum of the groups' shares of passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from include.canary.kayenta.classify import Word

_COUNTED = {Word.PASS, Word.HIGH, Word.LOW, Word.NODATA_FAIL}
_MOST_WITHOUT_DATA = 50.0


@dataclass(frozen=True)
class Result:
    """One metric as the score sees it; `stops` is Kayenta's critical flag."""

    word: Word
    groups: tuple[str, ...]
    reason: str = ""
    stops: bool = False
    muted: bool = False


@dataclass(frozen=True)
class Group:
    """`score` 0 to 100, None if nothing in it counts; `weight` in percent; its unmuted metrics."""

    name: str
    score: float | None
    weight: float
    metrics: int


@dataclass(frozen=True)
class Score:
    """`reason` is there where one rule alone made the score 0."""

    score: float
    groups: tuple[Group, ...]
    reason: str = ""


def round_half_up(value: float) -> float:
    """To two decimals, from the shortest decimal that reads as this double."""
    return float(Decimal(repr(value)).quantize(Decimal("0.01"), ROUND_HALF_UP))


def group_weights(configured: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    """Percent of each named group: as configured; those without a weight share evenly what all weights leave of 100.

    A configured group that is not named keeps its weight from the others.
    """
    rest = [name for name in names if name not in configured]
    left = (100.0 - sum(configured.values())) / len(rest) if rest else 0.0
    return {name: configured.get(name, left) for name in names}


def _group(name: str, weight: float, results: Sequence[Result]) -> Group:
    members = [result for result in results if name in result.groups]
    counted = [result for result in members if result.word in _COUNTED]
    passed = sum(result.word is Word.PASS for result in counted)
    return Group(name, 100.0 * passed / len(counted) if counted else None, weight, len(members))


def _verdict_of_one(results: Sequence[Result]) -> str:
    """Why the score is 0 whatever the groups say, or nothing."""
    for result in results:
        if result.stops and result.word is not Word.PASS:
            return f"Canary Failed: {result.reason}"
    lacking = sum(result.word is Word.NODATA for result in results)
    if results and 100.0 * lacking / len(results) >= _MOST_WITHOUT_DATA:
        return "Canary Failed: 50% or more metrics returned NODATA"
    return ""


def score_results(results: Sequence[Result], configured: Mapping[str, float]) -> Score:
    """The score over all unmuted results; `configured` are percent. A group in which nothing counts counts as 100."""
    unmuted = [result for result in results if not result.muted]
    names = list(dict.fromkeys(group for result in unmuted for group in result.groups))
    groups = tuple(_group(name, weight, unmuted) for name, weight in group_weights(configured, names).items())
    reason = _verdict_of_one(unmuted)
    if reason:
        return Score(0.0, groups, reason)
    total = sum((100.0 if group.score is None else group.score) * (group.weight / 100.0) for group in groups)
    return Score(round_half_up(total), groups)
