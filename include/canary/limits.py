"""A watch without a canary: health, errors and latency of red, as its load balancer sees them, against plain limits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from include.canary.statistics import Floats
from include.canary.watch import WatchVerdict

_SURE = 1e-5
_CLEARLY = 3.0
_LEAST_HEALTHY_SHARE = 0.5


@dataclass(frozen=True)
class WatchLimits:
    """What is allowed: percent of requests that fail (5xx and refused connections), and the mean latency."""

    error_pct: float
    latency_mean_ms: float


@dataclass(frozen=True)
class Served:
    """What a load balancer counted of one group, point by point, float64 [points]; NaN where it reported nothing.

    `errors` are 5xx answers of the targets and connections that they refused.
    """

    requests: Floats
    errors: Floats
    latency_ms: Floats
    healthy: Floats
    unhealthy: Floats


def watch_limits(limits: WatchLimits, served: Served, least_points: int = 3) -> WatchVerdict:
    """Unsound: fewer than half of the targets healthy, surely more errors than allowed (an exact binomial tail), or a
    mean latency above its limit, each over what was measured. Severe: nobody healthy, or three times a limit.
    Unknown: fewer than `least_points` with requests.
    """
    found = [
        one
        for one in (_health(served, least_points), _errors(limits, served), _latency(limits, served, least_points))
        if one.state == "unsound"
    ]
    if found:
        return WatchVerdict(
            "unsound", tuple(word for one in found for word in one.reasons), any(one.is_severe for one in found)
        )
    points = int((served.requests > 0.0).sum())
    if points < least_points:
        return WatchVerdict("unknown", (f"requests were seen in {points} points so far, {least_points} are needed",))
    return WatchVerdict("sound")


def _health(served: Served, least_points: int) -> WatchVerdict:
    """By the best of the newest points: one instance that dies is replaced, and no fault of the version."""
    told = ~np.isnan(served.healthy)
    healthy, unhealthy = served.healthy[told][-least_points:], np.nan_to_num(served.unhealthy[told])[-least_points:]
    if len(healthy) < least_points or not (healthy + unhealthy).all():
        return WatchVerdict("unknown")
    share = float((healthy / (healthy + unhealthy)).max())
    if share >= _LEAST_HEALTHY_SHARE:
        return WatchVerdict("sound")
    words = f"at most {share * 100.0:.0f} % of its targets are healthy"
    return WatchVerdict("unsound", (words,), is_severe=share == 0.0)


def _errors(limits: WatchLimits, served: Served) -> WatchVerdict:
    requests, errors = float(np.nansum(served.requests)), float(np.nansum(served.errors))
    allowed = limits.error_pct / 100.0
    requests = max(requests, errors)  # a refused connection is not always counted as a request
    if errors == 0.0 or allowed >= 1.0:
        return WatchVerdict("sound")
    chance = float(special.betainc(errors, requests - errors + 1.0, allowed))  # P(so many errors or more)
    if chance > _SURE or errors <= allowed * requests:
        return WatchVerdict("sound")
    words = f"{errors:,.0f} of {requests:,.0f} requests failed ({errors / requests * 100.0:.3g} %), "
    is_severe = errors > _CLEARLY * allowed * requests
    return WatchVerdict("unsound", (f"{words}{limits.error_pct:g} % may",), is_severe)


def _latency(limits: WatchLimits, served: Served, least_points: int) -> WatchVerdict:
    """The mean over all requests; a point without latencies, or without requests, has no say."""
    told = ~np.isnan(served.latency_ms) & (served.requests > 0.0)
    if int(told.sum()) < least_points:
        return WatchVerdict("unknown")
    mean = float(np.average(served.latency_ms[told], weights=served.requests[told]))
    if mean <= limits.latency_mean_ms:
        return WatchVerdict("sound")
    words = f"mean latency {mean:,.0f} ms, {limits.latency_mean_ms:,.0f} ms may be"
    return WatchVerdict("unsound", (words,), is_severe=mean > _CLEARLY * limits.latency_mean_ms)
