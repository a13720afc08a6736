"""The compiled inner loops of the judge: ranks, scores, autocorrelation, and order statistics of differences.

One pass a metric over series that stay in the processor's cache. Compiled once and kept on disk by numba
(`make` does it), so that a fresh process only loads it. Nothing here decides anything.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LOCATION, UPPER, LOWER, SPREAD, MEAN = 0, 1, 2, 3, 4
SCORES = 5
compiled = njit(cache=True, error_model="numpy")
# A point's score in the tail: 0 up to the 93rd percentile of both sides together, 1 from the 97th on.
TAIL_FROM, TAIL_RAMP = 0.93, 0.04
FEW = 128
MOST_QUANTILES = 128


@compiled
def _score_tables(total: int, sums: Floats) -> None:
    """Running sums [scores, total + 1] of the scores of ranks 1 to `total`; ties share the mean of theirs."""
    savage = np.zeros(total + 2)
    for rank in range(1, total + 1):
        savage[rank] = savage[rank - 1] + 1.0 / (total - rank + 1)
    for k in range(MEAN):
        sums[k, 0] = 0.0
    for rank in range(1, total + 1):
        mirrored = total + 1 - rank
        upper = min(max(((rank - 0.5) / total - TAIL_FROM) / TAIL_RAMP, 0.0), 1.0)
        lower = min(max(((mirrored - 0.5) / total - TAIL_FROM) / TAIL_RAMP, 0.0), 1.0)
        sums[LOCATION, rank] = sums[LOCATION, rank - 1] + rank / total
        sums[UPPER, rank] = sums[UPPER, rank - 1] + upper
        sums[LOWER, rank] = sums[LOWER, rank - 1] + lower
        sums[SPREAD, rank] = sums[SPREAD, rank - 1] + savage[rank] + savage[mirrored]


@compiled
def _score_row(
    values: Floats, order: Ints, total: int, sums: Floats, score: Floats, means: Floats, ranked: Floats
) -> None:
    """Every point's scores, their sum a side (`means`), and each side's points sorted (`ranked`)."""
    points = len(values) // 2
    filled = np.zeros(2, np.int64)
    means[:] = 0.0
    first = 0
    while first < total:
        value = values[order[first]]
        last = first + 1
        while last < total and values[order[last]] == value:
            last += 1
        for place in range(first, last):
            side = order[place] // points
            ranked[side, filled[side]] = value
            filled[side] += 1
        for k in range(SCORES):
            shared = value if k == MEAN else (sums[k, last] - sums[k, first]) / (last - first)
            for place in range(first, last):
                score[k, order[place]] = shared
                means[k, order[place] // points] += shared
        first = last


@compiled
def _compare(
    score: Floats, values: Floats, n: float, m: float, old_mean: float, new_mean: float, found: Floats
) -> None:
    """One score of one metric: difference of the means, sum of psi^2, psi's autocorrelation, null variance."""
    points = len(values) // 2
    centre = (old_mean * n + new_mean * m) / (n + m)
    squares, products, scatter, before = 0.0, 0.0, 0.0, 0.0
    seen, neighbours, has_before = 0, 0, False
    for t in range(points):
        psi, has = 0.0, False
        if not np.isnan(values[points + t]):
            psi += (score[points + t] - new_mean) / m
            scatter += (score[points + t] - centre) ** 2
            has = True
        if not np.isnan(values[t]):
            psi -= (score[t] - old_mean) / n
            scatter += (score[t] - centre) ** 2
            has = True
        squares += psi * psi
        seen += has
        if has and has_before:
            products += psi * before
            neighbours += 1
        before, has_before = psi, has
    found[0] = new_mean - old_mean
    found[1] = squares
    if squares > 0.0 and neighbours > 0:
        found[2] = products / neighbours / (squares / seen)
    found[3] = scatter / (n + m) * (1.0 / n + 1.0 / m)


@compiled
def score_rows(values: Floats, order: Ints, found: Floats, ranked: Floats, counts: Ints, superiority: Floats) -> None:
    """Compare the halves of each row of `values` [rows, 2 x points] (baseline, canary; NaN = gap, no infinities).

    `order` sorts each row (gaps last). Writes, a row: `ranked` [2, points]: each side sorted, `counts` [2],
    `superiority`: P(canary > baseline) + P(equal) / 2, and `found` [scores, 4]: the difference of the mean scores,
    the sum of psi_t^2, the lag-one autocorrelation of psi_t, and that difference's variance if both sides were equal.

    The scores of rank r of N are r / N (Wilcoxon); membership in the highest (the lowest) twentieth or so, TAIL_FROM;
    and Savage's sum of 1/(N-k+1) for k to r plus its mirror (Ann. Math. Statist. 27 (1956)), high at both ends
    (spread). The variance is that of the actual series, not of the null hypothesis (Brunner & Munzel, Biom. J. 42
    (2000)): a time t contributes psi_t = (a_canary,t - mean) / n_canary - (a_baseline,t - mean) / n_baseline, where a
    missing side contributes 0, and Var = sum psi_t^2 x inflation by autocorrelation; noise common to both sides (a busy
    machine) cancels in it.
    """
    rows, width = values.shape
    points = width // 2
    sums = np.empty((MEAN, width + 1))
    score = np.empty((SCORES, width))
    means = np.empty((SCORES, 2))
    tabled = -1
    for row in range(rows):
        total = 0
        while total < width and not np.isnan(values[row, order[row, total]]):
            counts[row, order[row, total] // points] += 1
            total += 1
        n, m = float(counts[row, 0]), float(counts[row, 1])
        if n == 0.0 or m == 0.0:
            continue
        if total != tabled:
            _score_tables(total, sums)
            tabled = total
        _score_row(values[row], order[row], total, sums, score, means, ranked[row])
        above = (means[LOCATION, 1] * total - m * (m + 1.0) / 2.0) / (n * m)
        superiority[row] = min(max(above, 0.0), 1.0)
        for k in range(SCORES):
            _compare(score[k], values[row], n, m, means[k, 0] / n, means[k, 1] / m, found[row, k])


@compiled
def autocovariances(series: Floats, found: Floats) -> None:
    """Autocovariances [rows, lags] at lags 0, 1, ... of each row around its mean; gaps (NaN) count as the mean."""
    rows, points = series.shape
    centred = np.empty(points)
    for row in range(rows):
        total, seen = 0.0, 0
        for t in range(points):
            if not np.isnan(series[row, t]):
                total += series[row, t]
                seen += 1
        if seen == 0:
            continue
        for t in range(points):
            centred[t] = 0.0 if np.isnan(series[row, t]) else series[row, t] - total / seen
        for lag in range(min(found.shape[1], points)):
            products = 0.0
            for t in range(points - lag):
                products += centred[t] * centred[t + lag]
            found[row, lag] = products / seen


@compiled
def _at_most(low: Floats, high: Floats, n: int, m: int, bound: float) -> int:
    """How many of the differences high_j - low_i are at most `bound`; both sides sorted."""
    count, j = 0, 0
    for i in range(n):
        while j < m and high[j] - low[i] <= bound:
            j += 1
        if j == m:
            return count + m * (n - i)
        count += j
    return count


@compiled
def _narrow(low: Floats, high: Floats, n: int, m: int, place: float, bracket: Floats) -> None:
    """Shrink `bracket` [under, its count, over, its count] around the order statistics next to `place`.

    Counting tells on which side they lie; guesses go by proportion, pushed past the target so that both ends move.
    """
    first, last = np.floor(place), np.ceil(place)
    for turn in range(200):
        under, under_count, over, over_count = bracket
        if over_count - under_count <= FEW:
            return
        share = (place + 1.0 - under_count) / (over_count - under_count)
        share += 0.04 if turn % 2 else -0.04
        if turn % 4 == 3:
            share = 0.5
        middle = under + (over - under) * min(max(share, 0.03), 0.97)
        if not under < middle < over:
            return
        count = float(_at_most(low, high, n, m, middle))
        if count > last:
            bracket[2], bracket[3] = middle, count
        elif count <= first:
            bracket[0], bracket[1] = middle, count
        else:  # right between the two: either end may move, not past them
            return


@compiled
def _order_statistic(low: Floats, high: Floats, n: int, m: int, place: float) -> float:
    """The differences high_j - low_i at sorted place `place` (from 0; between two their mean), exactly."""
    first, last = np.floor(place), np.ceil(place)
    least, most = high[0] - low[n - 1], high[m - 1] - low[0]
    # just under the least none lies, however many are equal to it
    bracket = np.array([least - (most - least) * 1e-9, 0.0, most, float(n) * float(m)])
    bracket[1] = float(_at_most(low, high, n, m, bracket[0]))
    _narrow(low, high, n, m, place, bracket)
    under, over = bracket[0], bracket[2]
    left = np.empty(int(bracket[3] - bracket[1]))
    filled, begin, end = 0, 0, 0
    for i in range(n):
        while begin < m and high[begin] - low[i] <= under:
            begin += 1
        end = max(end, begin)
        while end < m and high[end] - low[i] <= over:
            end += 1
        for j in range(begin, end):
            left[filled] = high[j] - low[i]
            filled += 1
    if filled == 0:
        return least
    left = left[:filled]
    left.sort()
    below = left[max(int(first - bracket[1]), 0)]
    return 0.5 * (below + left[max(int(last - bracket[1]), 0)])


@compiled
def differences_at(ranked: Floats, counts: Ints, levels: Floats, found: Floats) -> None:
    """Quantiles `levels` [rows, q] of all differences canary - baseline of each row, as order statistics.

    `ranked` [rows, 2, points] and `counts` [rows, 2] as `score_rows` writes them. Between two order statistics
    their mean is taken. Above 128 points a side stands for itself by 128 evenly spaced order statistics.
    """
    sides = np.empty((2, MOST_QUANTILES))
    used = np.empty(2, np.int64)
    for row in range(len(ranked)):
        if counts[row, 0] == 0 or counts[row, 1] == 0:
            continue
        for side in range(2):
            n = counts[row, side]
            used[side] = min(n, MOST_QUANTILES)
            for place in range(used[side]):
                sides[side, place] = ranked[row, side, int((place + 0.5) * n / used[side])]
        for q in range(levels.shape[1]):
            level = min(max(levels[row, q], 0.0), 1.0)
            pairs = float(used[0]) * float(used[1])
            found[row, q] = _order_statistic(sides[0], sides[1], used[0], used[1], level * (pairs - 1.0))


@compiled
def permutation_tails(scores: Ints, canary: Ints, n: int, found: Floats) -> None:
    """P(sum >= seen) and P(sum <= seen) of the canary's scores over all ways to pick its points.

    `scores` [N] whole numbers from 0, `canary` [N] 1 where the point is the canary's (`n` of them). Exact, by
    counting subsets by size and sum: Streitberg & Roehmel, "Exact distributions for permutation and rank tests",
    Statist. Software Newsletter 12 (1986).
    """
    top = 0
    seen = 0
    for i in range(len(scores)):
        top += scores[i]
        seen += scores[i] * canary[i]
    ways = np.zeros((n + 1, top + 1))
    ways[0, 0] = 1.0
    reach = 0
    for i in range(len(scores)):
        own = scores[i]
        reach += own
        for size in range(min(i + 1, n), 0, -1):
            for total in range(reach, own - 1, -1):
                ways[size, total] += ways[size - 1, total - own]
    whole, above, below = 0.0, 0.0, 0.0
    for total in range(top + 1):
        whole += ways[n, total]
        if total >= seen:
            above += ways[n, total]
        if total <= seen:
            below += ways[n, total]
    found[0], found[1] = above / whole, below / whole


@compiled
def exact_tails(values: Floats, order: Ints, rows: Ints, found: Floats) -> None:
    """For each of `rows`, `found` [k, 2, 2]: exact P(at least so far up), P(so far down) of location and of spread.

    Location: the rank sum (Wilcoxon, ties at their mean rank); spread: the sum of |rank - (N+1)/2| (Ansari & Bradley,
    Ann. Math. Statist. 31 (1960)), turned so that up means wider. Takes points as exchangeable.
    """
    width = values.shape[1]
    points = width // 2
    for k in range(len(rows)):
        row = rows[k]
        total = 0
        while total < width and not np.isnan(values[row, order[row, total]]):
            total += 1
        ranks = np.zeros(total, np.int64)
        folded = np.zeros(total, np.int64)
        canary = np.zeros(total, np.int64)
        first, n = 0, 0
        while first < total:
            last = first + 1
            while last < total and values[row, order[row, last]] == values[row, order[row, first]]:
                last += 1
            for place in range(first, last):
                twice = first + last + 1
                ranks[place] = twice
                folded[place] = abs(twice - total - 1)
                canary[place] = 1 if order[row, place] >= points else 0
                n += canary[place]
            first = last
        permutation_tails(ranks - ranks.min(), canary, n, found[k, 0])
        permutation_tails(folded - folded.min(), canary, n, found[k, 1])


@compiled
def tail_means(ranked: Floats, counts: Ints, found: Floats) -> None:
    """`found` [rows, 2 sides, (lowest, highest)]: the mean of that tenth of a side's points, at least one."""
    for row in range(len(ranked)):
        for side in range(2):
            n = counts[row, side]
            width = max(int(round(n / 10.0)), 1)
            for end in range(2):
                total = 0.0
                first = n - width if end else 0
                for place in range(first, first + width):
                    total += ranked[row, side, place] if n else np.nan
                found[row, side, end] = total / width
