"""Smoothing around the circle of a week."""

from __future__ import annotations

import numpy as np

from include.peaks.weeks import Floats

REACH = 10
COMPARED_REACH = 12
MOST_CHANCE = 0.5


def smoothed(values: Floats, variances: Floats, reach: int = REACH) -> tuple[Floats, Floats]:
    """A parabola fitted around each slot, and the standard error of its value.

    Weights: those of the distance (tricube, Cleveland 1979) by those of what each slot knows (1 / `variances`)."""
    by = np.arange(-reach, reach + 1)
    at = (np.arange(values.size)[:, None] + by[None, :]) % values.size
    weights = (1 - np.abs(by / (reach + 1)) ** 3) ** 3 / variances[at]
    powers = by[None, :] ** np.arange(3)[:, None] / reach ** np.arange(3)[:, None]
    moments = np.einsum("sk,ik,jk->sij", weights, powers, powers)
    first = np.linalg.solve(moments, np.tile(np.asarray([[1.0], [0.0], [0.0]]), (values.size, 1, 1)))[:, :, 0]
    share = (first @ powers) * weights
    return (share * values[at]).sum(axis=1), np.sqrt((share**2 * variances[at]).sum(axis=1))


def shared_by_days(level: Floats, error: Floats) -> tuple[Floats, Floats]:
    """The week with each day drawn to those that run as it does at that time, and its standard errors.

    Compared is the logarithm against the day's own median. Two days lend to each other as much as their difference over
    some hours leaves open that it is chance (shrinkage after James and Stein 1961, each pair on its own).
    """
    logs = np.log(np.maximum(level, 1e-9 * max(float(level.max()), 1e-9))).reshape(7, -1)
    share = np.divide(error, level, out=np.full_like(level, np.inf), where=level > 0)
    chance = np.square(np.minimum(share, MOST_CHANCE)).reshape(7, -1)
    usual = np.median(logs, axis=1, keepdims=True)
    course = logs - usual
    apart = _mean_over_hours(np.square(course[:, None, :] - course[None, :, :]))
    expected = _mean_over_hours(chance[:, None, :] + chance[None, :, :])
    weights = expected / (expected + 2 * np.maximum(apart - expected, 0.0) + 1e-30)
    weights[np.arange(7), np.arange(7)] = 1.0
    weights /= weights.sum(axis=1, keepdims=True)
    drawn = np.exp(np.einsum("des,es->ds", weights, course) + usual)
    spread = np.sqrt(np.einsum("des,es->ds", weights**2, chance))
    return np.where(level > 0, drawn.ravel(), 0.0), (drawn * spread).ravel()


def _mean_over_hours(pairs: Floats) -> Floats:
    padded = np.pad(pairs, ((0, 0), (0, 0), (COMPARED_REACH, COMPARED_REACH)), mode="edge")
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, 2 * COMPARED_REACH + 1, axis=2).mean(axis=-1))
