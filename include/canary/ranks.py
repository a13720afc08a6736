"""Scores of the pooled ranks of both sides: computed once, read by every test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from include.canary import kernel
from include.canary.statistics import Floats, Ints, finite


@dataclass(frozen=True)
class Scores:
    """What the compiled pass over k metrics found (kernel.score_rows says what each is).

    `ranked` [k, 2, points]: baseline and canary, each sorted; `counts` [k, 2]: how many points a side has;
    `found` [k, scores, 4]; `superiority` [k], NaN where a side is empty; `values` [k, 2 x points] and `order` what
    was ranked; `scale` [k]: what the values were divided by for the score MEAN, a power of two.
    """

    ranked: Floats
    counts: Ints
    found: Floats
    superiority: Floats
    values: Floats
    order: Ints
    scale: Floats

    def of(self, rows: Ints) -> Scores:
        """The same of some of the metrics."""
        return Scores(**{name: column[rows] for name, column in vars(self).items()})


def score(baseline: Floats, canary: Floats) -> Scores:
    """Rank both sides [metrics, points] together. Infinities rank beyond all else; a row may be empty."""
    rows, points = baseline.shape
    values = finite(np.concatenate([baseline, canary], axis=1))
    # By a power of two, which changes no digit: squares of very large or very small values stay in range.
    largest = np.fmax.reduce(np.abs(values), axis=1, initial=0.0)
    scale = np.exp2(np.ceil(np.log2(np.where(largest > 0.0, largest, 1.0))))
    values = values / scale[:, None]
    order = np.argsort(values, axis=1)
    ranked = np.full((rows, 2, points), np.nan)
    counts = np.zeros((rows, 2), dtype=np.int64)
    found = np.zeros((rows, kernel.SCORES, 4))
    superiority = np.full(rows, np.nan)
    kernel.score_rows(values, order, found, ranked, counts, superiority)
    return Scores(ranked, counts, found, superiority, values, order, scale)
