"""Reading Envoy's admin API: what its health checks say and what it counted, kept across restarts of Envoy."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from include.localcloud.seams import TargetGroupCounts, TargetGroupSpec, TargetHealth

ADMIN_TIMEOUT_SECONDS = 3.0
COUNTER_NAMES = (
    "upstream_rq_total",
    "upstream_rq_2xx",
    "upstream_rq_3xx",
    "upstream_rq_4xx",
    "upstream_rq_5xx",
    "upstream_rq_pending_failure_eject",
    "upstream_rq_rx_reset",
    "upstream_rq_timeout",
    "upstream_cx_none_healthy",
    "upstream_cx_connect_fail",
)
_FILTER = rf"^cluster\.[^.]+\.({'|'.join(COUNTER_NAMES)}|upstream_rq_time)$"
_STAT = re.compile(r"^cluster\.([^.]+)\.([a-z0-9_]+)$")
COUNTS_PATH = f"/stats?format=json&histogram_buckets=disjoint&filter={quote(_FILTER)}"
HEALTH_PATH = "/clusters?format=json"

Endpoint = tuple[str, str, int]  # target group, address, port


class AdminApi:
    """One kept connection to the admin address. Anything wrong (not up yet, ended) raises OSError."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._connection = http.client.HTTPConnection(*address, timeout=ADMIN_TIMEOUT_SECONDS)

    def get(self, path: str) -> dict[str, Any]:
        try:
            self._connection.request("GET", path)
            response = self._connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise OSError(f"Envoy's admin API did not answer {path.partition('?')[0]}: {error!r}") from error
        if response.status != 200:
            raise OSError(f"Envoy's admin API answered {response.status} to {path}: {body[:200]!r}")
        answer: dict[str, Any] = json.loads(body)
        return answer

    def text(self, statistic: str) -> str:
        """The value of a text statistic, or empty."""
        answer = self.get(f"/stats?format=json&type=TextReadouts&filter={quote('^' + re.escape(statistic) + '$')}")
        return next((str(entry.get("value", "")) for entry in answer.get("stats", []) if "name" in entry), "")

    def close(self) -> None:
        self._connection.close()


@dataclass
class HealthLog:
    """What is known of each target's health. A target is `initial` until its first pass, whatever failed before.

    A new Envoy calls every target failed until it has checked it, so after a restart a target that had passed keeps
    that state until the new Envoy has passed it, or has had time enough to find it unhealthy.
    """

    known: dict[tuple[str, str], TargetHealth] = field(default_factory=dict)
    _passed: set[tuple[str, str]] = field(default_factory=set)
    _passed_now: set[tuple[str, str]] = field(default_factory=set)

    def restarted(self) -> None:
        self._passed_now.clear()

    def take(self, answer: Mapping[str, Any], groups: Iterable[TargetGroupSpec], *, uptime_seconds: float) -> None:
        """Take one answer of HEALTH_PATH; targets that are no longer in `groups` are forgotten."""
        is_passing = _passing(answer)
        seen: dict[tuple[str, str], TargetHealth] = {}
        for group in groups:
            checked_after = group.timeout_seconds + group.interval_seconds * group.unhealthy_threshold
            for target in group.targets:
                key = (group.name, target.instance_id)
                passing = is_passing.get((group.name, target.address, target.port))
                if passing:
                    self._passed.add(key)
                    self._passed_now.add(key)
                    seen[key] = "healthy"
                elif key in self._passed and key not in self._passed_now and uptime_seconds < checked_after:
                    seen[key] = self.known.get(key, "healthy")
                elif passing is False:
                    seen[key] = "unhealthy" if key in self._passed else "initial"
        self.known = seen
        self._passed &= seen.keys()
        self._passed_now &= seen.keys()


def _passing(answer: Mapping[str, Any]) -> dict[Endpoint, bool]:
    found: dict[Endpoint, bool] = {}
    for cluster in answer.get("cluster_statuses", []):
        for host in cluster.get("host_statuses", []):
            address = host["address"]["socket_address"]
            failed = host.get("health_status", {}).get("failed_active_health_check", False)
            found[cluster["name"], address["address"], int(address["port_value"])] = not failed
    return found


@dataclass
class CountLog:
    """Counts per target group since the router's start: those of this Envoy on top of those of earlier ones."""

    _before: dict[str, TargetGroupCounts] = field(default_factory=dict)
    _now: dict[str, TargetGroupCounts] = field(default_factory=dict)

    def take(self, answer: Mapping[str, Any]) -> None:
        """Take one answer of COUNTS_PATH. A group that is missing in it was removed (or Envoy began anew)."""
        fresh = read_counts(answer)
        for name, last in self._now.items():
            if name not in fresh or fresh[name].requests < last.requests:
                self._before[name] = add_counts(self._before.get(name, TargetGroupCounts()), last)
        self._now = fresh

    def restarted(self) -> None:
        self.take({})

    def totals(self) -> dict[str, TargetGroupCounts]:
        nothing = TargetGroupCounts()
        names = self._before.keys() | self._now.keys()
        return {name: add_counts(self._before.get(name, nothing), self._now.get(name, nothing)) for name in names}


def read_counts(answer: Mapping[str, Any]) -> dict[str, TargetGroupCounts]:
    """One answer of COUNTS_PATH as counts per target group.

    As in AWS/ApplicationELB, a request counts when a target was chosen for it, and the status classes hold what
    targets answered: Envoy's own 503 and 504 (nothing healthy, no connection, connection lost, too late) are
    taken out of its 5xx.
    """
    numbers: dict[str, dict[str, int]] = {}
    buckets: dict[str, dict[float, int]] = {}
    for entry in answer.get("stats", []):
        for histogram in entry.get("histograms", {}):
            if match := _STAT.match(histogram["name"]):
                buckets[match[1]] = {
                    float(bucket["upper_bound"]): int(bucket["cumulative"])
                    for bucket in histogram.get("buckets", [])
                    if bucket["cumulative"]
                }
        if match := _STAT.match(entry.get("name", "")):
            numbers.setdefault(match[1], {})[match[2]] = int(entry["value"])
    return {name: _counts(values, buckets.get(name, {})) for name, values in numbers.items()}


def _counts(values: Mapping[str, int], buckets: Mapping[float, int]) -> TargetGroupCounts:
    def value(name: str) -> int:
        return values.get(name, 0)

    no_connection = value("upstream_rq_pending_failure_eject")
    lost = value("upstream_rq_rx_reset") + value("upstream_rq_timeout")
    own_5xx = no_connection + lost + value("upstream_cx_none_healthy")
    return TargetGroupCounts(
        requests=value("upstream_rq_total") + no_connection,
        responses_2xx=value("upstream_rq_2xx"),
        responses_3xx=value("upstream_rq_3xx"),
        responses_4xx=value("upstream_rq_4xx"),
        responses_5xx=max(0, value("upstream_rq_5xx") - own_5xx),
        connection_errors=value("upstream_cx_connect_fail"),
        latency_buckets=buckets,
    )


def add_counts(one: TargetGroupCounts, other: TargetGroupCounts) -> TargetGroupCounts:
    bounds = sorted(one.latency_buckets.keys() | other.latency_buckets.keys())
    return TargetGroupCounts(
        requests=one.requests + other.requests,
        responses_2xx=one.responses_2xx + other.responses_2xx,
        responses_3xx=one.responses_3xx + other.responses_3xx,
        responses_4xx=one.responses_4xx + other.responses_4xx,
        responses_5xx=one.responses_5xx + other.responses_5xx,
        connection_errors=one.connection_errors + other.connection_errors,
        latency_buckets={
            bound: one.latency_buckets.get(bound, 0) + other.latency_buckets.get(bound, 0) for bound in bounds
        },
    )
