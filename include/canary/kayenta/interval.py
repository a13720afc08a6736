"""By how much the canary is shifted against the baseline: Hodges & Lehmann's interval and estimate, found exactly.

The interval holds the shifts that a two-sided rank-sum test does not reject (Lehmann, Nonparametrics (1975), 2.6;
Bauer, J. Am. Stat. Assoc. 67 (1972)). W falls with the shift, and only at the pairwise differences x - y: its ends are
order statistics of these. Kayenta approaches them to 1e-4, in whatever unit the metric has.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from types import FunctionType
from typing import Any

import numpy as np

from include.canary.kayenta import rank_sum
from include.canary.series import Floats


@dataclass(frozen=True)
class Root:
    """Where W - q changes its sign: at `value`, the difference at which W steps over q.

    `side` says on which side of the step that is: +1 if W at `value` itself is still above q, -1 if it is already
    below, 0 if the root is `value` exactly. It tells a bound just above 0 from one at 0.
    """

    value: float
    side: int = 0

    def exceeds(self, share: float, of: Root) -> bool:
        """Whether this is more than `share` of the size of the other one."""
        if self.value == 0.0 and of.value == 0.0:
            return self.side > share * abs(of.side)
        return self.value > share * abs(of.value)

    def falls_below(self, share: float, of: Root) -> bool:
        """Whether this is less than minus `share` of the size of the other one."""
        return Root(-self.value, -self.side).exceeds(share, of)


@dataclass(frozen=True)
class Shift:
    """Interval and estimate of the difference canary - baseline, in the metric's own unit."""

    lower: Root
    upper: Root
    estimate: Root


def normal_quantile(probability: float) -> float:
    """Of the standard normal distribution."""
    return NormalDist().inv_cdf(probability)


@cache
def _compiled() -> dict[str, Any]:
    """The functions of rank_sum.py as machine code, kept on disk by numba."""
    from numba import njit  # here, because half a second of import is only worth it for large canaries

    scope = dict(vars(rank_sum))
    for name, function in vars(rank_sum).items():
        if isinstance(function, FunctionType):
            scope[name] = njit(cache=True)(FunctionType(function.__code__, scope, name, function.__defaults__))
    return scope


def _distinct(values: Floats, *, compiled: bool) -> tuple[Any, Any]:
    distinct, counts = np.unique(values, return_counts=True)
    of_each = counts.astype(np.float64)
    return (distinct, of_each) if compiled else (distinct.tolist(), of_each.tolist())


class StepFunction:
    """W of two sides without gaps (float64 [n] and [m]), which are not both constant.

    `compiled` asks for the compiled functions: the same numbers, faster from some thousand points on.
    """

    def __init__(self, x: Floats, y: Floats, *, compiled: bool = False) -> None:
        self.scope: dict[str, Callable[..., Any]] = _compiled() if compiled else vars(rank_sum)
        self.sides = (*_distinct(x, compiled=compiled), *_distinct(y, compiled=compiled))
        ties = float(sum(np.sum(np.asarray(counts) ** 3 - counts) for counts in self.sides[1::2]))
        self.sizes = (float(len(x) * len(y)), float(len(x) + len(y)), ties)
        first, _, second, _ = self.sides
        self.low = rank_sum.difference(float(first[0]), float(second[-1]))
        self.high = rank_sum.difference(float(first[-1]), float(second[0]))

    def __call__(self, shift: float) -> float:
        return float(self.scope["statistic"](self.sides, self.sizes, shift))

    def _step(self, most_above: float) -> float:
        """The smallest difference above which there are at most so many."""
        rank = self.sizes[0] - most_above
        if rank <= 1.0:
            return self.low
        return self.high if rank >= self.sizes[0] else float(self.scope["select_difference"](self.sides, rank))

    def root(self, q: float) -> Root:
        """Where W crosses q, which is none of the values that W takes; the nearer end if it does not."""
        pairs, total, ties = self.sizes
        deviation = math.sqrt(pairs / 12.0 * (total + 1.0 - ties / (total * (total - 1.0))))
        excess = q * deviation + math.copysign(0.5, q)
        return self._side(self._step(math.floor(pairs / 2.0 + excess)), q)

    def _side(self, value: float, q: float) -> Root:
        beyond = self(value) - q
        if (value == self.low and beyond <= 0.0) or (value == self.high and beyond >= 0.0):
            return Root(value)
        return Root(value, (beyond > 0.0) - (beyond < 0.0))

    def zero(self) -> Root:
        """Where W is 0, or steps over it; where it is 0 over a stretch, the point that Brent's method comes to."""
        half = self.sizes[0] / 2.0
        first, last = self._step(math.floor(half + 0.5)), self._step(math.ceil(half - 0.5) - 1.0)
        if first == last:
            return self._side(first, 0.0)
        if math.isinf(first) or math.isinf(last):
            return Root(next((value for value in (first, last) if math.isfinite(value)), 0.0))
        return Root(float(self.scope["find_zero"](self.sides, self.sizes, *self._finite_ends())))

    def _finite_ends(self) -> tuple[float, float]:
        """The smallest and the largest difference that is finite."""
        split = self.scope["split_differences"]
        _, _, low = split(self.sides, -sys.float_info.max) if math.isinf(self.low) else (0, 0, self.low)
        _, high, _ = split(self.sides, sys.float_info.max) if math.isinf(self.high) else (0, self.high, 0)
        return float(low), float(high)


def find_shift(x: Floats, y: Floats, confidence: float, *, compiled: bool = False) -> Shift:
    """Interval and estimate of x - y; x and y as in StepFunction."""
    w = StepFunction(x, y, compiled=compiled)
    z = normal_quantile(0.5 + confidence / 2.0)
    return Shift(lower=w.root(z), upper=w.root(-z), estimate=w.zero())
