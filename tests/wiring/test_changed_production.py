"""A verdict holds for its pair: what was judged, against what was in production then."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.fleet import ClusterRef
from redstart.operators.canary import ChooseBaselineOperator
from tests.support.delivery_world import CLUSTER, DeliveryWorld, few_pairs, make_world
from tests.support.fake_fleet import Killed
from tests.support.station_run import Run

REGION, LATER = "us-east-1", "us-west-2"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeliveryWorld:
    found = make_world(tmp_path, monkeypatch)
    found.metrics.pairs = few_pairs()
    return found


@pytest.fixture
def run(world: DeliveryWorld) -> Run:
    """A run whose canary was judged, and is gone."""
    started = Run(world)
    started.given_images()
    judge(started)
    return started


def judge(run: Run) -> None:
    run.launch()
    run.soak()
    run.stop()
    run.world.sleep(10)


def deploy(world: DeliveryWorld, region: str, image: str) -> None:
    """Somebody brings another version into production, past this flow."""
    fleet = world.fleets[region]
    old = next(name for name, weight in fleet.listener.items() if weight > 0)
    fleet.seed(ClusterRef(*CLUSTER, region), "api-main-v009", image, 3)
    fleet.listener[old] = 0


def test_what_is_in_production_is_written_down(run: Run) -> None:
    recorded = {region: [f"ami-old-{region}"] for region in run.world.fleets}
    assert run.results["canary.choose_baseline"]["production"] == recorded
    assert run.results["canary.launch_canary"]["production"] == recorded


@pytest.mark.parametrize("region", [REGION, LATER])
def test_gate_refuses_when_production_has_changed(run: Run, region: str) -> None:
    assert run.gate()["go"]
    deploy(run.world, region, "ami-hotfix")
    with pytest.raises(AirflowFailException) as caught:
        run.gate()
    words = str(caught.value)
    for part in (region, "ami-hotfix", f"ami-old-{region}", f"ami-{region}", "clear canary.choose_baseline"):
        assert part in words


def test_push_refuses_a_region_that_changed_after_the_gate(run: Run) -> None:
    run.gate()
    run.push(REGION)
    deploy(run.world, LATER, "ami-hotfix")
    with pytest.raises(AirflowFailException, match=r"Production changed: us-west-2 now serves ami-hotfix"):
        run.push(LATER)
    assert "api-main-v010" not in run.world.fleets[LATER].records


def test_interrupted_push_is_no_change_of_production(run: Run) -> None:
    run.gate()

    def die(done: str, moment: str) -> None:
        if moment == "after" and done.startswith("modify_listener"):
            run.world.fleets[REGION].hook = lambda call, moment: None
            raise Killed

    run.world.fleets[REGION].hook = die
    with pytest.raises(Killed):
        run.push(REGION)
    assert run.gate()["go"]
    run.push(REGION)
    assert run.gate()["go"], "what serves is the new version now"


def test_new_baseline_is_judged_in_a_soak_of_its_own(run: Run) -> None:
    first = run.results["canary.launch_canary"]
    deploy(run.world, REGION, "ami-hotfix")
    judge(run)
    second = run.results["canary.launch_canary"]
    assert (second["baseline_image"], second["image"]) == ("ami-hotfix", first["image"])
    assert second["soak_start"] > first["soak_end"]
    assert run.gate()["go"]
    run.push(REGION)


def test_change_elsewhere_is_judged_again_too(run: Run) -> None:
    first = run.results["canary.launch_canary"]
    deploy(run.world, LATER, "ami-hotfix")
    judge(run)
    assert run.results["canary.launch_canary"]["soak_start"] > first["soak_end"]
    assert run.gate()["go"]


def test_baseline_cleared_after_the_first_region_was_pushed_needs_no_new_soak(run: Run) -> None:
    run.gate()
    run.push(REGION)
    first = run.results["canary.launch_canary"]
    judge(run)
    assert run.results["canary.launch_canary"] == first
    assert run.gate()["go"]


def test_baseline_looked_at_alone_does_not_lend_the_verdict_to_it(run: Run) -> None:
    deploy(run.world, REGION, "ami-hotfix")
    run.do("canary.choose_baseline", ChooseBaselineOperator)
    with pytest.raises(AirflowFailException, match="Production changed"):
        run.gate()


def test_run_from_before_production_was_recorded_knows_its_baseline(run: Run) -> None:
    for task_id in ("canary.choose_baseline", "canary.launch_canary"):
        run.results[task_id] = {key: value for key, value in run.results[task_id].items() if key != "production"}
    assert run.gate()["go"]
    deploy(run.world, REGION, "ami-hotfix")
    with pytest.raises(AirflowFailException, match="Production changed"):
        run.gate()
