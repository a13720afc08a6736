"""The rank-sum statistic as a step function of the shift, where it steps, and where it is 0.

Plain functions of sorted distinct values with their counts, O(n + m) each: numba compiles them as they are for large
canaries (interval.py), and small ones need no compiler. `Sides` is (x, how often each, y, how often each); `Sizes` is
(n m, n + m, the sum of t^3 - t over the ties within each side).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Values = Sequence[float]
Sides = tuple[Values, Values, Values, Values]
Sizes = tuple[float, float, float]

_LARGEST = 1.7e308
_EPSILON = 2.220446049250313e-16
_STEPS = 1000


def difference(a: float, b: float) -> float:
    """a - b; 0 also for equal infinities."""
    return 0.0 if a == b else a - b


def compare_pairs(sides: Sides, shift: float) -> tuple[float, float, float]:
    """The pairs with x - `shift` above y, those where it equals y, and what these add to the ties.

    The shift is taken from x as Kayenta takes it: where rounding makes or breaks a tie, it does so here too. A run of
    a equal x meeting a run of b equal y makes one of a + b; t^3 - t of it exceeds the sum of theirs by 3 a b (a + b).
    """
    x, of_x, y, of_y = sides
    above = equal = ties = passed = 0.0
    first = 0
    for i in range(len(x)):
        shifted = x[i] - shift
        while first < len(y) and y[first] < shifted:
            passed += of_y[first]
            first += 1
        above += of_x[i] * passed
        if first < len(y) and y[first] == shifted:
            pairs = of_x[i] * of_y[first]
            equal += pairs
            ties += 3.0 * pairs * (of_x[i] + of_y[first])
    return above, equal, ties


def statistic(sides: Sides, sizes: Sizes, shift: float) -> float:
    """W: the standardised rank sum of x - `shift` against y, corrected for ties and for continuity.

    Lehmann, Nonparametrics (1975), 1.3. 0 where all observations are tied, and the variance with them.
    """
    pairs, total, ties = sizes
    above, equal, more = compare_pairs(sides, shift)
    excess = above + equal / 2.0 - pairs / 2.0
    correction = 0.5 if excess > 0.0 else (-0.5 if excess < 0.0 else 0.0)
    variance = pairs / 12.0 * (total + 1.0 - (ties + more) / (total * (total - 1.0)))
    return (excess - correction) / math.sqrt(variance) if variance > 0.0 else 0.0


def split_differences(sides: Sides, at: float) -> tuple[float, float, float]:
    """How many differences are at most `at`, the largest of those and the smallest of the others."""
    x, of_x, y, of_y = sides
    largest, smallest = -math.inf, math.inf
    passed = at_most = 0.0
    left = 0.0
    for j in range(len(y)):
        left += of_y[j]
    first = 0
    for i in range(len(x)):
        while first < len(y) and difference(x[i], y[first]) > at:
            passed += of_y[first]
            first += 1
        at_most += of_x[i] * (left - passed)
        if first > 0:
            smallest = min(smallest, difference(x[i], y[first - 1]))
        if first < len(y):
            largest = max(largest, difference(x[i], y[first]))
    return at_most, largest, smallest


def select_difference(sides: Sides, rank: float) -> float:
    """The difference x - y of that rank, 1 being the smallest of the n m.

    The range is halved, and each half drawn in to differences that exist: what is left in the end is one of them.
    """
    x, _, y, _ = sides
    low, high = difference(x[0], y[len(y) - 1]), difference(x[len(x) - 1], y[0])
    while low < high:
        middle = max(low, -_LARGEST) / 2.0 + min(high, _LARGEST) / 2.0
        if not low <= middle < high:
            middle = low
        at_most, largest, smallest = split_differences(sides, middle)
        if at_most >= rank:
            high = largest
        else:
            low = smallest
    return low


def next_step(a: float, b: float, c: float, of_a: float, of_b: float, of_c: float, least: float) -> float:
    """How far Brent's method goes on from b, the best so far; a is the one before, the root lies between b and c.

    Secant or inverse quadratic interpolation where it stays well inside, else half the way (R. P. Brent, Algorithms
    for Minimization without Derivatives (1973), chapter 4).
    """
    half = (c - b) / 2.0
    if abs(b - a) < least or abs(of_a) <= abs(of_b):
        return half
    if a == c:
        ratio = of_b / of_a
        p, q = (c - b) * ratio, 1.0 - ratio
    else:
        ac, bc, ba = of_a / of_c, of_b / of_c, of_b / of_a
        p = ba * ((c - b) * ac * (ac - bc) - (b - a) * (bc - 1.0))
        q = (ac - 1.0) * (bc - 1.0) * (ba - 1.0)
    if p > 0.0:
        q = -q
    else:
        p = -p
    if p < 0.75 * (c - b) * q - abs(least * q) / 2.0 and p < abs((b - a) * q / 2.0):
        return p / q
    return half


def find_zero(sides: Sides, sizes: Sizes, low: float, high: float) -> float:
    """A shift at which W is 0, the first that Brent's method meets between `low` (W >= 0) and `high` (W <= 0).

    For W that is 0 over a stretch: which of its points is the estimate depends on the way there.
    """
    a, b = low, high
    of_a, of_b = statistic(sides, sizes, a), statistic(sides, sizes, b)
    if of_a == 0.0:
        return a
    c, of_c = a, of_a
    for _ in range(_STEPS):
        if abs(of_c) < abs(of_b):
            a, b, c = b, c, b
            of_a, of_b, of_c = of_b, of_c, of_b
        least = 2.0 * _EPSILON * abs(b)
        if of_b == 0.0 or abs(c - b) / 2.0 <= least:
            break
        step = next_step(a, b, c, of_a, of_b, of_c, least)
        if abs(step) < least:
            step = least if step > 0.0 else -least
        a, of_a = b, of_b
        b += step
        of_b = statistic(sides, sizes, b)
        if (of_b > 0.0) == (of_c > 0.0) and of_b != 0.0:
            c, of_c = a, of_a
    return b
