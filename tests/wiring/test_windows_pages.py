"""When regions may be pushed: learned by the DAG, kept in the ledger, shown by page and command."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from airflow.sdk.exceptions import AirflowFailException
from typer.testing import CliRunner

from include.apps import load_app
from include.errors import RetryableError
from include.ledger import Event, Kind, Place
from include.ledger.overrides import Override, override_event
from include.peaks import Counts
from redstart.cli.windows import show_windows
from redstart.operators.learn_windows import LearnWindowsOperator
from redstart.operators.outlook import OutlookReader
from redstart.ui.links import ALL_LINKS, WindowsLink, windows_url
from redstart.ui.region_windows import regions_of_ledger, regions_of_now
from tests.conftest import ROOT
from tests.support.dag_run import DagRuns
from tests.support.delivery_world import DeliveryWorld, make_world
from tests.support.station_run import Run
from tests.support.windows_case import MARKETS, evening_traffic
from tests.unit.reports.verdicts import HOSTILE

API = load_app("api")
REGIONS = API.prod.region_names
PAGE = windows_url("api")


@dataclass
class Markets:
    """The metric store's word on each region's requests; while `away` is set, that is what it answers."""

    world: DeliveryWorld
    away: Exception | None = None
    asked: list[str] = field(default_factory=list)
    days: int = 28

    def market(self, region: str) -> Any:
        self.asked.append(region)
        return _Market(self, region)


@dataclass
class _Market:
    markets: Markets
    region: str

    def counts(self, since: datetime, until: datetime, period_seconds: int) -> Counts:
        if self.markets.away is not None:
            raise self.markets.away
        if period_seconds < 900:
            return Counts(np.array([], dtype=np.int64), np.array([]), period_seconds)
        _, zone, peak = MARKETS[self.region]
        return evening_traffic(zone, peak, days=self.markets.days, now=until)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeliveryWorld:
    return make_world(tmp_path, monkeypatch)


@pytest.fixture
def markets(world: DeliveryWorld, monkeypatch: pytest.MonkeyPatch) -> Markets:
    found = Markets(world)
    monkeypatch.setattr(
        "redstart.hooks.fleet.FleetHook.market",
        lambda self, region, balancer="api-main", metric=None: found.market(region),
    )
    return found


def learn(world: DeliveryWorld, region: str = "us-west-2", number: int = 1) -> Any:
    run = Run(world, f"scheduled__{number}", "scheduled")
    return run.do("region.learn_windows", LearnWindowsOperator, region=region)


def learned(world: DeliveryWorld) -> list[Event]:
    return [one.event for one in world.ledger.events(app="api", kinds={Kind.WINDOWS_LEARNED})]


def test_what_was_learned_is_kept_once_and_told(world: DeliveryWorld, markets: Markets) -> None:
    told = learn(world)
    assert (told["region"], told["is_news"], told["source"]) == ("us-west-2", True, "learned")
    assert learn(world, number=2)["is_news"] is False, "cleared or retried: the same windows are kept once"
    (event,) = learned(world)
    assert (event.place, event.who) == (Place("api", "main", "us-west-2"), "api_prod")
    text = "".join(one.read_text() for one in world.storage.rglob("learn_windows-us-west-2.log"))
    assert "learned from 27" in text and "quiet " in text and "noted in the ledger" in text


def test_a_store_that_is_away_fails_the_task_to_be_retried(world: DeliveryWorld, markets: Markets) -> None:
    markets.away = RetryableError("get_metric_data in us-west-2: no answer")
    with pytest.raises(Exception, match="nothing could be learned.*no answer") as found:
        learn(world)
    assert not isinstance(found.value, AirflowFailException), "it is retried"
    assert learned(world) == []


def test_page_wants_a_login(world: DeliveryWorld, pages: Any) -> None:
    assert pages.get(PAGE).status_code == 401


def test_page_shows_what_the_ledger_was_told_and_asks_nobody_else(
    world: DeliveryWorld, markets: Markets, pages: Any, login: Any
) -> None:
    for region in REGIONS:
        learn(world, region)
    markets.asked.clear()
    markets.away = AssertionError("no page asks AWS")
    answer = pages.get(PAGE, headers=login("viewer"))
    assert answer.status_code == 200 and markets.asked == []
    for words in (*REGIONS, "America/Los_Angeles", "In the ledger since", "this order: eu-west-1, then us-west-2"):
        assert words in answer.text
    assert "unsafe-inline" not in answer.headers["content-security-policy"]
    assert '<style nonce="' in answer.text and "../../dags/api_override" in answer.text
    body = pages.get(PAGE, headers=login("viewer") | {"Accept": "application/json"}).json()
    assert [one["region"] for one in body["regions"]] == list(REGIONS)
    assert body["regions"][0]["learned_at"] and body["regions"][0]["windows"]


def test_page_shows_an_override_and_a_region_that_was_never_learned(
    world: DeliveryWorld, markets: Markets, pages: Any, login: Any
) -> None:
    learn(world, "eu-west-1")
    place = Place("api", "main", "eu-west-1")
    override = Override(place, "ada", "users are hurt", world.now(), world.now() + timedelta(hours=1))
    world.ledger.record(override_event(override, "k"))
    body = pages.get(PAGE, headers=login("viewer") | {"Accept": "application/json"}).json()
    states = {one["region"]: one["state"] for one in body["regions"]}
    assert states == {"us-east-1": "unknown", "us-west-2": "unknown", "eu-west-1": "overridden"}
    page = pages.get(PAGE, headers=login("viewer")).text
    assert "ada lets pushes begin until" in page and "The ledger has no windows of it yet" in page


@pytest.mark.parametrize("name", ["nobody", "..%2fapi", "API"])
def test_there_is_no_other_application(world: DeliveryWorld, pages: Any, login: Any, name: str) -> None:
    assert pages.get(f"/redstart/windows/{name}", headers=login("viewer")).status_code == 404


def test_an_application_without_windows_says_so(world: DeliveryWorld, pages: Any, login: Any) -> None:
    assert load_app("billing").prod.windows is None
    assert "its pushes begin at any time" in pages.get(windows_url("billing"), headers=login("viewer")).text


def test_a_ledger_that_is_away_is_said(pages: Any, login: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_REDSTART_LEDGER", f'{{"conn_type": "sqlite", "host": "{tmp_path}/no/ledger.db"}}')
    answer = pages.get(PAGE, headers=login("viewer"))
    assert answer.status_code == 503
    assert "The ledger does not answer" in answer.json()["detail"]


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_words_in_the_ledger_stay_data(
    world: DeliveryWorld, markets: Markets, pages: Any, login: Any, words: str
) -> None:
    learn(world)
    (event,) = learned(world)
    freeze = [world.now().isoformat(), (world.now() + timedelta(hours=2)).isoformat(), words]
    world.ledger.record(replace(event, key="k", data={**event.data, "why": words, "freezes": [freeze]}))
    override = Override(event.place, words, words, world.now(), world.now() + timedelta(hours=1))
    world.ledger.record(override_event(override, "o"))
    page = pages.get(PAGE, headers=login("viewer")).text.lower()
    assert "<img" not in page and "<script" not in page
    assert "open by override" in page


def test_what_no_version_can_read_is_passed_over(world: DeliveryWorld, markets: Markets) -> None:
    learn(world)
    (event,) = learned(world)
    for number, data in enumerate(({"schema": 99}, {}, {**event.data, "curve": {"level_rps": [1]}})):
        world.ledger.record(replace(event, key=f"k{number}", at=world.now(), data=data))
    west = regions_of_ledger(API, world.ledger, world.now())[1]
    assert west.outlook is not None and west.windows


def test_of_the_ledger_and_of_now_say_the_same(world: DeliveryWorld, markets: Markets) -> None:
    for region in REGIONS:
        learn(world, region)
    now = world.now()
    kept, fresh = regions_of_ledger(API, world.ledger, now), regions_of_now(API, world.ledger, now)
    assert [one.wave for one in kept] == [one.wave for one in fresh] == [3, 2, 1]
    for before, after in zip(kept, fresh, strict=True):
        assert before.state(now) is after.state(now)
        assert [one.start for one in before.windows] == [one.start.replace(microsecond=0) for one in after.windows]
    assert [one.learned_at is None for one in fresh] == [True] * 3 and fresh[0].counted is not None


@pytest.fixture
def command(world: DeliveryWorld, markets: Markets, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Arguments -> the command's result."""
    monkeypatch.setattr("redstart.cli.windows.open_ledger", lambda: world.ledger)
    app = typer.Typer()
    app.command()(show_windows)
    return lambda *words: CliRunner().invoke(app, list(words))


def test_command_draws_and_writes_nothing(world: DeliveryWorld, command: Any) -> None:
    found = command("api", "--days", "2")
    assert found.exit_code == 0, found.output
    for words in (*REGIONS, "wave 1", "▼ now", "█", "this order: eu-west-1, then us-west-2, then us-east-1"):
        assert words in found.output
    assert "\x1b" not in found.output and learned(world) == []


def test_command_of_one_region_asks_for_no_other(markets: Markets, command: Any) -> None:
    found = command("api", "--region", "eu-west-1", "--json")
    body = json.loads(found.output)
    assert [one["region"] for one in body["regions"]] == ["eu-west-1"] == list(dict.fromkeys(markets.asked))
    assert body["regions"][0]["wave"] is None and body["regions"][0]["source"] == "learned"


def test_command_writes_the_page(command: Any, tmp_path: Path) -> None:
    file = tmp_path / "windows.html"
    assert command("api", "--html", str(file)).exit_code == 0
    assert "the last 24 h as they were" in file.read_text()
    found = command("api", "--html", str(tmp_path / "no" / "windows.html"))
    assert found.exit_code == 2 and "cannot be written" in found.output


def test_command_says_what_is_wrong(command: Any, markets: Markets) -> None:
    assert "runs in us-east-1" in command("api", "--region", "mars-1").output
    assert "there are api" in command("nobody").output
    assert "its pushes begin at any time" in command("billing").output
    markets.away = RetryableError("get_metric_data: no answer")
    found = command("api")
    assert found.exit_code == 0 and "does not answer" in found.output and "01:00-07:00" in found.output


@pytest.fixture(scope="module")
def dags(airflow_db: Path) -> Any:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(ROOT / "dags" / "windows.py"))
    assert bag.import_errors == {}
    return bag.dags


def test_every_application_with_windows_learns_them_daily(dags: Any) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    assert {"api_windows", "search_windows"} == set(dags), "billing has no windows"
    for dag in dags.values():
        stored = DagSerialization.from_dict(DagSerialization.to_dict(dag))
        assert stored.max_active_runs == 1 and not stored.catchup
        assert stored.timetable.summary.startswith("7 4 * * *")
        (task,) = dag.tasks
        assert task.retries >= 1 and {"clear", "retry"} <= set(task.doc_md.lower().replace("*", " ").split())
        assert WindowsLink.name in {link.name for link in task.operator_extra_links}
        assert "/redstart/windows/" in dag.doc_md and dag.tags >= {"windows"}
    assert WindowsLink.name in {link.name for link in ALL_LINKS}


def test_a_run_learns_every_region_and_page_and_bot_know(
    airflow_db: Path, world: DeliveryWorld, markets: Markets, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = DagRuns(monkeypatch)
    states = run("api_windows")
    assert states["run"] == "success", states
    assert {ti.rendered_map_index for ti in run.run.get_task_instances()} == set(REGIONS)
    assert {one.place.region for one in learned(world)} == set(REGIONS)
    reader = OutlookReader(API, "prod", world.ledger)
    markets.away = RetryableError("get_metric_data: no answer")
    found = reader.read("us-west-2")
    assert found is not None and found.level, "a push that finds the store away has the curve of today"
