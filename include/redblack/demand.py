"""How many instances the traffic needs: of now, and one start time ahead."""

from __future__ import annotations

import math
from dataclasses import dataclass

from include.fleet import TrafficHistory

RECENT_POINTS = 3


@dataclass(frozen=True)
class Demand:
    """What a cluster's traffic asks for, in requests per second; None where nobody knows.

    `ahead_rps` is the greatest expected within the look-ahead, never below `rps`.
    """

    rps: float | None = None
    ahead_rps: float | None = None

    def instances(self, rps_per_instance: float) -> int | None:
        """Fewest instances for the traffic of now; None: not known."""
        return None if self.rps is None else _instances(self.rps, rps_per_instance)

    def instances_ahead(self, rps_per_instance: float) -> int | None:
        """Fewest instances for the traffic that is expected; None: not known."""
        return None if self.ahead_rps is None else _instances(self.ahead_rps, rps_per_instance)


def forecast(history: TrafficHistory, ahead_seconds: float) -> Demand:
    """Demand from the last minutes: the greatest of the newest points now, and a straight line through all of them
    (least squares) `ahead_seconds` after the last. A falling line is not believed: what is served now is kept.
    """
    if not history.points:
        return Demand()
    newest = [rps for _, rps in history.points[-RECENT_POINTS:]]
    now = max(newest)
    return Demand(now, max(now, _line_at(history, ahead_seconds)))


def _line_at(history: TrafficHistory, ahead_seconds: float) -> float:
    end = history.points[-1][0]
    times = [(at - end).total_seconds() for at, _ in history.points]
    values = [rps for _, rps in history.points]
    count = len(values)
    mean_time, mean_value = sum(times) / count, sum(values) / count
    spread = sum((time - mean_time) ** 2 for time in times)
    if spread == 0:
        return values[-1]
    slope = sum((t - mean_time) * (v - mean_value) for t, v in zip(times, values, strict=True)) / spread
    return mean_value + slope * (ahead_seconds - mean_time)


def _instances(rps: float, rps_per_instance: float) -> int:
    return max(math.ceil(rps / rps_per_instance - 1e-9), 1 if rps > 0 else 0)
