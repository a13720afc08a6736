"""The seeded markets by the product's own rules: a world that is just made is quiet, but for one evening if wished."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from include.apps import load_app
from include.localcloud.market_history import MARKETS, Market, make_history, peaking_at
from include.peaks import Calendar, Counts, Outlook, Rules, answer_at, learn_curve, quiet_windows, word_if_busy
from include.services.market_seed import RECENT, market_quiet_from, seed_evening
from include.services.settings import Settings
from include.services.traffic import read_rates
from redstart.operators.calendars import calendar_of, rules_of

SITE = load_app("api").prod
assert SITE.windows is not None
RULES = rules_of(SITE.windows, 200)
REGION = "us-west-2"
MADE = datetime(2026, 11, 23, 20, 30, tzinfo=UTC)
AWKWARD = datetime(2026, 11, 29, 10, 42, 13, tzinfo=UTC)  # the evening's middle is at midnight from Saturday to Sunday


def learned(market: Market, calendar: Calendar, made: datetime, now: datetime) -> Outlook:
    """As the product reads the store at `now`: 28 days back, and nothing since the world was made."""
    history = make_history(market, made - RECENT)
    is_read = history.starts >= (now - timedelta(days=28)).timestamp()
    counts = Counts(history.starts[is_read], history.counts[is_read])
    return quiet_windows(learn_curve(counts, calendar, now), calendar, RULES, now)


def evening(moment: datetime, made: datetime, calendar: Calendar) -> tuple[Market, datetime]:
    found = market_quiet_from(REGION, moment, made, calendar, RULES)
    assert found is not None
    return found


@pytest.mark.parametrize("region", sorted(MARKETS))
@pytest.mark.parametrize("hours", range(0, 7 * 24, 29))
def test_a_world_that_is_just_made_is_quiet_for_hours(region: str, hours: int) -> None:
    made = MADE + timedelta(hours=hours)
    calendar, market = calendar_of(SITE, region), peaking_at(MARKETS[region], made + timedelta(hours=17))
    for now in (made, made + timedelta(hours=7)):
        outlook = learned(market, calendar, made, now)
        assert answer_at(outlook, RULES, now).is_open
        live = read_rates(Settings().traffic_rps)[region]
        minutes = int(now.timestamp()) // 60 * 60 - 60 * np.arange(15, 0, -1)
        recent = Counts(minutes, np.full(15, 60 * live), 60)
        assert word_if_busy(outlook, RULES, recent, now) == ""


@pytest.mark.parametrize("now", [MADE, MADE + timedelta(hours=11), AWKWARD, AWKWARD + timedelta(minutes=25)])
def test_an_evening_is_over_when_it_is_wished_and_is_found_there_later(now: datetime) -> None:
    calendar, moment = calendar_of(SITE, REGION), now + timedelta(seconds=320)
    market, begins = evening(moment, now, calendar)
    assert abs((begins - moment).total_seconds()) <= 1
    for seconds in (265, 290):  # at the gate, and while the region waits
        later = now + timedelta(seconds=seconds)
        answer = answer_at(learned(market, calendar, now, later), RULES, later)
        assert not answer.is_open
        assert answer.opens is not None
        assert abs((answer.opens - moment).total_seconds()) < 30
    opened = moment + timedelta(seconds=30)
    assert answer_at(learned(market, calendar, now, opened), RULES, opened).is_open


def test_the_evenings_market_still_has_the_least_traffic() -> None:
    calendar = calendar_of(SITE, REGION)
    market, _ = evening(MADE + timedelta(minutes=5), MADE, calendar)
    least = make_history(market, MADE).counts.mean()
    others = [one for region, one in MARKETS.items() if region != REGION]
    assert all(make_history(other, MADE).counts.mean() > 1.05 * least for other in others)


class Store:
    """CloudWatch, with nothing in it."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def get_paginator(self, _: str) -> Store:
        return self

    def paginate(self, **_: Any) -> list[Any]:
        return []

    def put_metric_data(self, **call: Any) -> None:
        self.values += [one["Value"] for one in call["MetricData"]]


@pytest.mark.parametrize(
    "now", [datetime(2027, 3, 14, 12, 49, tzinfo=UTC), datetime(2026, 11, 1, 8, 49, tzinfo=UTC)], ids=["spring", "fall"]
)
def test_where_the_clock_changes_no_evening_is_shown_and_the_market_is_quiet(now: datetime) -> None:
    calendar, moment, store = calendar_of(SITE, REGION), now + timedelta(seconds=65), Store()
    assert market_quiet_from(REGION, moment, now, calendar, RULES) is None
    assert seed_evening(store, REGION, moment, now, calendar, RULES) is None
    market = peaking_at(MARKETS[REGION], now + timedelta(hours=17))
    assert store.values == make_history(market, now - RECENT).counts.tolist()
    assert answer_at(learned(market, calendar, now, moment), RULES, moment).is_open


def test_where_nothing_quiet_is_learned_there_is_no_evening() -> None:
    rules = Rules(0.05, 3600, quiet_hours=RULES.quiet_hours)
    assert market_quiet_from(REGION, MADE + timedelta(minutes=5), MADE, Calendar(), rules) is None
