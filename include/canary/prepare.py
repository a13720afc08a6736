"""From recorded series to what is compared: gaps, outliers, counts that were never published, kinds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from include.canary.config import Rule
from include.canary.counts import units_of
from include.canary.kayenta.prepare import iqr_outliers
from include.canary.series import MetricPairs
from include.canary.statistics import Floats

Kinds = npt.NDArray[np.str_]
_SPARSE = 0.5


def prepare(pairs: MetricPairs, rules: Sequence[Rule]) -> tuple[Floats, Floats, Kinds, Floats]:
    """Baseline and canary as they are compared, each metric's kind, and a count's unit; `rules` has each row's.

    - `gaps = "zero"`: gaps within the points that were asked for are zeros, also of a side that has nothing.
    - `outlier_factor`: points far outside a side's quartiles become gaps.
    - A count which the store never saw on one side was 0 wherever that side published anything at all: a counter is
      often created by its first event, so a baseline without the series is a baseline without errors. So are, of
      kind `auto`, whole numbers that one side has in at most half of the points and the other not at all.
    - `auto` becomes count or level by the values.
    """
    sides = [np.array(side, dtype=np.float64) for side in (pairs.baseline, pairs.canary)]
    _fill_gaps(sides, pairs, rules)
    _set_outliers_aside(sides, rules)
    kinds = np.array([rule.kind for rule in rules], dtype="<U5")
    units = np.where(kinds == "count", 1.0, 0.0)
    is_answered = np.array([name not in pairs.errors for name in pairs.names], dtype=np.bool_)
    _fill_silent_counts(sides, (kinds == "count") & is_answered)
    auto = np.flatnonzero(kinds == "auto")
    if not pairs.points:
        kinds[auto] = "level"
    elif len(auto):
        _fill_rare_events(sides, auto[is_answered[auto]], pairs)
        found = units_of(sides[0][auto], sides[1][auto])
        units[auto] = found
        kinds[auto] = np.where(found > 0.0, "count", "level")
    return sides[0], sides[1], kinds, units


def _fill_gaps(sides: list[Floats], pairs: MetricPairs, rules: Sequence[Rule]) -> None:
    for row, rule in enumerate(rules):
        if rule.gaps == "zero" and pairs.names[row] not in pairs.errors:
            for place, side in enumerate(sides):
                length = side.shape[1] if pairs.lengths is None else int(pairs.lengths[row, place])
                side[row, :length] = np.nan_to_num(side[row, :length], nan=0.0, posinf=np.inf, neginf=-np.inf)


def _set_outliers_aside(sides: list[Floats], rules: Sequence[Rule]) -> None:
    """Tukey's fences, but never more than the outermost hundredth: a regression is not an outlier."""
    for row, rule in enumerate(rules):
        if rule.outlier_factor is None:
            continue
        for side in sides:
            outside = ~np.isfinite(side[row])
            seen = ~outside
            if seen.any():
                outside[seen] = iqr_outliers(side[row, seen], rule.outlier_factor, reduce_sensitivity=True)
                side[row, outside] = np.nan


def _fill_silent_counts(sides: list[Floats], is_count: npt.NDArray[np.bool_]) -> None:
    silent = [np.isnan(side).all(axis=1) for side in sides]
    for own, other in ((0, 1), (1, 0)):
        rows = np.flatnonzero(is_count & silent[own] & ~silent[other])
        if len(rows):
            alive = ~np.isnan(sides[own]).all(axis=0)
            sides[own][rows] = np.where(alive, 0.0, np.nan)


def _fill_rare_events(sides: list[Floats], rows: npt.NDArray[np.intp], pairs: MetricPairs) -> None:
    """A store that only reports events leaves gaps where none happened: the row's points are those asked for."""
    present = [(~np.isnan(side)).sum(axis=1) for side in sides]
    for own, other in ((0, 1), (1, 0)):
        for row in rows[(present[own][rows] == 0) & (present[other][rows] > 0)]:
            seen = sides[other][row][~np.isnan(sides[other][row])]
            length = sides[own].shape[1] if pairs.lengths is None else int(pairs.lengths[row].max())
            if len(seen) <= _SPARSE * length and seen.min() > 0.0 and bool((seen == np.rint(seen)).all()):
                for side in sides:
                    side[row, :length] = np.nan_to_num(side[row, :length], nan=0.0)
