"""What is known of a market: settings, time zones, how long a push takes, and what the metric store is asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from include.apps import App, load_app
from include.apps.windows import Freeze, Holiday
from include.errors import ConfigError, RetryableError
from include.ledger import Event, Kind, Ledger, Place
from include.ledger.overrides import Override, override_event
from include.peaks import Answer, Counts, Source, answer_at
from redstart.operators.calendars import calendar_of, rules_of
from redstart.operators.outlook import OutlookReader, expected_push_seconds
from redstart.operators.peak import quiet_of, quiet_until
from tests.support.delivery_world import DeliveryWorld, make_world
from tests.support.ledger import fresh_ledger
from tests.support.market_world import Market, end_overrides, put_markets, put_override, with_windows

EAST = Place("api", "main", "us-east-1")
NOW = datetime(2026, 11, 23, 18, 7, 31, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return fresh_ledger(tmp_path / "ledger.db")


def app_with(monkeypatch: pytest.MonkeyPatch, **windows: Any) -> App:
    return with_windows(monkeypatch, **windows)


def test_moments_without_a_zone_are_the_markets_own(monkeypatch: pytest.MonkeyPatch) -> None:
    own = datetime.fromisoformat
    freezes = (
        Freeze(start=own("2026-10-31T20:00"), end=own("2026-11-01T20:00"), why="over the change of the clocks"),
        Freeze(
            start=datetime(2026, 10, 1, tzinfo=UTC), end=datetime(2026, 10, 2, tzinfo=UTC), why="everywhere at once"
        ),
        Freeze(start=own("2026-12-01"), end=own("2026-12-02"), why="elsewhere", regions=("eu-west-1",)),
    )
    site = app_with(monkeypatch, freezes=freezes).prod
    east, europe = calendar_of(site, "us-east-1"), calendar_of(site, "eu-west-1")
    assert [one.why for one in east.freezes] == ["everywhere at once", "over the change of the clocks"]
    assert (east.freezes[1].start, east.freezes[1].end) == (
        datetime(2026, 11, 1, 0, tzinfo=UTC),
        datetime(2026, 11, 2, 1, tzinfo=UTC),
    ), "25 hours by the clock of New York"
    assert east.freezes[0].start == europe.freezes[0].start == datetime(2026, 10, 1, tzinfo=UTC)
    assert europe.freezes[2].start == datetime(2026, 12, 1, tzinfo=UTC)


def test_holidays_are_of_their_regions(monkeypatch: pytest.MonkeyPatch) -> None:
    holidays = (
        Holiday(day=date(2026, 11, 26), like="sunday", regions=("us-east-1",)),
        Holiday(day=date(2026, 12, 25), like="saturday"),
    )
    site = app_with(monkeypatch, holidays=holidays).prod
    assert dict(calendar_of(site, "us-east-1").holidays) == {date(2026, 11, 26): 6, date(2026, 12, 25): 5}
    assert dict(calendar_of(site, "eu-west-1").holidays) == {date(2026, 12, 25): 5}
    assert calendar_of(site, "eu-west-1").time_zone == "Europe/Dublin"


def test_an_environment_without_windows_has_a_time_zone_all_the_same() -> None:
    calendar = calendar_of(load_app("api").environment("test"), "us-east-1")
    assert (calendar.time_zone, calendar.freezes) == ("UTC", ())


def test_rules_are_the_settings_in_their_own_units(monkeypatch: pytest.MonkeyPatch) -> None:
    windows = app_with(monkeypatch, below_pct=55, least_days=9, quiet_hours=("23:00-06:30",)).prod.windows
    assert windows is not None
    rules = rules_of(windows, 900)
    assert (rules.below_share, rules.least_seconds, rules.least_days) == (pytest.approx(0.55), 900, 9)
    assert rules.quiet_hours == ((time(23), time(6, 30)),)


def push(ledger: Ledger, number: int, seconds: float, *, place: Place = EAST, end: Kind = Kind.PUSH_FINISHED) -> None:
    began, run = NOW + timedelta(hours=number), f"run-{number}"
    for kind, at in ((Kind.PUSH_STARTED, began), (end, began + timedelta(seconds=seconds))):
        ledger.record(Event(f"{place}/{run}/{kind}", kind, at, place, run, "ana"))


def test_a_push_will_take_as_long_as_the_longest_of_the_last_five(ledger: Ledger) -> None:
    site = load_app("api").prod
    for number, seconds in enumerate([2000, 700, 900, 800, 750, 720]):
        push(ledger, number, seconds)
    push(ledger, 7, 3000, end=Kind.PUSH_FAILED)
    push(ledger, 8, 3100, place=Place("api", "main", "eu-west-1"))
    assert expected_push_seconds(ledger, EAST, site) == 900


def test_one_that_stood_still_for_a_night_does_not_make_every_window_too_short(ledger: Ledger) -> None:
    site = load_app("api").prod
    push(ledger, 1, 9 * 3600)
    assert expected_push_seconds(ledger, EAST, site) == 120 + 60 + 600 + 60, "as the settings say"
    push(ledger, 2, 700)
    assert expected_push_seconds(ledger, EAST, site) == 700


def test_one_that_was_rolled_back_the_day_after_took_no_longer_for_it(ledger: Ledger) -> None:
    began, about = NOW, {"group": "api-main-v001", "image": "ami-1"}
    for kind, run, minutes, data in (
        (Kind.PUSH_STARTED, "run-1", 0, {}),
        (Kind.PUSH_FINISHED, "run-1", 10, about),
        (Kind.ROLLBACK_FINISHED, "back-1", 20 * 60, {"from": "api-main-v001"}),
    ):
        at = began + timedelta(minutes=minutes)
        ledger.record(Event(f"{EAST}/{run}/{kind}", kind, at, EAST, run, "ana", data=dict(data)))
    assert expected_push_seconds(ledger, EAST, load_app("api").prod) == 600


@pytest.mark.parametrize(("most", "seconds"), [(None, 120 + 60 + 600 + 60), (5, 120 + 5 + 5 + 60), (0, 180)])
def test_before_the_first_push_the_settings_say_how_long_it_takes(
    ledger: Ledger, most: float | None, seconds: float
) -> None:
    assert expected_push_seconds(ledger, EAST, load_app("api").prod, most) == seconds


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeliveryWorld:
    found = make_world(tmp_path, monkeypatch)
    end_overrides(found)
    return found


def reader(world: DeliveryWorld, environment: str = "prod") -> OutlookReader:
    return OutlookReader(load_app("api"), environment, world.ledger, world.now)


def test_the_store_is_asked_for_weeks_by_the_quarter_and_of_late_by_the_minute(
    world: DeliveryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = put_markets(world, monkeypatch, hours_from_peak=12)["us-east-1"]
    found = reader(world).read("us-east-1")
    assert found is not None and found.counts is not None
    (history, recent) = market.reads
    assert history == (world.now() - timedelta(days=28), world.now(), 900)
    assert recent == (world.now() - timedelta(minutes=15), world.now(), 60)
    assert found.outlook.source is Source.LEARNED and found.outlook.calendar.time_zone == "America/New_York"


def test_an_environment_without_windows_has_no_outlook(world: DeliveryWorld) -> None:
    assert reader(world, "test").read("us-east-1") is None


def test_a_region_that_is_not_served_is_a_mistake(world: DeliveryWorld) -> None:
    with pytest.raises(ConfigError, match="runs in"):
        reader(world).read("ap-south-1")


def test_a_curve_in_the_ledger_that_is_too_old_is_not_believed(
    world: DeliveryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = put_markets(world, monkeypatch, hours_from_peak=12)["us-east-1"]
    found = reader(world).read("us-east-1")
    assert found is not None and reader(world).note(found)
    market.away = RetryableError("no answer")
    world.sleep(27 * 86400)
    remembered = reader(world).read("us-east-1")
    assert remembered is not None and remembered.outlook.source is Source.LEARNED
    assert remembered.counts is None and not reader(world).note(remembered), "nothing new was learned"
    world.sleep(2 * 86400)
    forgotten = reader(world).read("us-east-1")
    assert forgotten is not None and forgotten.outlook.source is Source.CONFIGURED
    assert "nothing is known of the traffic" in forgotten.outlook.why


def test_what_another_version_wrote_is_passed_over(world: DeliveryWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    market = put_markets(world, monkeypatch, hours_from_peak=12)["us-east-1"]
    found = reader(world).read("us-east-1")
    assert found is not None
    reader(world).note(found)
    for number, data in enumerate(({"schema": 2}, {"schema": 1}, {"schema": 1, "time_zone": "UTC", "holidays": []})):
        event = Event(f"odd/{number}", Kind.WINDOWS_LEARNED, world.now(), EAST, "", "", "", data)  # type: ignore[arg-type]
        world.ledger.record(event)
    market.away = RetryableError("no answer")
    remembered = reader(world).read("us-east-1")
    assert remembered is not None and remembered.outlook.source is Source.LEARNED


def test_an_override_is_open_whatever_the_windows_say(world: DeliveryWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    put_markets(world, monkeypatch, hours_from_peak=0)
    now = world.now()
    wanted = Override(EAST, "ana", "the fix cannot wait", now, now + timedelta(minutes=60))
    world.ledger.record(override_event(wanted, "key"))
    found = reader(world).read("us-east-1")
    assert found is not None
    assert found.answer(now) == Answer(True, wanted.describe(), until=found.override.until)  # type: ignore[union-attr]
    assert not found.answer(now + timedelta(minutes=60)).is_open


def test_quiet_time_is_the_window_under_way_and_the_next(world: DeliveryWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    put_markets(world, monkeypatch, hours_from_peak=12)
    found = reader(world).read("us-east-1")
    assert found is not None
    first, second = found.outlook.windows[:2]
    assert quiet_until(found.outlook, first.start) == (first.end, second.start)
    between = first.end + timedelta(hours=1)
    assert quiet_until(found.outlook, between) == (between, second.start)
    after = found.outlook.windows[-1].end
    assert quiet_until(found.outlook, after) == (after, None)


@pytest.mark.parametrize("odd", [1e300, -5.0])
def test_absurd_counts_end_in_the_settings_hours(
    world: DeliveryWorld, monkeypatch: pytest.MonkeyPatch, odd: float
) -> None:
    put_markets(world, monkeypatch, hours_from_peak=12)
    monkeypatch.setattr(Market, "rps", lambda self, moments: np.full(moments.shape, odd))
    found = reader(world).read("us-east-1")
    assert found is not None and found.outlook.source is Source.CONFIGURED
    assert found.outlook.why.startswith("no requests are known, 7 days of them are needed: the settings' hours ")
    found.answer(world.now())


@pytest.mark.parametrize("error", [np.linalg.LinAlgError("Singular matrix"), ZeroDivisionError("by 0")])
def test_what_cannot_be_learned_from_ends_in_the_settings_hours_and_an_override_in_force_is_open(
    world: DeliveryWorld, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def crash(*given: Any) -> None:
        raise error

    put_markets(world, monkeypatch, hours_from_peak=12)
    monkeypatch.setattr("include.peaks.learn_curve", crash)
    found = reader(world).read("us-east-1")
    assert found is not None and found.outlook.source is Source.CONFIGURED and found.outlook.windows
    assert found.outlook.why.startswith(
        f"nothing can be learned from the requests that the metric store has ({type(error).__name__}: {error}): "
        "the settings' hours "
    )
    assert found.level is None and not reader(world).note(found), "nothing new was learned"
    put_override(world, "us-east-1", minutes=30)
    overridden = reader(world).read("us-east-1")
    assert overridden is not None and overridden.answer(world.now()).is_open


def test_a_freeze_and_a_holiday_over_the_change_of_the_clocks(
    world: DeliveryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New York leaves its summer time on 1 November at 2 o'clock; 31 October is lived as a Sunday and frozen from noon
    to the next noon."""
    own = datetime.fromisoformat
    freeze = Freeze(start=own("2026-10-31T12:00"), end=own("2026-11-01T12:00"), why="Halloween")
    app = app_with(monkeypatch, freezes=(freeze,), holidays=(Holiday(day=date(2026, 10, 31), like="sunday"),))
    now = datetime(2026, 10, 30, 23, 0, tzinfo=UTC)

    class NewYork(Market):
        def counts(self, since: datetime, until: datetime, period_seconds: int) -> Counts:
            zone = ZoneInfo("America/New_York")
            first, last = (int(one.timestamp()) // period_seconds for one in (since, until))
            starts = np.arange(first + 1, last, dtype=np.int64) * period_seconds
            clock = [datetime.fromtimestamp(one, zone) for one in starts.tolist()]
            away = np.array([abs((at.hour + at.minute / 60 - 20 + 12) % 24 - 12) for at in clock])
            return Counts(starts, (200 + 800 * np.exp(-0.5 * (away / 3) ** 2)) * period_seconds, period_seconds)

    monkeypatch.setattr("redstart.hooks.fleet.FleetHook.market", lambda *given, **named: NewYork(now, lambda: now))
    found = OutlookReader(app, "prod", world.ledger, lambda: now).read("us-east-1")
    assert found is not None and found.outlook.source is Source.LEARNED
    begin, end = datetime(2026, 10, 31, 16, tzinfo=UTC), datetime(2026, 11, 1, 17, tzinfo=UTC)
    assert all(window.end <= begin or window.start >= end for window in found.outlook.windows)
    assert answer_at(found.outlook, found.rules, begin + timedelta(hours=1)).why.startswith(
        'freeze "Halloween" until Sun 1 Nov 12:00'
    )
    before, after = (
        next(one for one in found.outlook.windows if one.start.date() == day)
        for day in (date(2026, 10, 31), date(2026, 11, 3))
    )
    nights = [one.start.astimezone(ZoneInfo("America/New_York")) for one in (before, after)]
    assert abs(nights[0].hour * 60 + nights[0].minute - nights[1].hour * 60 - nights[1].minute) <= 10
    assert before.start.hour + 1 == after.start.hour, "an hour later by UTC"


@pytest.mark.parametrize(("push_seconds", "are_all_short"), [(600.0, False), (24 * 3600.0, True)])
def test_a_push_knows_where_no_window_holds_one(
    world: DeliveryWorld, monkeypatch: pytest.MonkeyPatch, push_seconds: float, are_all_short: bool
) -> None:
    app = app_with(monkeypatch, at_peak="hold")
    put_markets(world, monkeypatch, hours_from_peak=12)
    found = reader(world).read("us-east-1")
    assert found is not None
    found = replace(found, rules=replace(found.rules, least_seconds=push_seconds))
    assert quiet_of(found, app.prod, world.now()).are_all_short is are_all_short


def test_days_too_few_for_windows_say_nothing_of_the_order(
    world: DeliveryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    markets = put_markets(world, monkeypatch, hours_from_peak=12)
    markets["us-east-1"].days = 3
    young, old = (reader(world).read(region) for region in ("us-east-1", "eu-west-1"))
    assert young is not None and old is not None
    assert (young.level, young.outlook.source) == (None, Source.CONFIGURED)
    assert old.level == pytest.approx(450, rel=0.2)
