"""What the traffic service tells the metric store of each minute, and what it does while nobody listens."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from botocore.parsers import ResponseParserError

from include.services.traffic import market_series
from include.services.traffic_market import MOST_WAITING, MarketReport

NOON = int(datetime(2026, 11, 23, 12, 0, tzinfo=UTC).timestamp())
REGIONS = ("us-east-1", "us-west-2", "eu-west-1")
AWAY = EndpointConnectionError(endpoint_url="http://127.0.0.1:1")
SLOW = ReadTimeoutError(endpoint_url="http://127.0.0.1:1")
THROTTLED = ClientError({"Error": {"Code": "Throttling", "Message": "Rate exceeded"}}, "PutMetricData")
NO_ANSWER = ResponseParserError("Unable to parse response")
WRONG = ClientError({"Error": {"Code": "InvalidParameterValue", "Message": "no"}}, "PutMetricData")


class Store:
    """A region's CloudWatch: keeps what it is told, or raises."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.error: Exception | None = None

    def put_metric_data(self, **call: Any) -> None:
        if self.error:
            raise self.error
        self.told.append(call)

    @property
    def minutes(self) -> list[tuple[str, float]]:
        return [(f"{one['Timestamp']:%H:%M}", one["Value"]) for call in self.told for one in call["MetricData"]]


@pytest.fixture
def stores() -> dict[str, Store]:
    return {region: Store() for region in REGIONS}


@pytest.fixture
def report(stores: dict[str, Store]) -> MarketReport:
    made = MarketReport(market_series([*REGIONS, "search/eu-west-1"]), stores.__getitem__)
    made.connect()
    return made


def tell(report: MarketReport, minute: int, **sent: int) -> None:
    """The minute before noon + `minute` is over; `sent` so far, in regions as names with underscores."""
    report.note({region.replace("_", "-"): count for region, count in sent.items()}, NOON + 60 * minute)
    report.publish()


def test_each_minute_is_told_once_in_its_regions_own_series(report: MarketReport, stores: dict[str, Store]) -> None:
    tell(report, 0, us_east_1=9000, eu_west_1=100)
    tell(report, 1, us_east_1=18_001, us_west_2=50, eu_west_1=100)
    assert stores["us-east-1"].minutes == [("11:59", 9000.0), ("12:00", 9001.0)]
    assert stores["us-west-2"].minutes == [("12:00", 50.0)]
    assert stores["eu-west-1"].minutes == [("11:59", 100.0), ("12:00", 0.0)]
    call = stores["us-east-1"].told[0]
    assert call["Namespace"] == "Redstart/Market"
    (datum,) = call["MetricData"]
    assert (datum["MetricName"], datum["Unit"]) == ("RequestCount", "Count")
    assert datum["Dimensions"] == [{"Name": "Region", "Value": "us-east-1"}]


def test_another_applications_traffic_is_not_the_markets(report: MarketReport, stores: dict[str, Store]) -> None:
    report.note({"search/eu-west-1": 40}, NOON)
    report.publish()
    assert stores["eu-west-1"].told == []
    assert set(report.series) == set(REGIONS)


@pytest.mark.parametrize("error", [AWAY, THROTTLED])
def test_what_the_store_did_not_hear_is_told_later(
    report: MarketReport, stores: dict[str, Store], error: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    stores["us-east-1"].error = error
    tell(report, 0, us_east_1=60, eu_west_1=60)
    tell(report, 1, us_east_1=130, eu_west_1=120)
    assert len(stores["eu-west-1"].minutes) == 2, "one region's store does not hold up another's"
    stores["us-east-1"].error = None
    tell(report, 2, us_east_1=190)
    assert stores["us-east-1"].minutes == [("11:59", 60.0), ("12:00", 70.0), ("12:01", 60.0)]
    assert len(stores["us-east-1"].told) == 1
    assert capsys.readouterr().err.count("not published") == 1


@pytest.mark.parametrize("error", [SLOW, WRONG, NO_ANSWER])
def test_what_may_have_been_heard_is_not_told_twice(report: MarketReport, stores: dict[str, Store], error: Any) -> None:
    stores["us-east-1"].error = error
    tell(report, 0, us_east_1=60)
    stores["us-east-1"].error = None
    tell(report, 1, us_east_1=120)
    assert stores["us-east-1"].minutes == [("12:00", 60.0)]


def test_a_store_that_stays_away_costs_no_memory(report: MarketReport, stores: dict[str, Store]) -> None:
    stores["us-east-1"].error = AWAY
    for minute in range(3 * MOST_WAITING):
        tell(report, minute, us_east_1=60 * (minute + 1))
    assert len(report.waiting["us-east-1"]) == MOST_WAITING
    stores["us-east-1"].error = None
    report.publish()
    assert stores["us-east-1"].minutes[-1] == ("14:58", 60.0)
