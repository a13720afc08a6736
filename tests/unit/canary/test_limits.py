"""A watch without a canary: what a load balancer counted, against plain limits."""

from __future__ import annotations

import numpy as np
import pytest

from include.canary.limits import Served, WatchLimits, watch_limits

LIMITS = WatchLimits(error_pct=1.0, latency_mean_ms=1000.0)


def served(**changed: object) -> Served:
    usual = {"requests": 300.0, "errors": 0.0, "latency_ms": 80.0, "healthy": 3.0, "unhealthy": 0.0}
    return Served(**{name: np.full(12, value, dtype=float) for name, value in (usual | changed).items()})


def test_healthy_group_within_its_limits_is_sound() -> None:
    assert watch_limits(LIMITS, served(errors=2.0)).state == "sound"


@pytest.mark.parametrize(
    ("changed", "words", "is_severe"),
    [
        ({"errors": 7.0}, "84 of 3,600 requests failed (2.33 %), 1 % may", False),
        ({"errors": 12.0}, "144 of 3,600 requests failed (4 %), 1 % may", True),
        ({"requests": 0.0, "errors": 50.0}, "600 of 600 requests failed (100 %), 1 % may", True),
        ({"latency_ms": 1200.0}, "mean latency 1,200 ms, 1,000 ms may be", False),
        ({"latency_ms": 4000.0}, "mean latency 4,000 ms, 1,000 ms may be", True),
        ({"healthy": 1.0, "unhealthy": 3.0}, "at most 25 % of its targets are healthy", False),
        ({"healthy": 0.0, "unhealthy": 4.0}, "at most 0 % of its targets are healthy", True),
    ],
)
def test_beyond_a_limit_is_unsound(changed: dict[str, float], words: str, is_severe: bool) -> None:
    found = watch_limits(LIMITS, served(**changed))
    assert (found.state, found.reasons, found.is_severe) == ("unsound", (words,), is_severe)


def test_few_errors_are_chance() -> None:
    found = served(requests=20.0)
    found.errors[0] = 6.0
    assert watch_limits(LIMITS, found).state == "sound"


def test_one_instance_that_dies_is_no_fault() -> None:
    assert watch_limits(LIMITS, served(healthy=2.0, unhealthy=1.0)).state == "sound"


def test_latency_counts_by_requests() -> None:
    found = served(requests=1.0)
    found.latency_ms[:] = 5000.0
    found.requests[-1], found.latency_ms[-1] = 5000.0, 80.0
    assert watch_limits(LIMITS, found).state == "sound"


def test_nothing_seen_is_unknown() -> None:
    found = served(requests=0.0, latency_ms=np.nan, healthy=np.nan, unhealthy=np.nan)
    assert watch_limits(LIMITS, found).state == "unknown"
    few = served()
    few.requests[2:] = 0.0
    assert watch_limits(LIMITS, few).reasons == ("requests were seen in 2 points so far, 3 are needed",)
