"""A patch never takes a release away from users, unless a person means it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.apps import load_app
from include.apps.delivery import Delivery
from include.errors import RefusedError
from include.ledger import Claim, Event, Holder, Kind
from redstart.operators.drive import Account
from redstart.operators.production_line import ClaimProductionOperator
from redstart.operators.released import word_if_release_is_lost
from tests.support.commit_flow import PLACE, Flow, commits, serve
from tests.support.delivery_world import DeliveryWorld, make_world
from tests.support.git import git

VERSION = "20261105.142233-1a2b3c4"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeliveryWorld:
    return make_world(tmp_path, monkeypatch)


@pytest.fixture
def prod(world: DeliveryWorld) -> Flow:
    return Flow(world)


@pytest.fixture
def release(world: DeliveryWorld) -> str:
    """A release that serves everywhere; its merge into prod has not gone."""
    (commit,) = commits(world, 1, "release")
    data = {"flow": "release", "commit": commit, "version": VERSION}
    world.ledger.record(Event("chosen", Kind.CANDIDATE_CHOSEN, world.now(), PLACE, "push-1", "ada", data=data))
    serve(world, commit)
    return commit


def merged(world: DeliveryWorld, release: str, *, by_us: bool = False) -> str:
    """prod with the release, by a person or by us; prod's head."""
    git(world.origin.work, "checkout", "--quiet", "prod")
    git(world.origin.work, "merge", "--quiet", "-X", "ours", "-m", "Merge by hand", release)
    git(world.origin.work, "push", "--quiet", "origin", "prod")
    if by_us:
        data = {"flow": "release_push", "target": "prod", "source_commit": release}
        world.ledger.record(Event("merged", Kind.BRANCH_MERGED, world.now(), PLACE, "push-1", data=data))
    return world.origin.head("prod")


def ask(delivery: dict[str, Any], by: str = "asset_triggered", lines: list[str] | None = None) -> str | None:
    """As claim_production asks before it goes on."""
    task = ClaimProductionOperator(task_id="claim_production", app="api", flow="prod")
    told = [] if lines is None else lines
    context: Any = {"run_id": "x", "dag_run": SimpleNamespace(dag_id="api_prod", run_type=by)}
    account = Account(lambda form, *words: told.append(form % words))
    return word_if_release_is_lost(task, context, account, Delivery.from_xcom(delivery))


def test_patch_without_the_release_that_serves_is_refused(world: DeliveryWorld, prod: Flow, release: str) -> None:
    (patch,) = commits(world, 1)
    for _ in range(2):
        with pytest.raises(AirflowFailException) as caught:
            prod.select("one", patch)
        assert str(caught.value) == (
            f"us-east-1, us-west-2 and eu-west-1 serve release {VERSION} ({release[:10]}), which prod does not "
            f"contain: merge {release[:10]} into prod by hand; the merge's own run delivers both. To take the release "
            "away from users start a run by hand."
        )
    assert prod.subjects == [(patch, "one")], "it is told of all the same"
    both = merged(world, release)
    assert prod.select("two", both)["commit"] == both


def test_release_that_serves_in_some_regions_is_kept_there(world: DeliveryWorld, prod: Flow, release: str) -> None:
    for region in ("us-west-2", "eu-west-1"):
        world.fleets[region].records["api-main-v000"].tags["redstart:commit"] = world.commit
    (patch,) = commits(world, 1)
    with pytest.raises(AirflowFailException, match="^us-east-1 serves release "):
        prod.select("one", patch)
    assert prod.select("two", by="manual", form={"regions": ["us-west-2"]})["commit"] == patch


def test_person_may_take_a_release_away(world: DeliveryWorld, prod: Flow, release: str) -> None:
    (patch,) = commits(world, 1)
    delivery = prod.select("one", by="manual")
    assert delivery["commit"] == patch
    (told,) = world.storage.glob("stations/api/one/*.log")
    words = f"by hand: takes release {VERSION} ({release[:10]}) away from us-east-1, us-west-2 and eu-west-1"
    assert words in told.read_text()
    lines: list[str] = []
    assert ask(delivery, "manual", lines) is None
    assert any(words in line for line in lines)


def test_patch_during_the_weekly_push_goes_on_to_its_turn(world: DeliveryWorld, prod: Flow, release: str) -> None:
    """The merge is still to come: whether the release is in the branch is asked again when the line is free."""
    world.ledger.claim(PLACE, Claim("release_push-1", Holder.PUSH, "ada", "delivers", 60), world.now())
    (patch,) = commits(world, 1)
    delivery = prod.select("one", patch)
    assert delivery["commit"] == patch
    with pytest.raises(RefusedError, match="merge .* into prod by hand"):
        ask(delivery)
    both = merged(world, release, by_us=True)
    assert ask(delivery) == (
        f"superseded: {patch[:10]} lacks release {VERSION} ({release[:10]}), which serves and has come to prod since; "
        f"the run of {both[:10]} delivers both."
    )


def test_branch_moved_back_behind_a_merged_release_is_followed(world: DeliveryWorld, prod: Flow, release: str) -> None:
    before = world.commit
    merged(world, release, by_us=True)
    git(world.origin.work, "push", "--quiet", "--force", "origin", f"{before}:refs/heads/prod")
    assert prod.select("one", before)["commit"] == before


def test_what_serves_and_was_no_release_may_go(world: DeliveryWorld, prod: Flow, release: str) -> None:
    app = load_app("api")
    for commit in ("", "f" * 40, world.commit):
        for region in app.prod.region_names:
            world.fleets[region].records["api-main-v000"].tags["redstart:commit"] = commit
        (patch,) = commits(world, 1)
        assert prod.select(f"after-{commit[:4]}", patch)["commit"] == patch


def test_release_that_the_repository_lost_is_no_less_a_release(world: DeliveryWorld, prod: Flow) -> None:
    lost = "e" * 40
    data = {"flow": "release", "commit": lost, "version": VERSION}
    world.ledger.record(Event("chosen", Kind.CANDIDATE_CHOSEN, world.now(), PLACE, "push-1", "ada", data=data))
    serve(world, lost)
    (patch,) = commits(world, 1)
    with pytest.raises(AirflowFailException, match="which prod does not contain"):
        prod.select("one", patch)
