"""The markets' past traffic: local evenings, weekends, summer time, and the same numbers each time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from include.localcloud.market_history import MARKETS, HourlyRequests, make_history

UNTIL = datetime(2026, 3, 30, 17, 42, tzinfo=UTC)  # summer time began on 8 March in New York, on 29 March in Dublin


def local_hours(history: HourlyRequests, zone: str) -> np.ndarray:
    return np.array([datetime.fromtimestamp(int(hour), ZoneInfo(zone)).hour for hour in history.hours])


@pytest.mark.parametrize("region", sorted(MARKETS))
def test_28_days_of_full_hours_up_to_the_moment(region: str) -> None:
    history = make_history(MARKETS[region], UNTIL)
    assert history.hours.shape == history.counts.shape == (672,)
    assert datetime.fromtimestamp(int(history.hours[-1]), UTC) == UNTIL.replace(hour=16, minute=0)
    assert (np.diff(history.hours) == 3600).all()
    assert (history.counts > 0).all()
    assert (history.counts == np.round(history.counts)).all()


@pytest.mark.parametrize("region", sorted(MARKETS))
def test_the_evening_is_busiest_in_local_time_on_either_side_of_summer_time(region: str) -> None:
    market = MARKETS[region]
    for until in (UNTIL, UNTIL - timedelta(days=40)):
        history = make_history(market, until)
        hours = local_hours(history, market.time_zone)
        means = np.array([history.counts[hours == hour].mean() for hour in range(24)])
        assert means.argmax() in {19, 20, 21}
        assert means.argmin() in {3, 4, 5, 6, 7}
        assert means.max() / means.min() > 5
        assert means.max() / 3600 == pytest.approx(market.evening_rps, rel=0.12)


def test_saturday_is_fuller_than_tuesday() -> None:
    history = make_history(MARKETS["us-east-1"], UNTIL)
    zone = ZoneInfo("America/New_York")
    days = np.array([datetime.fromtimestamp(int(hour), zone).weekday() for hour in history.hours])
    assert history.counts[days == 5].sum() > 1.1 * history.counts[days == 1].sum()


def test_histories_agree_where_they_overlap_and_differ_by_seed() -> None:
    market = MARKETS["eu-west-1"]
    earlier, later = make_history(market, UNTIL), make_history(market, UNTIL + timedelta(hours=5))
    np.testing.assert_array_equal(earlier.counts[5:], later.counts[:-5])
    assert (make_history(market, UNTIL, seed=1).counts != earlier.counts).mean() > 0.9
