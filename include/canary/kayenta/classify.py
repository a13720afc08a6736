"""One metric judged as NetflixACAJudge-v1.0 judges it: the short-circuits, the rank-sum test, the effect size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np

from include.canary.config import Direction, Rule
from include.canary.kayenta.interval import Root, Shift, find_shift
from include.canary.series import Floats

TOLERANCE = 0.25


class Word(StrEnum):
    """Kayenta's words for a metric."""

    PASS = "Pass"  # noqa: S105  (a label, no password)
    HIGH = "High"
    LOW = "Low"
    NODATA = "Nodata"
    NODATA_FAIL = "NodataFailMetric"
    ERROR = "Error"


@dataclass(frozen=True)
class Options:
    """Kayenta's options of one metric. `allowed` and `critical_allowed` are effect sizes (decrease, increase)."""

    direction: Direction = "either"
    replaces_gaps: bool = False
    critical: bool = False
    must_have_data: bool = False
    measure: Literal["ratio", "cles"] = "ratio"
    allowed: tuple[float, float] = (1.0, 1.0)
    critical_allowed: tuple[float, float] = (1.0, 1.0)
    tolerance: float = TOLERANCE
    confidence: float = 0.98


@dataclass(frozen=True)
class Classified:
    """What Kayenta says of a metric: `stops` is its critical flag, `ratio` NaN where there is none."""

    word: Word
    reason: str = ""
    stops: bool = False
    ratio: float = 1.0
    shift: Shift | None = None
    effect_size: float = math.nan


def _as_given(neutral: float, share: float) -> float:
    """The configured number again: rounding takes away what the way through `neutral` added to its last digits."""
    return round(neutral + share, 12)


def options_of(rule: Rule, confidence: float) -> Options:
    """A rule in Kayenta's own terms."""
    neutral = 0.5 if rule.measure == "cles" else 1.0
    down, up = rule.allowance(upward=False), rule.allowed
    critical_up = 0.0 if rule.critical_allowed is None else rule.critical_allowed
    critical_down = critical_up if rule.critical_allowed_down is None else rule.critical_allowed_down
    return Options(
        direction=rule.direction,
        replaces_gaps=rule.gaps == "zero",
        critical=rule.critical,
        must_have_data=rule.must_have_data,
        measure=rule.measure,
        allowed=(_as_given(neutral, -down), _as_given(neutral, up)),
        critical_allowed=(_as_given(neutral, -critical_down), _as_given(neutral, critical_up)),
        confidence=confidence,
    )


def mean_ratio(x: Floats, y: Floats) -> float:
    """Mean of x / mean of y; NaN if either mean is 0."""
    with np.errstate(invalid="ignore", over="ignore"):
        above, below = float(np.mean(x)), float(np.mean(y))
    return math.nan if above == 0.0 or below == 0.0 else above / below


def superiority(x: Floats, y: Floats) -> float:
    """P(x > y) + P(x = y) / 2 (common language effect size: McGraw & Wong, Psychol. Bull. 111 (1992))."""
    ordered = np.sort(y)
    below = np.searchsorted(ordered, x, side="left").sum() + np.searchsorted(ordered, x, side="right").sum()
    return float(below) / (2.0 * len(x) * len(y))


def _without_test(name: str, options: Options, x: Floats, y: Floats) -> Classified | None:
    """What can be said before any test, None if nothing."""
    if not len(x) or not len(y):
        if options.replaces_gaps:
            return Classified(Word.PASS)
        must = options.must_have_data and not options.critical
        word = Word.NODATA_FAIL if must else Word.NODATA
        return Classified(word, f"Missing data for {name}", stops=options.critical and not must)
    if len(x) == len(y) and np.array_equal(np.sort(x), np.sort(y)):
        return Classified(Word.PASS, "The Canary and Baseline data are identical")
    return None


def _shift_of_constants(x: Floats, y: Floats) -> Shift | None:
    """Both sides constant and different: the difference itself, without the noise that Kayenta adds to break the ties.

    None where that noise, a share of each side's own value, would break none: nothing but one point or zeros a side.
    """
    if (len(x) == 1 or x[0] == 0.0) and (len(y) == 1 or y[0] == 0.0):
        return None
    gap = Root(float(x[0] - y[0]))
    return Shift(gap, gap, gap)


def _shift(options: Options, x: Floats, y: Floats, *, compiled: bool) -> Shift | None:
    if x.min() == x.max() and y.min() == y.max():
        return _shift_of_constants(x, y)
    return find_shift(x, y, options.confidence, compiled=compiled)


def _decide(options: Options, shift: Shift, effect_size: float) -> tuple[Word, bool]:
    """High, Low or Pass, and whether it stops the canary. An effect size that is NaN lets all through."""
    unknown = math.isnan(effect_size)
    for word, sides, beyond, side in (
        (Word.HIGH, {"increase", "either"}, shift.lower.exceeds(options.tolerance, shift.estimate), 1),
        (Word.LOW, {"decrease", "either"}, shift.upper.falls_below(options.tolerance, shift.estimate), 0),
    ):
        sign = 1.0 if side else -1.0
        if options.direction in sides and beyond and (unknown or sign * effect_size >= sign * options.allowed[side]):
            serious = unknown or sign * effect_size >= sign * options.critical_allowed[side]
            return word, options.critical and serious
    return Word.PASS, False


def classify(name: str, options: Options, x: Floats, y: Floats, *, compiled: bool = False) -> Classified:
    """Judge canary x (float64 [n]) against baseline y (float64 [m]), both prepared (prepare.py): no gaps."""
    early = _without_test(name, options, x, y)
    if early is not None:
        return early
    if x.min() == x.max() == y.min() == y.max():
        return Classified(Word.PASS)
    shift = _shift(options, x, y, compiled=compiled)
    if shift is None:
        return Classified(Word.ERROR, "Metric Classification Failed", ratio=math.nan)
    ratio = mean_ratio(x, y)
    effect_size = superiority(x, y) if options.measure == "cles" else ratio
    word, stops = _decide(options, shift, effect_size)
    reason = "" if word is Word.PASS else f"{name} was classified as {word}"
    if stops:
        reason = f"The metric {name} was classified as {word} (Critical)"
    return Classified(word, reason, stops, ratio, shift, effect_size)
