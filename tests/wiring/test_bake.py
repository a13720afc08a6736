"""bake_image through its operator: what it bakes, for whom, and what it says when it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.apps import load_app
from redstart.operators.bake import BakeImageOperator, accounts_of
from tests.support.delivery_world import DeliveryWorld, make_world
from tests.support.station_run import Run

APP = load_app("api")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeliveryWorld:
    return make_world(tmp_path, monkeypatch)


def test_images_are_for_every_environments_region_and_account(world: DeliveryWorld) -> None:
    run = Run(world)
    run.form = {"regions": [APP.prod.region_names[-1]]}
    run.until_baked()
    made = run.results["build.bake_image"]
    assert tuple(made["images"]) == APP.image_regions, "whatever regions this run pushes"
    assert accounts_of(APP) == ("210987654321",)
    for region, image_id in made["images"].items():
        assert world.workshops[region].shared == {image_id: {"210987654321"}}


def test_a_refused_copy_fails_the_task_with_what_to_do_and_clear_goes_on(world: DeliveryWorld) -> None:
    run, last = Run(world), APP.image_regions[-1]
    world.workshops[last].levers.refuses["copy_image"] = "UnauthorizedOperation: the role may not ec2:CopyImage"
    with pytest.raises(AirflowFailException, match=rf"not ready in {last} .*clear this task"):
        run.until_baked()
    world.workshops[last].levers.refuses.clear()
    images = run.do("build.bake_image", BakeImageOperator)["images"]
    assert set(images) == set(APP.image_regions) and world.workshops[APP.image_regions[0]].launched == 1


def test_a_builder_that_never_stops_ends_within_the_tasks_time(world: DeliveryWorld) -> None:
    home = APP.image_regions[0]
    world.workshops[home].levers.never_stops = True
    with pytest.raises(AirflowFailException, match=f"{APP.bake.timeout_seconds} s after its launch, and was ended"):
        Run(world).until_baked()
    assert world.workshops[home].builders == {}
    task = BakeImageOperator(task_id="bake_image", app="api")
    assert task.execution_timeout.total_seconds() > 3 * APP.bake.timeout_seconds
