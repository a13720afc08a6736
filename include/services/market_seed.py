"""Puts the markets' traffic history into CloudWatch, through its API like anybody else.

A small world has its markets' evenings where it wants them: far away, so that whatever is begun in it is begun in a
quiet time; or, for one market, so that its evening is over at a given moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from include.localcloud.market_history import HISTORY_DAYS, MARKETS, SLOT_SECONDS, Market, make_history, peaking_at
from include.peaks import Calendar, Counts, Rules, Source, learn_curve, quiet_windows

NAMESPACE = "Redstart/Market"
METRIC = "RequestCount"
RECENT = timedelta(minutes=15)
"""Nothing is written of the last minutes: a quarter's count is kept at one moment, and would look like a minute's."""
_DATUMS_PER_CALL = 1000
_EVENING_AHEAD = timedelta(hours=17)
"""Of what is just made: the evening before is over for hours, and the afternoon before the next is hours away."""
_EVEN_NOISE = 0.002  # a window's edge stays where it was found while further minutes are counted
_CLOSE = timedelta(seconds=1)
_FAR = timedelta(minutes=1)
_STEPS = 20


def seed_markets(
    client_for: Callable[[str], Any], until: datetime, *, regions: Iterable[str] = tuple(MARKETS), seed: int = 28
) -> dict[str, int]:
    """Write the 28 days before `until` into each region's `Redstart/Market`; quarters that have data are left alone.

    Each market's evening is hours away from `until`. `client_for` gives a boto3 CloudWatch client for a region.
    Returns the quarters written per region (0: all there).
    """
    return {
        region: write_market(client_for(region), peaking_at(MARKETS[region], until + _EVENING_AHEAD), until, seed=seed)
        for region in regions
    }


def write_market(client: Any, market: Market, until: datetime, *, seed: int = 28) -> int:
    """Write one market's 28 days; the quarters written. What is there already stands."""
    last = until - RECENT
    history = make_history(market, last, seed=seed)
    dimensions = [{"Name": "Region", "Value": market.region}]
    known = _known_slots(client, dimensions, last)
    data = [
        {
            "MetricName": METRIC,
            "Dimensions": dimensions,
            "Timestamp": datetime.fromtimestamp(start, UTC),
            "Value": count,
            "Unit": "Count",
        }
        for start, count in zip(history.starts.tolist(), history.counts.tolist(), strict=True)
        if start not in known
    ]
    for index in range(0, len(data), _DATUMS_PER_CALL):
        client.put_metric_data(Namespace=NAMESPACE, MetricData=data[index : index + _DATUMS_PER_CALL])
    return len(data)


def seed_evening(
    client: Any, region: str, moment: datetime, until: datetime, calendar: Calendar, rules: Rules
) -> datetime | None:
    """Write the 28 days before `until` so that the region's evening is over at `moment`: what is learned of them has a
    quiet window begin there. Returns when it begins, to the second; None where there is no such evening: then the
    market is quiet, as the others are."""
    found = market_quiet_from(region, moment, until, calendar, rules)
    market, begins = found or (peaking_at(MARKETS[region], until + _EVENING_AHEAD), None)
    write_market(client, market, until)
    return begins


def market_quiet_from(
    region: str, moment: datetime, until: datetime, calendar: Calendar, rules: Rules, *, seed: int = 28
) -> tuple[Market, datetime] | None:
    """The region's market with its evening so that what is learned of the days before `until` has a quiet window begin
    at `moment`; and when it begins, to the second.

    Where days of different weekdays meet, the curve may have no such evening: then its days are all alike. None where
    it is off by more than a minute all the same, as within an hour of a clock change, or nothing quiet is learned.
    """
    market = replace(MARKETS[region], noise=_EVEN_NOISE)

    def opening(market: Market, peak: datetime) -> datetime | None:
        """The beginning of the first window after the evening."""
        history = make_history(peaking_at(market, peak), until - RECENT, seed=seed)
        curve = learn_curve(Counts(history.starts, history.counts), calendar, until)
        outlook = quiet_windows(curve, calendar, rules, peak, days=1.5)
        if outlook.source is not Source.LEARNED:
            return None
        return next((window.start for window in outlook.windows if window.start > peak), None)

    found = []
    for one in (market, replace(market, all_alike=True)):
        found += [
            (abs(moment - begins), peaking_at(one, peak), begins) for peak, begins in _tries(one, moment, opening)
        ]
        if found and min(off for off, _, _ in found) <= _CLOSE:
            break
    off, best, begins = min(found, key=lambda one: one[0], default=(_FAR, market, moment))
    return (best, begins) if off < _FAR else None


def _tries(
    market: Market, moment: datetime, opening: Callable[[Market, datetime], datetime | None]
) -> Iterator[tuple[datetime, datetime]]:
    """Evenings and when each is over: the next one is moved by as much as that was too early or too late."""
    peak = moment - timedelta(hours=2)
    for _ in range(_STEPS):
        begins = opening(market, peak)
        if begins is None:
            return
        yield peak, begins
        if abs(moment - begins) <= _CLOSE:
            return
        peak += moment - begins


def _known_slots(client: Any, dimensions: list[dict[str, str]], until: datetime) -> set[int]:
    metric = {"Namespace": NAMESPACE, "MetricName": METRIC, "Dimensions": dimensions}
    first = int((until - timedelta(days=HISTORY_DAYS, hours=1)).timestamp()) // SLOT_SECONDS * SLOT_SECONDS
    statistic = {"Metric": metric, "Period": SLOT_SECONDS, "Stat": "SampleCount"}
    pages = client.get_paginator("get_metric_data").paginate(
        MetricDataQueries=[{"Id": "slots", "MetricStat": statistic}],
        StartTime=datetime.fromtimestamp(first, UTC),
        EndTime=until,
    )
    results = (result for page in pages for result in page["MetricDataResults"])
    return {int(time.timestamp()) for result in results for time in result["Timestamps"]}
