"""A seeded stand-in for a soak: requests, calls and machines of a baseline and a canary, measured as series.

Every series is made from single simulated requests and calls (not from a distribution of the series), so that
quantiles of two samples, gaps and bursts look as they do in life. `world(seed, commit="slow")` changes the canary
only. Traffic differs between the sides by Poisson noise; a busy machine slows both at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from include.canary.series import MetricPairs

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ENDPOINTS, DEPENDENCIES, FAN_OUT = 64, 40, 3
COMMITS = ("good", "slow", "errors", "leak", "heat", "calls")
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
STEP_SECONDS = 5
REQUESTS_PER_SECOND = 21.0
HOT_DEPENDENCY = 7
_LATENCIES = ("latency_p50_ms", "latency_p90_ms", "latency_p99_ms", "latency_mean_ms", "latency_max_ms")


@dataclass(frozen=True)
class _Plan:
    """The application: the same on both sides."""

    share: Floats
    work_ms: Floats
    spread: Floats
    calls: Ints
    call_ms: Floats


def _plan() -> _Plan:
    rng = np.random.default_rng(7)
    popularity = 1.0 / (np.arange(ENDPOINTS) + 12.0)
    calls = np.stack([rng.choice(DEPENDENCIES, FAN_OUT, replace=False) for _ in range(ENDPOINTS)])
    return _Plan(
        share=popularity / popularity.sum(),
        work_ms=rng.uniform(8.0, 25.0, ENDPOINTS),
        spread=rng.uniform(0.3, 0.5, ENDPOINTS),
        calls=calls,
        call_ms=rng.uniform(3.0, 12.0, DEPENDENCIES),
    )


PLAN = _plan()


def autoregressive(rng: np.random.Generator, rho: float, shape: tuple[int, ...]) -> Floats:
    """AR(1) with unit variance along the last axis, stationary from the first point."""
    noise = rng.standard_normal(shape)
    series = np.empty(shape)
    series[..., 0] = noise[..., 0]
    for point in range(1, shape[-1]):
        series[..., point] = rho * series[..., point - 1] + np.sqrt(1.0 - rho**2) * noise[..., point]
    return series


def _summaries(cells: Ints, values: Floats, shape: tuple[int, int]) -> dict[str, Floats]:
    """Count, mean and quantiles (nearest rank) of `values` per cell of `shape`; NaN where there are none."""
    size = shape[0] * shape[1]
    order = np.lexsort((values, cells))
    ordered = values[order]
    count = np.bincount(cells, minlength=size)
    first = np.concatenate([[0], np.cumsum(count)[:-1]])
    has = count > 0
    found = {"count": count.astype(np.float64).reshape(shape)}
    total = np.bincount(cells, weights=values, minlength=size)
    found["latency_mean_ms"] = np.where(has, total / np.maximum(count, 1), np.nan).reshape(shape)
    for name, level in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0)):
        place = np.minimum(first + np.maximum(np.ceil(level * count).astype(int) - 1, 0), len(ordered) - 1)
        found[f"latency_{name}_ms"] = np.where(has, ordered[place], np.nan).reshape(shape)
    return found


def _tally(cells: Ints, flags: npt.NDArray[np.bool_], shape: tuple[int, int]) -> Floats:
    return np.bincount(cells, weights=flags.astype(np.float64), minlength=shape[0] * shape[1]).reshape(shape)


def _http_rows(prefix: str, found: dict[str, Floats], errors: Floats, missing: Floats, row: int) -> dict[str, Floats]:
    requests = found["count"][row]
    rows = {
        "requests": requests,
        "2xx": requests - errors[row] - missing[row],
        "4xx": missing[row],
        "5xx": errors[row],
        "exceptions": errors[row],
        "response_bytes": np.where(requests > 0, 2000.0 + 30.0 * (row % 17), np.nan),
    }
    return {f"{prefix}.{name}": value for name, value in (rows | {key: found[key][row] for key in _LATENCIES}).items()}


def _machine(rng: np.random.Generator, points: int, busy: Floats, commit: str, leak_mb: float) -> dict[str, Floats]:
    warm = 1.0 - np.exp(-np.arange(points) / 10.0)
    growth = np.cumsum(rng.exponential(0.04, points) * (rng.random(points) < 0.3))
    memory = 78.0 + 4.0 * warm + growth + rng.normal(0, 0.3)
    if commit == "leak":
        memory = memory + leak_mb * np.arange(points) / 48.0
    cpu = 22.0 * busy * (1.0 + 0.15 * autoregressive(rng, 0.5, (points,)))
    return {
        "runtime.cpu_pct": np.maximum(cpu, 0.5),
        "runtime.load_average": 1.2 + 0.8 * busy + 0.02 * rng.standard_normal(points),
        "runtime.memory_rss_bytes": np.round(memory * 2**20 / 4096.0) * 4096.0,
        "runtime.heap_objects": np.round(150_000.0 * (1.0 + 0.05 * warm) + rng.normal(0, 1500.0, points)),
        "runtime.gc_collections": rng.poisson(3.0, points).astype(np.float64),
        "runtime.gc_pause_ms": rng.gamma(2.0, 0.8, points) * busy,
        "runtime.threads": np.full(points, 12.0),
        "runtime.open_files": 40.0 + rng.poisson(6.0, points),
        "runtime.event_loop_lag_p99_ms": rng.gamma(2.0, 0.7, points) * busy**2,
        "runtime.queue_depth_max": rng.poisson(0.6 * busy).astype(np.float64),
        "runtime.in_flight_max": 2.0 + rng.poisson(2.5 * busy),
        "runtime.connections": 24.0 + rng.poisson(3.0, points),
    }


def _side(rng: np.random.Generator, points: int, busy: Floats, commit: str, leak_mb: float) -> dict[str, Floats]:
    own = busy * np.exp(0.05 * autoregressive(rng, 0.4, (points,)))
    when = np.repeat(np.arange(points), rng.poisson(REQUESTS_PER_SECOND * STEP_SECONDS, points))
    n = len(when)
    endpoint = rng.choice(ENDPOINTS, n, p=PLAN.share)
    slower = np.where((endpoint % 5 != 0) & (commit == "slow"), 1.35, 1.0)
    work = PLAN.work_ms[endpoint] * np.exp(PLAN.spread[endpoint] * rng.standard_normal(n)) * own[when]

    dependency = PLAN.calls[endpoint]
    times = np.where((dependency == HOT_DEPENDENCY) & (commit == "calls"), 4, 1)
    heat = np.where((dependency == HOT_DEPENDENCY) & (commit == "heat"), 3.0, 1.0)
    call_ms = PLAN.call_ms[dependency] * heat * np.exp(0.45 * rng.standard_normal((n, FAN_OUT))) * own[when][:, None]
    failed = rng.random((n, FAN_OUT)) < 0.0007
    latency = (work + call_ms.max(axis=1) * times.max(axis=1)) * slower

    broken = (rng.random(n) < 0.0004) | ((commit == "errors") & (endpoint % 4 == 1) & (rng.random(n) < 0.03))
    missing = rng.random(n) < 0.01
    series: dict[str, Floats] = {}
    whole, single = (1, points), (ENDPOINTS, points)
    for prefix, shape, cells in (("http", whole, when), ("endpoint", single, endpoint * points + when)):
        found = _summaries(cells, latency, shape)
        errors, absent = _tally(cells, broken, shape), _tally(cells, missing & ~broken, shape)
        for row in range(shape[0]):
            series |= _http_rows(prefix if shape is whole else f"{prefix}.e{row:02d}", found, errors, absent, row)

    repeat = times.ravel()
    cells = np.repeat((dependency * points + when[:, None]).ravel(), repeat)
    found = _summaries(cells, np.repeat(call_ms.ravel(), repeat), (DEPENDENCIES, points))
    trouble = _tally(cells, np.repeat(failed.ravel(), repeat), (DEPENDENCIES, points))
    for row in range(DEPENDENCIES):
        prefix = f"dependency.d{row:02d}"
        series[f"{prefix}.calls"] = found["count"][row]
        for name in ("errors", "timeouts", "fallbacks"):
            series[f"{prefix}.{name}"] = trouble[row]
        series |= {f"{prefix}.{name}": found[name][row] for name in _LATENCIES}
    return series | _machine(rng, points, own, commit, leak_mb)


def world(
    seed: int,
    *,
    commit: str = "good",
    points: int = 48,
    leak_mb: float = 30.0,
    tilt: float = 1.0,
    noise: float = 1.0,
) -> MetricPairs:
    """One soak of `points` x 5 s; `commit` is one of COMMITS, `leak_mb` what a leak takes in 48 points.

    `tilt` makes the canary's machines so much slower than the baseline's (1.05 = 5 %), `noise` multiplies the
    restlessness of the host that both share.
    """
    rng = np.random.default_rng(seed)
    bursts = 1.0 + 0.8 * noise * (autoregressive(rng, 0.6, (points,)) > 1.6)
    busy = np.exp(0.12 * noise * autoregressive(rng, 0.7, (points,))) * bursts
    baseline = _side(rng, points, busy, "good", leak_mb)
    canary = _side(rng, points, busy * tilt, commit, leak_mb)
    names = tuple(baseline)
    return MetricPairs(
        names=names,
        baseline=np.stack([baseline[name] for name in names]),
        canary=np.stack([canary[name] for name in names]),
        start=START,
        step_seconds=STEP_SECONDS,
        metadata={"baseline_image": "ami-0b45e1000", "canary_image": "ami-0ca4a2000"},
    )
