"""What a watch compares: the critical metrics of two sides at the same number of requests, or the worst stretch of a
recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np

from include.canary.config import Direction, JudgeConfig, Rule
from include.canary.series import MetricGrid, MetricPairs
from include.canary.statistics import FEW_POINTS, Floats

# Levels of few points are compared by exact permutations (levels.py), which take so many points of both sides together.
_EXACT_POINTS = 60
# From so many on their autocorrelation is known well enough to be sure of anything.
_MANY_POINTS = 36


def watched_pairs(config: JudgeConfig, pairs: MetricPairs) -> MetricPairs:
    """The critical metrics, counts at the same number of requests: side by side each side has its own share of the
    traffic, which changes while instances come and go."""
    names = _watched(config, pairs.names)
    points = _useful(pairs.points)
    newest = [_newest(side, points) for side in (pairs.baseline, pairs.canary)]
    sides = [_rows(pairs.names, side, names) for side in newest]
    asked = [_rows(pairs.names, side, (config.watch.requests,))[0] for side in newest]
    for row, rule in enumerate(_rules(config, names)):
        if rule.kind == "count":
            sides[0][row], sides[1][row] = _at_same_requests(sides[0][row], asked[0], sides[1][row], asked[1])
    return _pairs_of(names, sides[0], sides[1], pairs, pairs.errors)


def merged(config: JudgeConfig, grid: MetricGrid, scopes: Sequence[str]) -> MetricGrid:
    """Several scopes of a grid as one: counts add up, all else is averaged."""
    sides = grid.values[[grid.scopes.index(scope) for scope in scopes]]
    has = ~np.isnan(sides)
    seen = has.sum(axis=0)
    total = np.where(has, sides, 0.0).sum(axis=0)
    is_count = np.array([rule.kind == "count" for rule in _rules(config, grid.names)], dtype=np.bool_)
    values = np.where(seen > 0, np.where(is_count[:, None], total, total / np.maximum(seen, 1)), np.nan)
    return MetricGrid(grid.names, ("+".join(scopes),), grid.start, grid.step_seconds, values[None], grid.errors)


def beside_recorded(config: JudgeConfig, recorded: MetricPairs, red: MetricGrid) -> MetricPairs:
    """Red's newest points against, of each metric, the worst stretch that the canary had in its soak.

    Levels wander with the hour: what the canary once showed and passed with is no fault of red. A stretch is as long as
    red's, of levels longer where red has few points. Stocks are compared by what they have grown since each began to
    take traffic.
    """
    names = _watched(config, [name for name in recorded.names if name in red.names])
    points = _useful(min(recorded.points, red.values.shape[2]))
    wide = min(recorded.points, max(points, _EXACT_POINTS - points if points <= FEW_POINTS else 0))
    newest = _newest(red.values[0], points)
    old, new = _rows(recorded.names, recorded.canary, names), _rows(red.names, newest, names)
    asked_old = _rows(recorded.names, recorded.canary, (config.watch.requests,))[0]
    asked_new = _rows(red.names, newest, (config.watch.requests,))[0]
    sides = [np.full((len(names), wide), np.nan) for _ in range(2)]
    for row, rule in enumerate(_rules(config, names)):
        if rule.kind == "count":
            found = _worst_counts(old[row], asked_old, new[row], asked_new, rule.direction)
        elif rule.kind == "stock":
            found = old[row, :points], new[row] - _beginning(new[row]) + _beginning(old[row, :points])
        else:
            begin = _worst(old[row], wide, rule.direction, new[row])
            found = old[row, begin : begin + wide], new[row]
        for side, series in zip(sides, found, strict=True):
            side[row, : len(series)] = series
    return _pairs_of(names, sides[0], sides[1], recorded, {**recorded.errors, **red.errors})


def beside_previous(config: JudgeConfig, previous: MetricGrid, red: MetricGrid) -> MetricPairs:
    """Red's newest points against the outgoing group's before; without stocks: previous holds what it took in days."""
    pairs = beside(previous, red)
    names = [name for name in pairs.names if config.rules[config.rule_index(name)].kind != "stock"]
    sides = [_rows(pairs.names, side, names) for side in (pairs.baseline, pairs.canary)]
    return watched_pairs(config, _pairs_of(tuple(names), sides[0], sides[1], pairs, pairs.errors))


def beside(old: MetricGrid, new: MetricGrid) -> MetricPairs:
    """The newest points of two grids of one scope each, as many as both have, of the metrics that both hold."""
    points = min(old.values.shape[2], new.values.shape[2])
    names = tuple(name for name in old.names if name in new.names)
    sides = [_newest(_rows(grid.names, grid.values[0], names), points) for grid in (old, new)]
    return MetricPairs(names, sides[0], sides[1], new.start, new.step_seconds, errors={**old.errors, **new.errors})


def part_of(grid: MetricGrid, start: datetime, end: datetime) -> MetricGrid:
    """The points that lie wholly inside [start, end)."""
    step = timedelta(seconds=grid.step_seconds)
    first = max(-((grid.start - start) // step), 0)
    last = min(max((end - grid.start) // step, first), grid.values.shape[2])
    values = grid.values[:, :, first:last]
    return MetricGrid(grid.names, grid.scopes, grid.start + first * step, grid.step_seconds, values, grid.errors)


def _watched(config: JudgeConfig, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if is_watched(config, name))


def is_watched(config: JudgeConfig, name: str) -> bool:
    """Whether a watch looks at the metric `name`."""
    rule = config.rules[config.rule_index(name)]
    return rule.critical and not rule.muted


def _rules(config: JudgeConfig, names: Sequence[str]) -> list[Rule]:
    return [config.rules[config.rule_index(name)] for name in names]


def _rows(names: Sequence[str], values: Floats, wanted: Sequence[str]) -> Floats:
    """The rows of `wanted`, gaps where there is none."""
    rows = {name: row for row, name in enumerate(names)}
    nothing = np.full(values.shape[1], np.nan)
    found = [values[rows[name]] if name in rows else nothing for name in wanted]
    return np.stack(found) if found else np.empty((0, values.shape[1]))


def _useful(points: int) -> int:
    """How many of the newest points are judged: too many for exact tests and too few for others is worth less."""
    return FEW_POINTS if FEW_POINTS < points < _MANY_POINTS else points


def _newest(values: Floats, points: int) -> Floats:
    return values[..., values.shape[-1] - points :]


def _filled(count: Floats, asked: Floats) -> Floats:
    """A counter is often published by its first event: where requests were seen, a gap is none."""
    return np.where(np.isnan(count) & (asked > 0.0), 0.0, count)


def _at_same_requests(old: Floats, asked_old: Floats, new: Floats, asked_new: Floats) -> tuple[Floats, Floats]:
    """Both counts as if each point had had the requests of the side that had fewer.

    Only ever scaled down: a count's variance shrinks faster than its mean then, so that tests of events stay on the
    safe side. Points without requests on either side are gaps.
    """
    fewer = np.fmin(asked_old, asked_new)
    has = (asked_old > 0.0) & (asked_new > 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (
            np.where(has, _filled(old, asked_old) * (fewer / asked_old), np.nan),
            np.where(has, _filled(new, asked_new) * (fewer / asked_new), np.nan),
        )


def _worst_counts(
    old: Floats, asked_old: Floats, new: Floats, asked_new: Floats, direction: Direction
) -> tuple[Floats, Floats]:
    """The recorded stretch with the worst share of its requests, and red's points, both at the same requests."""
    old, new = _filled(old, asked_old), _filled(new, asked_new)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(asked_old > 0.0, old / asked_old, np.nan)
    begin = _worst(share, len(new), direction, new)
    place = slice(begin, begin + len(new))
    return _at_same_requests(old[place], asked_old[place], new, asked_new)


def _worst(series: Floats, points: int, direction: Direction, red: Floats) -> int:
    """Where the stretch of `points` begins whose mean leans most towards what red would be blamed for."""
    has = ~np.isnan(series)
    sums = [np.concatenate([[0.0], np.cumsum(part)]) for part in (np.where(has, series, 0.0), has.astype(float))]
    total, seen = (part[points:] - part[:-points] for part in sums)
    means = np.where(seen >= (points + 1) // 2, total / np.maximum(seen, 1.0), np.nan)
    if np.isnan(means).all() or np.isnan(red).all():
        return 0
    is_upward = direction == "increase" or (direction == "either" and np.nanmean(red) > np.nanmean(means))
    return int(np.nanargmax(means) if is_upward else np.nanargmin(means))


def _beginning(stock: Floats) -> float:
    """Where a stock stood at first: the median of its first quarter."""
    seen = stock[~np.isnan(stock)]
    return float(np.median(seen[: max(len(seen) // 4, 1)])) if len(seen) else np.nan


def _pairs_of(
    names: tuple[str, ...], old: Floats, new: Floats, like: MetricPairs, errors: Mapping[str, str]
) -> MetricPairs:
    return MetricPairs(names, old, new, like.start, like.step_seconds, errors=errors)
