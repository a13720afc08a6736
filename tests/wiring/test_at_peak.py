"""A push that is overtaken by its market's peak: finished, held or taken back, as the settings say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from include.apps import load_app
from include.apps.delivery import run_key
from include.errors import RetryableError
from include.fleet.tags import FAILED, PAUSED
from include.ledger import Kind, Place
from include.peaks import Window
from redstart.operators.outlook import OutlookReader
from redstart.operators.rollback import RollBackPushOperator
from redstart.triggers.quiet_window import QuietWindowTrigger
from tests.support.delivery_world import DeliveryWorld, make_world
from tests.support.market_world import Market, end_overrides, put_markets, put_override, with_windows
from tests.support.station_run import Run

FIRST = load_app("api").prod.region_names[0]
PLACE = Place("api", "main", FIRST)
WATCH_SECONDS = 60
SLOW_SECONDS = 240.0
"""So much longer than usual the traffic's switch takes: the push ends after its window."""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeliveryWorld:
    found = make_world(tmp_path, monkeypatch)
    monkeypatch.setenv("AIRFLOW_VAR_REDSTART_WATCH_SECONDS", str(WATCH_SECONDS))
    monkeypatch.setattr("redstart.operators.watch.make_watch", lambda *_: sound(found))
    return found


@pytest.fixture
def markets(world: DeliveryWorld, monkeypatch: pytest.MonkeyPatch) -> dict[str, Market]:
    end_overrides(world)
    return put_markets(world, monkeypatch, hours_from_peak=12)


@pytest.fixture
def run(world: DeliveryWorld, markets: dict[str, Market]) -> Run:
    found = Run(world).after_canary()
    found.results["order_regions"]["waves"] = [[FIRST]]
    return found


def sound(world: DeliveryWorld) -> Any:
    from include.redblack.look import Finding, Watched

    return lambda request: Watched(Finding.SOUND, world.now())


def windows(run: Run) -> tuple[Window, ...]:
    found = OutlookReader(load_app("api"), "prod", run.world.ledger, run.world.now).read(FIRST)
    assert found is not None
    return found.outlook.windows


def to(run: Run, moment: datetime) -> None:
    run.world.sleep((moment - run.world.now()).total_seconds())


def begin_late(run: Run) -> Window:
    """Claimed in time, with as much left of the window as a push takes."""
    window = windows(run)[0]
    to(run, window.end - timedelta(seconds=320))
    run.claim(FIRST)
    return window


def slow_to_share(run: Run) -> None:
    """The listener's change takes minutes, and the push is overtaken while both groups serve."""
    fleet = run.world.fleets[FIRST]

    def delay(call: str, moment: str) -> None:
        if call == "modify_listener" and moment == "after" and sum(1 for one in fleet.listener.values() if one) == 2:
            fleet.hook = lambda call, moment: None
            run.world.sleep(SLOW_SECONDS)

    fleet.hook = delay


def held(run: Run, deed: Callable[[str], Any]) -> QuietWindowTrigger:
    with pytest.raises(TaskDeferred) as caught:
        deed(FIRST)
    trigger = caught.value.trigger
    assert isinstance(trigger, QuietWindowTrigger)
    lease = run.world.ledger.lease(PLACE)
    assert lease is not None
    assert lease.until.timestamp() > trigger.opens_epoch + 60, "it stays this push's meanwhile"
    return trigger


def shares(run: Run) -> int:
    return sum(1 for weight in run.world.fleets[FIRST].listener.values() if weight)


def account(run: Run) -> str:
    return (run.world.storage / "pushes" / "api" / run_key(run.run_id) / f"{FIRST}.log").read_text()


def red_tags(run: Run) -> dict[str, str]:
    return run.world.fleets[FIRST].records["api-main-v001"].tags


def test_a_push_that_is_overtaken_is_finished_where_nothing_else_is_said(run: Run, markets: dict[str, Market]) -> None:
    begin_late(run)
    slow_to_share(run)
    read = len(markets[FIRST].reads)
    run.switch(FIRST)
    run.watch(FIRST)
    assert run.world.serving()[FIRST] == {run.world.commit}
    assert len(markets[FIRST].reads) == read, "nobody asks for what changes nothing"


def test_with_hold_it_is_held_beside_the_old_group_until_it_is_quiet_again(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_windows(monkeypatch, at_peak="hold")
    window, following = begin_late(run), windows(run)[1]
    slow_to_share(run)
    trigger = held(run, run.switch)
    assert shares(run) == 2 and red_tags(run)[PAUSED]
    assert trigger.opens_epoch <= run.world.now().timestamp() + 60, "users are on it: it may go bad"
    assert "its quiet time ends at" in account(run) and "quiet again" in account(run)
    run.world.sleep(61)
    held(run, run.switch)
    to(run, window.end + timedelta(hours=3))
    held(run, run.switch)
    assert shares(run) == 2
    to(run, following.start + timedelta(minutes=10))
    run.switch(FIRST)
    run.watch(FIRST)
    assert run.world.serving()[FIRST] == {run.world.commit}


def test_with_hold_nothing_is_launched_once_the_window_is_too_short(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with_windows(monkeypatch, at_peak="hold")
    window, following = begin_late(run), windows(run)[1]
    to(run, window.end - timedelta(seconds=10))
    trigger = held(run, run.switch)
    assert "api-main-v001" not in run.world.fleets[FIRST].records
    assert trigger.opens_epoch == pytest.approx(run.world.now().timestamp() + 3600, abs=5), "settings may change"
    to(run, following.start + timedelta(minutes=10))
    run.switch(FIRST)
    assert run.world.serving()[FIRST] == {run.world.commit}


def test_a_held_push_goes_on_when_on_call_overrides(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with_windows(monkeypatch, at_peak="hold")
    begin_late(run)
    slow_to_share(run)
    held(run, run.switch)
    run.world.sleep(3600)
    put_override(run.world, FIRST, minutes=30)
    run.switch(FIRST)
    run.watch(FIRST)
    assert run.world.serving()[FIRST] == {run.world.commit}


@pytest.mark.parametrize("at_peak", ["hold", "roll_back"])
def test_what_an_override_let_begin_is_not_stopped_by_its_end(
    run: Run, monkeypatch: pytest.MonkeyPatch, at_peak: str
) -> None:
    with_windows(monkeypatch, at_peak=at_peak)
    to(run, windows(run)[0].end + timedelta(hours=1))
    put_override(run.world, FIRST, minutes=5)
    run.claim(FIRST)
    run.world.sleep(600)
    run.switch(FIRST)
    run.watch(FIRST)
    assert run.world.serving()[FIRST] == {run.world.commit}


def test_with_roll_back_it_goes_back_and_says_why(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with_windows(monkeypatch, at_peak="roll_back")
    begin_late(run)
    slow_to_share(run)
    with pytest.raises(AirflowFailException, match=f"the peak of {FIRST}"):
        run.switch(FIRST)
    assert run.world.serving()[FIRST] == {""}
    failed = run.world.ledger.events(place=PLACE, kinds={Kind.PUSH_FAILED})
    assert len(failed) == 1 and "the peak of" in failed[0].event.why


def test_with_roll_back_red_alone_goes_back_to_the_group_that_is_still_warm(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = begin_late(run)
    run.switch(FIRST)
    with_windows(monkeypatch, at_peak="roll_back")
    to(run, window.end - timedelta(seconds=30))
    with pytest.raises(AirflowFailException, match=f"the peak of {FIRST}"):
        run.watch(FIRST)
    assert run.world.serving()[FIRST] == {""}


def test_a_store_that_is_away_mid_push_stops_nothing(
    run: Run, markets: dict[str, Market], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_windows(monkeypatch, at_peak="roll_back")
    to(run, windows(run)[0].end - timedelta(hours=3))
    run.claim(FIRST)
    markets[FIRST].away = RetryableError("GetMetricData: no answer")
    run.switch(FIRST)
    run.watch(FIRST)
    assert run.world.serving()[FIRST] == {run.world.commit}


def test_the_way_back_of_a_failed_task_asks_for_no_windows(
    run: Run, markets: dict[str, Market], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_windows(monkeypatch, at_peak="hold")
    begin_late(run)
    slow_to_share(run)
    held(run, run.switch)
    read = len(markets[FIRST].reads)
    summary = run.do("push.roll_back", RollBackPushOperator, region=FIRST)["summary"]
    assert "rolled back" in str(summary) and len(markets[FIRST].reads) == read
    assert run.world.serving()[FIRST] == {""}
    assert "api-main-v001" not in run.world.fleets[FIRST].records or red_tags(run)[FAILED]
