"""A stand-in for what is measured after a push: the critical metrics of two groups, or of a soak hours before.

Faster than canary_world.py (no single requests), so that tens of thousands of watches can be simulated: levels and
counts of a point scatter as those of so many requests do, on a host and a traffic that wander.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from include.canary.series import MetricGrid, MetricPairs
from tests.support.canary_world import autoregressive

Floats = npt.NDArray[np.float64]
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DEPENDENCIES = 20
MIB = 2.0**20
USUAL_ERRORS = 0.001


@dataclass(frozen=True)
class Fault:
    """What red has that previous has not: share of requests that fail besides, factor of latency, growth."""

    errors: float = 0.0
    slower: float = 1.0
    leak_mib_a_minute: float = 0.0


SOUND = Fault()


@dataclass(frozen=True)
class Hours:
    """The traffic and the host over some time: requests per second, and how much slower the host makes all."""

    rps: Floats
    busy: Floats
    step_seconds: int

    @classmethod
    def drawn(
        cls,
        rng: np.random.Generator,
        points: int,
        step_seconds: int,
        *,
        rps: float = 60.0,
        drift: float = 0.0,
        slow: float = 1.0,
    ) -> Hours:
        """`drift`: the traffic of the end as a share more than that of the beginning; `slow`: of the whole time."""
        rho = 0.7 ** (step_seconds / 5.0)
        wander = np.exp(0.08 * autoregressive(rng, 0.9 ** (step_seconds / 5.0), (points,)))
        traffic = rps * wander * (1.0 + drift * np.linspace(0.0, 1.0, points))
        busy = slow * np.exp(0.12 * autoregressive(rng, rho, (points,))) * (traffic / rps) ** 0.2
        return cls(traffic, busy, step_seconds)


def measured(rng: np.random.Generator, hours: Hours, share: float, fault: Fault = SOUND) -> dict[str, Floats]:
    """The series of a group that takes `share` of the traffic."""
    points = len(hours.rps)
    requests = rng.poisson(hours.rps * hours.step_seconds * share).astype(np.float64)
    own = hours.busy * np.exp(0.05 * autoregressive(rng, 0.4, (points,)))
    usual = USUAL_ERRORS * rng.gamma(2.0, 0.5, points)  # they come in bursts
    errors = rng.poisson((usual + fault.errors) * requests).astype(np.float64)
    level = 40.0 * own * fault.slower
    noise = 1.0 / np.sqrt(np.maximum(requests, 1.0))
    rows = {
        "http.requests": requests,
        "http.5xx": np.minimum(errors, requests),
        "http.exceptions": np.minimum(errors, requests),
        "http.2xx": requests - np.minimum(errors, requests),
    }
    for name, factor, width in (("p50", 0.9, 0.6), ("mean", 1.0, 0.5), ("p90", 1.7, 1.2)):
        values = factor * level * (1.0 + width * noise * rng.standard_normal(points))
        rows[f"http.latency_{name}_ms"] = np.where(requests > 0, values, np.nan)
    for number in range(DEPENDENCIES):
        calls = rng.poisson(requests * 3.0 / DEPENDENCIES).astype(np.float64)
        spread = 0.5 / np.sqrt(np.maximum(calls, 1.0))
        rows[f"dependency.d{number:02d}.calls"] = calls
        latency = (4.0 + number) * own * (1.0 + spread * rng.standard_normal(points))
        rows[f"dependency.d{number:02d}.latency_mean_ms"] = np.where(calls > 0, latency, np.nan)
    minutes = np.arange(points) * hours.step_seconds / 60.0
    memory = 80.0 + 4.0 * (1.0 - np.exp(-minutes)) + fault.leak_mib_a_minute * minutes + rng.normal(0, 0.2, points)
    rows["runtime.memory_rss_bytes"] = memory * MIB
    return rows


def grid_of(rows: dict[str, Floats], step_seconds: int, scope: str = "red") -> MetricGrid:
    return MetricGrid(tuple(rows), (scope,), START, step_seconds, np.stack(list(rows.values()))[None], {})


def pairs_of(old: dict[str, Floats], new: dict[str, Floats], step_seconds: int) -> MetricPairs:
    sides = [np.stack([side[name] for name in old]) for side in (old, new)]
    return MetricPairs(tuple(old), sides[0], sides[1], START, step_seconds)
