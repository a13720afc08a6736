"""What the traffic service and the world's seed write of a market, read back as the product reads it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from include.adapters.aws_errors import AwsCalls
from include.adapters.aws_market import AwsMarket
from include.apps import load_app
from include.services.market_seed import RECENT, seed_markets
from include.services.traffic import market_series
from include.services.traffic_market import MarketReport
from tests.support.cloudwatch_server import CloudWatchServer, serve_cloudwatch

NOON = datetime(2026, 5, 6, 12, 0, tzinfo=UTC)
REGION = "us-west-2"


@pytest.fixture
def server() -> Iterator[CloudWatchServer]:
    with serve_cloudwatch(NOON.timestamp()) as server:
        yield server


@pytest.fixture
def market(server: CloudWatchServer) -> AwsMarket:
    windows = load_app("api").prod.windows
    assert windows is not None
    return AwsMarket(AwsCalls(REGION, lambda _: server.client(REGION)), "api-main", windows.traffic)


def test_a_minute_of_live_traffic_is_read_as_it_was_sent(server: CloudWatchServer, market: AwsMarket) -> None:
    report = MarketReport(market_series([REGION]), server.client)
    report.connect()
    for minute, sent in enumerate((5900, 12_000, 18_010)):
        server.clock.at = NOON.timestamp() + 60 * minute
        report.note({REGION: sent}, int(server.clock.at))
        report.publish()
    now = NOON + timedelta(minutes=2, seconds=20)
    recent = market.counts(now - RECENT, now, 60)
    assert recent.counts.tolist() == [5900, 6100, 6010]
    assert datetime.fromtimestamp(int(recent.starts[-1]), UTC) == NOON + timedelta(minutes=1)


def test_the_seeded_past_is_28_days_of_quarters_and_no_minute_of_now(
    server: CloudWatchServer, market: AwsMarket
) -> None:
    seed_markets(server.client, NOON, regions=[REGION])
    history = market.counts(NOON - timedelta(days=28), NOON, 900)
    assert history.starts.size == 28 * 96 - 1
    assert (np.diff(history.starts) == 900).all()
    for seconds in (0, 61, 899):
        now = NOON + timedelta(seconds=seconds)
        assert market.counts(now - RECENT, now, 60).counts.size == 0
