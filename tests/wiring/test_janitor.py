"""The sweep, task by task, in a world without Airflow's database: what goes, what stays, and what is written down."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.api.datamodels._generated import DagRunState

from include.apps import load_app
from include.apps.delivery import flow_key
from include.errors import RefusedError, RetryableError
from include.fleet import BuilderSpec, ClusterRef, Image
from include.ledger import EVERY_REGION, Claim, Event, Holder, Kind, Place
from redstart.operators.bake import BakeImageOperator
from redstart.operators.janitor import FreeLocksOperator, SweepClusterOperator
from redstart.operators.janitor_images import SweepImagesOperator
from tests.support.delivery_world import DeliveryWorld, few_pairs, make_world
from tests.support.fake_fleet import Killed
from tests.support.station_run import Run, Ti

APP = load_app("api")
FIRST, SECOND, THIRD = APP.prod.region_names
PLACE, LINE = Place("api", "main", FIRST), Place("api", "main", EVERY_REGION)


class Airflow(Ti):
    """`runs`: (DAG, run id) -> state."""

    def __init__(self, runs: dict[tuple[str, str], str], *arguments: Any) -> None:
        super().__init__(*arguments)
        self.runs = runs

    def get_task_states(self, *, dag_id: str, task_ids: list[str]) -> dict[str, dict[str, str]]:
        return {run_id: {task_ids[0]: "success"} for dag, run_id in self.runs if dag == dag_id}

    def get_dagrun_state(self, dag_id: str, run_id: str) -> DagRunState:
        return DagRunState(self.runs[dag_id, run_id])


class Sweep(Run):
    """A run of api_janitor."""

    def __init__(self, world: DeliveryWorld, number: int = 1) -> None:
        super().__init__(world, f"scheduled__{number}", "scheduled")
        self.runs: dict[tuple[str, str], str] = {("api_janitor", self.run_id): "running"}

    def context(self, task_id: str = "") -> Any:
        told = super().context(task_id)
        run = SimpleNamespace(run_type="scheduled", dag_id="api_janitor", run_after=self.world.now())
        return {**told, "ti": Airflow(self.runs, self.results, task_id, 1), "dag_run": run}

    def locks(self) -> Any:
        return self.do("free_locks", FreeLocksOperator)

    def cluster(self, region: str = FIRST, environment: str = "prod") -> Any:
        return self.do("cluster.sweep", SweepClusterOperator, environment=environment, region=region)

    def images(self) -> Any:
        return self.do("sweep_images", SweepImagesOperator)

    def account(self, name: str) -> str:
        return next(self.world.storage.glob(f"stations/api/janitor-{self.run_id}/*{name}*.log")).read_text()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeliveryWorld:
    found = make_world(tmp_path, monkeypatch)
    found.metrics.pairs = few_pairs()
    for fleet in found.fleets.values():
        fleet.rps = 100.0
    return found


def calls_of(world: DeliveryWorld) -> list[str]:
    """Every call that changes something in any fleet or workshop, from now on."""
    heard: list[str] = []
    for thing in (*world.fleets.values(), *world.elsewhere.values(), *world.workshops.values()):
        thing.hook = lambda call, moment: heard.append(call)  # type: ignore[attr-defined,union-attr]
    return heard


def facts(world: DeliveryWorld, *kinds: Kind) -> list[Event]:
    return [one.event for one in world.ledger.events(app="api", kinds=kinds)]


# --- groups


@pytest.fixture
def pushed(world: DeliveryWorld) -> Run:
    run = Run(world).after_canary()
    run.push(FIRST)
    return run


def test_black_goes_when_its_time_is_over(pushed: Run) -> None:
    world, sweep = pushed.world, Sweep(pushed.world)
    told = sweep.cluster()
    assert (told["deleted"], told["stays"]) == ([], ["api-main-v000"])
    assert "nothing to delete" in told["summary"]
    world.sleep(4 * 3600)
    assert sweep.cluster()["deleted"] == ["api-main-v000"]
    world.sleep(10)
    assert list(world.fleets[FIRST].listener) == ["api-main-v001"]
    assert world.ledger.lease(PLACE) is None
    assert "instance-hours" in sweep.account("prod-us-east-1")
    (gone,) = facts(world, Kind.BLACK_DELETED)
    assert gone.place == PLACE and gone.data["group"] == "api-main-v000" and gone.data["instances"] == 3
    assert gone.data["instance_hours"] == pytest.approx(12, abs=0.2) and "4.0 h are kept" in gone.why


def test_a_dry_run_says_what_would_go_and_changes_nothing(pushed: Run) -> None:
    world, sweep = pushed.world, Sweep(pushed.world)
    world.sleep(4 * 3600)
    sweep.form = {"dry_run": True}
    orphan_line(world)
    heard, known = calls_of(world), len(world.ledger.events())
    assert sweep.cluster()["deleted"] == ["api-main-v000"]
    assert sweep.locks()["freed"] == [str(LINE)]
    sweep.images()
    assert heard == [] and len(world.ledger.events()) == known and world.ledger.lease(LINE)
    assert "api-main-v000 goes" in sweep.account("prod-us-east-1")
    assert "dry run, nothing was deleted" in sweep.account("sweep_images")


def test_locked_cluster_is_swept_the_next_time(pushed: Run) -> None:
    world = pushed.world
    world.sleep(4 * 3600)
    claim = Claim("person-bob", Holder.PERSON, "bob", "looks at a heap dump", 3600)
    world.ledger.claim(PLACE, claim, world.now())
    for dry in (False, True):
        sweep = Sweep(world)
        sweep.form = {"dry_run": dry}
        assert "bob" in sweep.cluster()["summary"]
    assert "api-main-v000" in world.fleets[FIRST].records


def test_another_environments_cluster_is_swept_by_its_own_rules(world: DeliveryWorld) -> None:
    test = world.fleet("api-test", FIRST)
    test.seed(ClusterRef("api", "test", FIRST), "api-test-v001", "ami-b", 1)
    test.seed(ClusterRef("api", "test", FIRST), "api-test-v000", "ami-a", 1, weight=0)
    test.records["api-test-v000"].tags["redstart:black-since"] = (test.now - timedelta(hours=1.5)).isoformat()
    told = Sweep(world).cluster(environment="test")
    assert told["deleted"] == ["api-test-v000"] and told["environment"] == "test"
    assert facts(world, Kind.BLACK_DELETED)[0].place == Place("api", "test", FIRST)


def canary_of(world: DeliveryWorld) -> Run:
    """A run whose canary soaks, and whose teardown never comes."""
    run = Run(world)
    run.given_images()
    run.launch()
    return run


@pytest.mark.parametrize(
    ("state", "goes"), [("running", False), ("queued", False), ("failed", True), ("success", True)]
)
def test_an_orphaned_canary_goes_and_one_of_a_run_under_way_stays(world: DeliveryWorld, state: str, goes: bool) -> None:
    run, sweep = canary_of(world), Sweep(world)
    sweep.runs["api_prod", run.run_id] = state
    world.sleep(240 + 3700)
    told = sweep.cluster()
    world.sleep(10)
    roles = [] if goes else ["baseline", "canary"]
    assert world.roles(FIRST) == [*roles, "main"]
    assert sum(world.fleets[FIRST].listener.values()) > 0
    assert len(told["deleted"]) == len(facts(world, Kind.CANARY_DELETED)) == (2 if goes else 0)
    if not goes:
        assert f"its run {flow_key('api_prod', run.run_id)} is under way" in sweep.account("prod-us-east-1")


def test_a_canary_is_left_to_its_run_for_an_hour(world: DeliveryWorld) -> None:
    run, sweep = canary_of(world), Sweep(world)
    sweep.runs["api_prod", run.run_id] = "failed"
    world.sleep(1800)
    assert sweep.cluster()["deleted"] == []
    assert world.roles(FIRST) == ["baseline", "canary", "main"]


def test_a_sweep_that_is_killed_at_any_call_is_finished_by_its_next_try(world: DeliveryWorld) -> None:
    run, sweep = canary_of(world), Sweep(world)
    sweep.runs["api_prod", run.run_id] = "failed"
    world.sleep(240 + 3700)
    kills = 0
    for point in range(40):
        seen: list[str] = []

        def hook(call: str, moment: str, point: int = point, seen: list[str] = seen) -> None:
            seen.append(call)
            if len(seen) == point + 1:
                raise Killed

        world.fleets[FIRST].hook = hook
        try:
            sweep.cluster()
            break
        except Killed:
            kills += 1
    world.fleets[FIRST].hook = lambda call, moment: None
    world.sleep(10)
    assert kills > 3 and world.roles(FIRST) == ["main"]


# --- locks


def orphan_line(world: DeliveryWorld) -> None:
    claim = Claim("manual__7", Holder.PUSH, "bob", "run manual__7 of api_prod delivers 1.2", 36 * 3600)
    world.ledger.claim(LINE, claim, world.now())


@pytest.mark.parametrize(("state", "freed"), [("running", []), ("failed", [str(LINE)])])
def test_the_way_into_production_is_freed_when_its_run_is_over(
    world: DeliveryWorld, state: str, freed: list[str]
) -> None:
    orphan_line(world)
    sweep = Sweep(world)
    sweep.runs["api_prod", "manual__7"] = state
    assert sweep.locks()["freed"] == freed
    assert (world.ledger.lease(LINE) is None) is bool(freed)
    assert [event.data["owner"] for event in facts(world, Kind.LOCK_STALE)] == ["manual__7"] * len(freed)
    assert sweep.locks()["freed"] == []


def test_locks_of_other_flows_are_told_by_their_own_runs(world: DeliveryWorld) -> None:
    """A run of the release flow and one of the patch flow may have the same id."""
    claim = Claim(flow_key("api_release_push", "manual__7"), Holder.PUSH, "bob", "weekly push", 36 * 3600)
    world.ledger.claim(LINE, claim, world.now())
    sweep = Sweep(world)
    sweep.runs |= {("api_prod", "manual__7"): "failed", ("api_release_push", "manual__7"): "running"}
    assert sweep.locks()["freed"] == []
    sweep.runs["api_release_push", "manual__7"] = "success"
    assert sweep.locks()["freed"] == [str(LINE)]


def test_a_persons_lock_is_theirs_however_old(world: DeliveryWorld) -> None:
    world.ledger.claim(PLACE, Claim("person-bob", Holder.PERSON, "bob", "looks at it", 60), world.now())
    world.sleep(5 * 3600)
    assert Sweep(world).locks()["freed"] == []
    assert world.ledger.lease(PLACE) is not None


# --- images and builders


def put_image(
    world: DeliveryWorld, number: int, days: float, regions: tuple[str, ...] = (FIRST, SECOND, THIRD)
) -> None:
    tags = {"redstart:app": "api", "redstart:commit": f"c{number}", "redstart:version": f"1.{number}"}
    for region in regions:
        name, made = f"api-1.{number}-c{number}", world.now() - timedelta(days=days)
        image = Image(f"ami-{region}-{number}", name, "available", made, tags, 8)
        world.workshops[region].images[name] = image


@pytest.fixture
def old_images(world: DeliveryWorld) -> DeliveryWorld:
    """Sixteen commits, of 60 to 45 days ago; ten are kept for being the newest."""
    for number in range(16):
        put_image(world, number, 60 - number)
    return world


def left(world: DeliveryWorld, region: str = FIRST) -> set[int]:
    return {int(image.image_id.rpartition("-")[2]) for image in world.workshops[region].images.values()}


def served(world: DeliveryWorld, number: int, days: float, place: Place = PLACE) -> None:
    data = {"image": f"ami-{place.region}-{number}", "commit": f"c{number}"}
    at = world.now() - timedelta(days=days)
    world.ledger.record(Event(f"served {number} {place}", Kind.PUSH_FINISHED, at, place, data=data))


def test_old_images_go_and_what_serves_or_may_be_gone_back_to_stays(old_images: DeliveryWorld) -> None:
    world = old_images
    world.fleets[SECOND].seed(ClusterRef("api", "main", SECOND), "api-main-v008", f"ami-{SECOND}-0", 1, weight=0)
    world.fleet("api-test", FIRST).seed(ClusterRef("api", "test", FIRST), "api-test-v003", f"ami-{FIRST}-1", 1)
    served(world, 2, 50, Place("api", "main", THIRD))
    served(world, 3, 20)
    told = Sweep(world).images()
    kept = {0, 1, 2, 3, *range(6, 16)}
    assert [left(world, region) for region in (FIRST, SECOND, THIRD)] == [kept] * 3
    assert sorted(told["deleted"]) == sorted(f"ami-{region}-{n}" for region in (FIRST, SECOND, THIRD) for n in (4, 5))
    account = Sweep(world).account("sweep_images")
    assert "image api-1.0-c0 stays: api-main-v008 in us-west-2 uses it" in account
    assert "image api-1.3-c3 stays: served api-main in us-east-1 lately" in account
    gone = facts(world, Kind.IMAGE_DELETED)
    assert len(gone) == 6 and gone[0].data["size_gib"] == 8 and "nothing uses it" in gone[0].why
    assert Sweep(world, 2).images()["deleted"] == []


def test_a_region_that_does_not_answer_is_named_and_the_others_are_swept(
    old_images: DeliveryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = old_images

    def away(tags: Any) -> Any:
        raise RetryableError("describe_images in us-west-2: no answer")

    monkeypatch.setattr(world.workshops[SECOND], "find_images", away)
    with pytest.raises(RetryableError, match="us-west-2: describe_images in us-west-2: no answer"):
        Sweep(world).images()
    assert left(world, SECOND) == left(world, FIRST) == set(range(16)), "home waits until every copy can be seen"
    assert left(world, THIRD) == set(range(6, 16))


def test_a_region_that_refuses_keeps_the_image_at_home(old_images: DeliveryWorld) -> None:
    world = old_images
    world.workshops[THIRD].levers.refuses["deregister_image"] = "UnauthorizedOperation"
    with pytest.raises(RetryableError, match="eu-west-1: deregister_image in eu-west-1: UnauthorizedOperation"):
        Sweep(world).images()
    assert left(world, SECOND) == set(range(6, 16)) and left(world, FIRST) == left(world, THIRD) == set(range(16))
    world.workshops[THIRD].levers.refuses.clear()
    Sweep(world).images()
    assert all(left(world, region) == set(range(6, 16)) for region in world.workshops)


def test_a_fleet_that_does_not_answer_keeps_its_regions_images(
    old_images: DeliveryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = old_images

    def refuse(*_: Any, **__: Any) -> Any:
        raise RefusedError("describe_listeners in eu-west-1: no")

    monkeypatch.setattr(world.fleets[THIRD], "view_cluster", refuse)
    with pytest.raises(RetryableError, match="eu-west-1"):
        Sweep(world).images()
    assert left(world, THIRD) == set(range(16)) and left(world, SECOND) == set(range(6, 16))


def test_a_sweep_killed_between_deed_and_word_is_told_by_the_next(old_images: DeliveryWorld) -> None:
    world = old_images

    def die(call: str, moment: str) -> None:
        if moment == "after":
            raise Killed

    for shop in world.workshops.values():
        shop.hook = die
    for number in range(30):
        try:
            Sweep(world, number).images()
            break
        except Killed:
            continue
    assert all(left(world, region) == set(range(6, 16)) for region in world.workshops)
    assert len(facts(world, Kind.IMAGE_DELETED)) == 18


def test_an_orphaned_builder_is_ended(world: DeliveryWorld) -> None:
    shop = world.workshops[FIRST]
    shop.launch_builder(BuilderSpec("api-1.0-c0", "ami-base", "m5.large", "", {"redstart:app": "api"}))
    shop.launch_builder(BuilderSpec("billing-1.0", "ami-base", "m5.large", "", {"redstart:app": "billing"}))
    sweep = Sweep(world)
    assert sweep.images()["deleted"] == []
    assert "a bake may be at it" in sweep.account("sweep_images")
    world.sleep(3 * 3600)
    assert sweep.images()["deleted"] == ["i-1"]
    assert list(shop.builders) == ["billing-1.0"]
    (ended,) = facts(world, Kind.BUILDER_ENDED)
    assert ended.data["name"] == "api-1.0-c0" and ended.place == PLACE


def test_what_a_delivery_baked_outlives_the_sweep(world: DeliveryWorld) -> None:
    """From select_commit to the image, through the operators; then a sweep; then the other flow's bake of it."""
    run = Run(world)
    run.until_baked()
    images = dict(run.results["build.bake_image"]["images"])
    for shop in world.workshops.values():
        shop.images = {
            name: replace(image, created_at=image.created_at - timedelta(days=30))
            for name, image in shop.images.items()
        }
    for number in range(12):
        put_image(world, number, 5)
    served_by_run = Event("served", Kind.PUSH_FINISHED, world.now(), PLACE, data={"commit": world.commit})
    world.ledger.record(served_by_run)
    assert Sweep(world).images()["deleted"] == []
    world.artifacts.kept.clear()
    del run.results["build.build_artifact"]
    assert run.do("build.bake_image", BakeImageOperator)["images"] == images
    assert world.workshops[FIRST].launched == 1
    tags = next(one for one in world.workshops[FIRST].images.values() if one.image_id == images[FIRST]).tags
    assert tags["redstart:build"].endswith("/dags/api_prod/runs/manual__2026-11-05T14:22:33+00:00")
    assert tags["redstart:branch"] == "prod"
