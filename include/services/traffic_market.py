"""Tells the metric store, minute by minute, how many requests each market sent: what is learned from later on.

A metric store that is away disturbs no request: what it was not told waits for it, an hour's worth at most.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError

from include.apps.windows import TrafficMetric

MINUTE_SECONDS = 60
MOST_WAITING = 60
REFUSED_FOR_NOW = frozenset({"Throttling", "ThrottlingException", "RequestLimitExceeded", "ServiceUnavailable"})
Sent = Mapping[str, int]
"""Region -> requests sent since the service began."""


@dataclass(frozen=True)
class Minute:
    """Requests sent in the minute from `start` (seconds since the epoch) on."""

    start: int
    requests: int


class MarketReport:
    """One series per region, as the application's settings name it; `client_for` gives a region's client."""

    def __init__(self, series: Mapping[str, TrafficMetric], client_for: Callable[[str], Any]) -> None:
        self.series, self.client_for = series, client_for
        self.waiting: dict[str, deque[Minute]] = {region: deque(maxlen=MOST_WAITING) for region in series}
        self._before: dict[str, int] = {}
        self._clients: dict[str, Any] = {}
        self._is_heard = True

    async def run(self, sent: Callable[[], Sent]) -> None:
        """Until it is cancelled: what was sent in each minute, soon after its end."""
        await asyncio.to_thread(self.connect)
        end = 0
        while True:
            end = max(end, int(time.time()) // MINUTE_SECONDS * MINUTE_SECONDS) + MINUTE_SECONDS
            await asyncio.sleep(end - time.time())
            self.note(sent(), end)
            await asyncio.to_thread(self.publish)

    def connect(self) -> None:
        """Make the clients, which takes a moment, before the first minute is over."""
        self._clients = {region: self.client_for(region) for region in self.series}

    def note(self, sent: Sent, now: int) -> None:
        """What came since the last time was sent in the minute that ends `now`; nothing where no traffic is yet."""
        for region, count in sent.items():
            if region in self.series:
                self.waiting[region].append(Minute(now - MINUTE_SECONDS, count - self._before.get(region, 0)))
                self._before[region] = count

    def publish(self) -> None:
        """Send what waits. What surely did not arrive waits on; what may have arrived is not sent a second time."""
        problem = next(filter(None, [self._publish_region(region) for region in self.series]), "")
        if problem and self._is_heard:
            print(f"traffic: the markets' requests are not published: {problem}", file=sys.stderr, flush=True)
        self._is_heard = not problem

    def _publish_region(self, region: str) -> str:
        """What went wrong, "" for nothing."""
        minutes, metric = list(self.waiting[region]), self.series[region]
        if not minutes:
            return ""
        dimensions = [
            {"Name": name, "Value": value.replace("{region}", region)} for name, value in metric.dimensions.items()
        ]
        data = [
            {
                "MetricName": metric.metric,
                "Dimensions": dimensions,
                "Timestamp": datetime.fromtimestamp(minute.start, UTC),
                "Value": float(minute.requests),
                "Unit": "Count",
            }
            for minute in minutes
        ]
        try:
            self._clients[region].put_metric_data(Namespace=metric.namespace, MetricData=data)
        except Exception as error:  # the traffic's own loop: an answer that is none must not end it
            if not _is_surely_unheard(error):
                self.waiting[region].clear()
            return f"{type(error).__name__}: {error}"
        self.waiting[region].clear()
        return ""


def metric_client(cloud_url: str, region: str) -> Any:
    """CloudWatch of the local cloud, asked once and not for long."""
    return boto3.client(
        "cloudwatch",
        region_name=region,
        endpoint_url=cloud_url,
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106 - the local cloud checks no signature
        config=Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 1}),
    )


def _is_surely_unheard(error: Exception) -> bool:
    if isinstance(error, ClientError):
        return error.response.get("Error", {}).get("Code") in REFUSED_FOR_NOW
    return isinstance(error, EndpointConnectionError | ConnectTimeoutError)
