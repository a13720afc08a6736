"""Puts the markets' traffic history into CloudWatch, through its API like anybody else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from include.localcloud.market_history import HISTORY_DAYS, MARKETS, make_history

NAMESPACE = "Redstart/Market"
METRIC = "RequestCount"
HOUR = 3600
_DATUMS_PER_CALL = 1000


def seed_markets(
    client_for: Callable[[str], Any], until: datetime, *, regions: Iterable[str] = tuple(MARKETS), seed: int = 28
) -> dict[str, int]:
    """Write the 28 days before `until` into each region's `Redstart/Market`; hours that have data are left alone.

    `client_for` gives a boto3 CloudWatch client for a region. Returns the hours written per region (0: all there).
    """
    return {region: _seed_market(client_for(region), region, until, seed) for region in regions}


def _seed_market(client: Any, region: str, until: datetime, seed: int) -> int:
    history = make_history(MARKETS[region], until, seed=seed)
    dimensions = [{"Name": "Region", "Value": region}]
    known = _known_hours(client, dimensions, until)
    data = [
        {
            "MetricName": METRIC,
            "Dimensions": dimensions,
            "Timestamp": datetime.fromtimestamp(hour, UTC),
            "Value": count,
            "Unit": "Count",
        }
        for hour, count in zip(history.hours.tolist(), history.counts.tolist(), strict=True)
        if hour not in known
    ]
    for index in range(0, len(data), _DATUMS_PER_CALL):
        client.put_metric_data(Namespace=NAMESPACE, MetricData=data[index : index + _DATUMS_PER_CALL])
    return len(data)


def _known_hours(client: Any, dimensions: list[dict[str, str]], until: datetime) -> set[int]:
    metric = {"Namespace": NAMESPACE, "MetricName": METRIC, "Dimensions": dimensions}
    first = int((until - timedelta(days=HISTORY_DAYS, hours=1)).timestamp()) // HOUR * HOUR
    pages = client.get_paginator("get_metric_data").paginate(
        MetricDataQueries=[{"Id": "hours", "MetricStat": {"Metric": metric, "Period": HOUR, "Stat": "SampleCount"}}],
        StartTime=datetime.fromtimestamp(first, UTC),
        EndTime=until,
    )
    results = (result for page in pages for result in page["MetricDataResults"])
    return {int(time.timestamp()) for result in results for time in result["Timestamps"]}
