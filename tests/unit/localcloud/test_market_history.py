"""The markets' past traffic: local evenings, weekends, summer time, and the same numbers each time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from include.localcloud.market_history import MARKETS, SlotRequests, make_history, peaking_at

UNTIL = datetime(2026, 3, 30, 17, 42, tzinfo=UTC)  # summer time began on 8 March in New York, on 29 March in Dublin
SLOTS = 28 * 96


def local_hours(history: SlotRequests, zone: str) -> np.ndarray:
    return np.array([datetime.fromtimestamp(int(start), ZoneInfo(zone)).hour for start in history.starts])


def means_by_hour(history: SlotRequests, zone: str) -> np.ndarray:
    hours = local_hours(history, zone)
    return np.array([history.counts[hours == hour].mean() / 900 for hour in range(24)])


@pytest.mark.parametrize("region", sorted(MARKETS))
def test_28_days_of_full_quarters_up_to_the_moment(region: str) -> None:
    history = make_history(MARKETS[region], UNTIL)
    assert history.starts.shape == history.counts.shape == (SLOTS,)
    assert datetime.fromtimestamp(int(history.starts[-1]), UTC) == UNTIL.replace(minute=15)
    assert (np.diff(history.starts) == 900).all()
    assert (history.counts > 0).all()
    assert (history.counts == np.round(history.counts)).all()


@pytest.mark.parametrize("region", sorted(MARKETS))
def test_the_evening_is_busiest_in_local_time_on_either_side_of_summer_time(region: str) -> None:
    market = MARKETS[region]
    for until in (UNTIL, UNTIL - timedelta(days=40)):
        means = means_by_hour(make_history(market, until), market.time_zone)
        assert means.argmax() in {19, 20, 21}
        assert means.argmin() in {3, 4, 5, 6, 7}
        assert means.max() / means.min() > 5
        assert means.max() == pytest.approx(market.evening_rps, rel=0.12)


@pytest.mark.parametrize("hours", range(0, 24, 3))
def test_a_market_may_have_its_evening_at_any_moment(hours: int) -> None:
    moment = UNTIL + timedelta(hours=hours)
    market = peaking_at(MARKETS["us-west-2"], moment)
    means = means_by_hour(make_history(market, UNTIL), market.time_zone)
    local = moment.astimezone(ZoneInfo(market.time_zone))
    away = np.abs((np.arange(24) + 0.5 - (local.hour + local.minute / 60) + 12) % 24 - 12)
    assert away[means.argmax()] < 1
    assert means[away > 9].max() < 0.4 * means.max()


@pytest.mark.parametrize("peak_hour", [1.0, 13.0, 20.5])
def test_saturday_is_fuller_than_tuesday_whenever_its_evening_is(peak_hour: float) -> None:
    zone = ZoneInfo("America/New_York")
    history = make_history(replace(MARKETS["us-east-1"], peak_hour=peak_hour), UNTIL)
    around = timedelta(hours=peak_hour - 12)
    days = np.array([(datetime.fromtimestamp(int(start), zone) - around).weekday() for start in history.starts])
    assert history.counts[days == 5].sum() > 1.1 * history.counts[days == 1].sum()


def test_the_least_traffic_is_in_the_west() -> None:
    means = {region: make_history(market, UNTIL).counts.mean() for region, market in MARKETS.items()}
    assert sorted(means, key=lambda region: means[region]) == ["us-west-2", "eu-west-1", "us-east-1"]


def test_histories_agree_where_they_overlap_and_differ_by_seed() -> None:
    market = MARKETS["eu-west-1"]
    earlier, later = make_history(market, UNTIL), make_history(market, UNTIL + timedelta(hours=5))
    np.testing.assert_array_equal(earlier.counts[20:], later.counts[:-20])
    assert (make_history(market, UNTIL, seed=1).counts != earlier.counts).mean() > 0.9


def test_another_evening_has_the_same_noise() -> None:
    plain, still = MARKETS["eu-west-1"], replace(MARKETS["eu-west-1"], noise=0.0)
    noise = make_history(plain, UNTIL).counts / make_history(still, UNTIL).counts
    moved = [make_history(replace(market, peak_hour=3.0), UNTIL).counts for market in (plain, still)]
    np.testing.assert_allclose(moved[0] / moved[1], noise, rtol=1e-3)
    assert np.log(noise).std() == pytest.approx(0.04, rel=0.1)
