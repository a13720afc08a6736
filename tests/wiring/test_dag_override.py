"""Letting pushes begin outside of their windows, as Airflow sees it: the form, its task, and a delivery that waits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.apps import load_app
from include.ledger import Kind, Place
from include.ledger.overrides import override_in_force
from redstart.operators.override import OverrideWindowsOperator
from redstart.sensors.quiet_window import QuietWindowSensor
from redstart.triggers.quiet_window import QuietWindowTrigger
from tests.conftest import ROOT
from tests.support.dag_run import DagRuns
from tests.support.delivery_world import DeliveryWorld, make_world
from tests.support.market_world import end_overrides, put_markets
from tests.support.station_run import Run

FIRST, SECOND, THIRD = load_app("api").prod.region_names
FORM = {"regions": [FIRST], "reason": "the fix cannot wait"}


@pytest.fixture(scope="module")
def dags(airflow_db: Path) -> Any:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(ROOT / "dags"))
    assert bag.import_errors == {}
    return bag.dags


@pytest.fixture(scope="module")
def form(dags: Any) -> Any:
    from airflow.serialization.serialized_objects import DagSerialization

    return DagSerialization.from_dict(DagSerialization.to_dict(dags["api_override"])).params


def test_it_is_one_task_behind_the_click_and_never_paused(dags: Any) -> None:
    dag = dags["api_override"]
    assert set(dag.task_dict) == {"override_windows"}
    assert not dag.timetable.can_be_scheduled and dag.is_paused_upon_creation is False
    assert "/redstart/windows/api" in dag.doc_md and "./redstart override" in dag.doc_md
    task = dag.get_task("override_windows")
    assert task.retries >= 1 and "clear" in task.doc_md.lower()


def test_applications_without_windows_have_none(dags: Any) -> None:
    without = [name for name in ("billing", "search") if load_app(name).prod.windows is None]
    assert all(f"{name}_override" not in dags for name in without)


@pytest.mark.parametrize(
    "conf",
    [
        {"regions": []},
        {"regions": ["ap-south-1"]},
        {"reason": ""},
        {"reason": "no"},
        {"reason": "x" * 501},
        {"minutes": 4},
        {"minutes": 721},
        {"minutes": "soon"},
    ],
    ids=str,
)
def test_form_refuses_what_cannot_be_meant(form: Any, conf: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(conf))):
        form.deep_merge({**FORM, **conf}).validate()


def test_form_asks_only_where_and_why(form: Any) -> None:
    assert form.deep_merge(FORM).validate() == {**FORM, "minutes": 60}


def test_waiting_task_leads_to_the_form_and_to_the_windows(dags: Any) -> None:
    from redstart_plugin import RedstartPlugin

    shown = {link.name for link in RedstartPlugin.operator_extra_links}
    task = QuietWindowSensor(task_id="await_quiet_window", app="api", region=FIRST)
    links = {link.name: link for link in task.operator_extra_links}
    key: Any = SimpleNamespace(dag_id="api_prod", run_id="manual__1", task_id="push.await_quiet_window")
    assert set(links) <= shown
    assert links["Push now"].get_link(task, ti_key=key) == "/dags/api_override"
    assert links["Windows"].get_link(task, ti_key=key) == "/redstart/windows/api"
    assert "api_override" in dags


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeliveryWorld:
    found = make_world(tmp_path, monkeypatch)
    end_overrides(found)
    return found


def override_run(world: DeliveryWorld, run_id: str = "manual__override", **form: Any) -> Callable[[], Any]:
    """A run of the form; called again, it is a retry or a clear."""
    run = Run(world, run_id)
    run.form = {**FORM, "minutes": 60, **form}

    def again() -> Any:
        context = run.context("override_windows")
        context["dag_run"] = SimpleNamespace(
            dag_id="api_override", run_type="manual", run_after=world.now(), triggering_user_name="ana"
        )
        return OverrideWindowsOperator(task_id="override_windows", app="api").execute(context)

    return again


def test_the_form_is_in_the_ledger_with_the_name_of_who_filled_it_in(world: DeliveryWorld) -> None:
    told = override_run(world, regions=[THIRD, FIRST])()
    assert set(told["until"]) == {FIRST, THIRD}
    for region in (FIRST, THIRD):
        found = override_in_force(world.ledger, Place("api", "main", region), world.now())
        assert found is not None
        assert (found.who, found.why) == ("ana", "the fix cannot wait")
        assert found.until.isoformat(timespec="seconds") == told["until"][region]
    assert override_in_force(world.ledger, Place("api", "main", SECOND), world.now()) is None


def test_cleared_it_is_the_same_fact_and_its_time_does_not_begin_again(world: DeliveryWorld) -> None:
    run = override_run(world)
    first = run()
    world.sleep(1800)
    assert run() == first
    kept = world.ledger.events(place=Place("api", "main", FIRST), kinds={Kind.WINDOW_OVERRIDDEN})
    assert sum(1 for one in kept if one.event.who == "ana" and "wait" in one.event.why and one.event.run) == 1
    world.sleep(1801)
    assert override_in_force(world.ledger, Place("api", "main", FIRST), world.now()) is None


def test_a_region_that_is_not_served_is_refused(world: DeliveryWorld) -> None:
    with pytest.raises(AirflowFailException, match="nothing to override"):
        override_run(world, regions=["ap-south-1"])()


def test_a_delivery_waits_for_its_windows_and_on_call_lets_one_region_begin(
    airflow_db: Path, world: DeliveryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FIRST waits for its peak's end, is let begin by the form, and the others follow in their windows."""
    markets = put_markets(world, monkeypatch, hours_from_peak=12)
    markets[FIRST].peak = world.now() + timedelta(minutes=10)
    run, waits = DagRuns(monkeypatch), []
    defer = QuietWindowSensor.defer

    def note(self: Any, **asked: Any) -> Any:
        if isinstance(asked["trigger"], QuietWindowTrigger):
            waits.append((self.region, datetime.fromtimestamp(asked["trigger"].opens_epoch, world.now().tzinfo)))
            if len(waits) == 3:
                override_run(world)()
        return defer(self, **asked)

    monkeypatch.setattr(QuietWindowSensor, "defer", note)
    states = run()
    assert states["run"] == "success", states
    assert {region for region, _ in waits} == {FIRST}
    assert len({opens for _, opens in waits}) <= 3 and len(waits) == 3
    assert world.serving() == {region: {world.commit} for region in world.fleets}
    started = {one.event.place.region: one.event.at for one in world.ledger.events(kinds={Kind.PUSH_STARTED})}
    assert set(started) == set(world.fleets)
