"""Routers' counts as the metrics that AWS publishes for its load balancers (every 5 s, at 1 s resolution)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from include.localcloud import balancing
from include.localcloud.routing import Place
from include.localcloud.seams import TargetGroupCounts

NAMESPACE = "AWS/ApplicationELB"
PERIOD_SECONDS = 5.0
COUNTERS = {
    "RequestCount": "requests",
    "HTTPCode_Target_2XX_Count": "responses_2xx",
    "HTTPCode_Target_3XX_Count": "responses_3xx",
    "HTTPCode_Target_4XX_Count": "responses_4xx",
    "HTTPCode_Target_5XX_Count": "responses_5xx",
    "TargetConnectionErrorCount": "connection_errors",
}
Counts = Mapping[Place, Mapping[str, TargetGroupCounts]]


class TrafficMetrics:
    """`sink` is the CloudWatch of the local cloud, or None: nothing is published."""

    def __init__(self, sink: Any | None) -> None:
        self._sink = sink
        self._due_at = 0.0
        self._before: dict[tuple[Place, str], TargetGroupCounts] = {}

    def reset(self) -> None:
        self._due_at = 0.0
        self._before.clear()
        if self._sink is not None:
            self._sink.reset()

    def publish_if_due(self, now: float, read_counts: Callable[[], Counts]) -> None:
        if self._sink is None or now < self._due_at:
            return
        self._due_at = now - now % PERIOD_SECONDS + PERIOD_SECONDS
        now = self._due_at - 2 * PERIOD_SECONDS  # the period that has just ended
        counts = read_counts()
        for place, groups in balancing.metric_views().items():
            totals: dict[str, dict[str, float]] = {}
            for view in groups:
                seen = counts.get(place, {}).get(view.name)
                values = self._difference(place, view.name, seen) if seen else {}
                self._publish_group(place, view, values, seen, now)
                for balancer in view.balancers:
                    total = totals.setdefault(balancer, {})
                    for name, value in values.items():
                        total[name] = total.get(name, 0.0) + value
            for balancer, total in totals.items():
                self._put(place, {"LoadBalancer": balancer}, total, now)

    def _publish_group(
        self, place: Place, view: Any, values: Mapping[str, float], seen: TargetGroupCounts | None, now: float
    ) -> None:
        for balancer in view.balancers:
            dimensions = {"LoadBalancer": balancer, "TargetGroup": view.dimension}
            self._put(place, dimensions, values, now)
            health = {"HealthyHostCount": float(view.healthy), "UnHealthyHostCount": float(view.unhealthy)}
            for name, value in health.items():
                self._one(place, name, dimensions, now, [value], None)
            times = self._latencies(place, view.name, seen) if seen else {}
            if times:
                for scope in (dimensions, {"LoadBalancer": balancer}):
                    self._one(place, "TargetResponseTime", scope, now, list(times), list(times.values()))
        if seen:
            self._before[place, view.name] = seen

    def _difference(self, place: Place, name: str, seen: TargetGroupCounts) -> dict[str, float]:
        before = self._before.get((place, name), TargetGroupCounts())
        return {
            metric: float(max(0, getattr(seen, field) - getattr(before, field))) for metric, field in COUNTERS.items()
        }

    def _latencies(self, place: Place, name: str, seen: TargetGroupCounts) -> dict[float, float]:
        """Seconds -> how many, since the last time."""
        before = self._before.get((place, name), TargetGroupCounts()).latency_buckets
        grown = {bound: count - before.get(bound, 0) for bound, count in seen.latency_buckets.items()}
        return {bound / 1000: float(count) for bound, count in grown.items() if count > 0}

    def _put(self, place: Place, dimensions: Mapping[str, str], values: Mapping[str, float], now: float) -> None:
        for name, value in values.items():
            if value:  # as AWS: reported when there is a non-zero value
                self._one(place, name, dimensions, now, [value], None)

    def _one(
        self,
        place: Place,
        name: str,
        dimensions: Mapping[str, str],
        now: float,
        values: list[float],
        counts: list[float] | None,
    ) -> None:
        assert self._sink is not None
        self._sink.put(*place, NAMESPACE, name, dimensions, now, values, counts)
