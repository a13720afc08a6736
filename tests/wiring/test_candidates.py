"""A release candidate: made when every station has passed, chosen by a person, refused where it would do harm."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.apps.delivery import Delivery
from include.fleet import Image
from include.ledger import Kind
from include.ledger.candidates import candidates
from redstart.operators.drive import Account
from redstart.operators.patches import word_if_patch_is_lost
from redstart.operators.production_line import ClaimProductionOperator
from redstart.operators.station import image_in, selected
from redstart.ui.links import station_file
from tests.support.delivery_world import DeliveryWorld, make_world
from tests.support.release_run import PushRun, VerifyRun

SHORT = "20261105.142233"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeliveryWorld:
    return make_world(tmp_path, monkeypatch)


def candidate_of(world: DeliveryWorld, number: int) -> VerifyRun:
    """The release branch's next commit, with its images, as a candidate."""
    world.origin.commit("release", {"app.py": f"VALUE = {number}\n"}, f"API-{number} Set the value")
    return VerifyRun(world, f"manual__{number}").to_candidate()


def serve(world: DeliveryWorld, commit: str, *regions: str) -> None:
    """As if production had been pushed."""
    for region in regions or world.fleets:
        world.fleets[region].records["api-main-v000"].tags["redstart:commit"] = commit


def told(world: DeliveryWorld, kind: Kind) -> list[Any]:
    return [one.event for one in world.ledger.events(app="api", kinds={kind})]


def test_all_stations_passed_and_it_is_a_candidate_once(world: DeliveryWorld) -> None:
    run = VerifyRun(world)
    for environment in ("integration", "staging"):
        run.serve(environment)
        run.test(environment)
    assert run.mark()["is_new"]
    assert not run.mark()["is_new"], "marking it again changes nothing"
    (event,) = told(world, Kind.CANDIDATE_MADE)
    assert (event.place.region, event.run, event.who) == ("all-regions", run.key, "ada")
    (found,) = candidates(world.ledger.events(app="api"))
    assert (found.commit, found.branch, found.dag_id, found.run_id) == (run.commit, "release", run.dag_id, run.run_id)
    assert [one.words for one in found.stations] == ["integration 1 passed", "staging 1 passed"]
    assert found.stations[1].report.endswith(f"tests/api/{run.key}/staging.run_tests.html")
    assert found.images["eu-west-1"] == run.results["build.bake_image"]["images"]["eu-west-1"]


def test_tests_of_another_commit_make_no_candidate(world: DeliveryWorld) -> None:
    run = VerifyRun(world)
    for environment in ("integration", "staging"):
        run.serve(environment)
        run.test(environment)
    run.results["staging.run_tests"]["commit"] = "0" * 40
    with pytest.raises(AirflowFailException, match="staging.run_tests tested 0000000000, .*: clear staging.push"):
        run.mark()
    del run.results["staging.run_tests"]
    with pytest.raises(AirflowFailException, match="staging.run_tests left no result"):
        run.mark()
    assert told(world, Kind.CANDIDATE_MADE) == []


def test_the_newest_is_taken_with_its_images(world: DeliveryWorld) -> None:
    candidate_of(world, 2)
    newest = candidate_of(world, 3)
    push = PushRun(world, regions=["eu-west-1", "us-east-1"])
    result = push.select()
    delivery = Delivery.from_xcom(result)
    assert (delivery.commit, delivery.branch, delivery.run_key) == (newest.commit, "release", push.key)
    assert delivery.regions == ("us-east-1", "eu-west-1"), "as they are listed"
    assert delivery.subject == "API-3 Set the value"
    assert result["images"] == {region: f"ami-{region}-{newest.commit[:4]}" for region in delivery.regions}
    assert result["name"] == newest.recipe.name
    assert selected(push.context()) == delivery
    assert image_in(push.context(), "eu-west-1") == result["images"]["eu-west-1"]
    (event,) = told(world, Kind.CANDIDATE_CHOSEN)
    assert (event.run, event.who, event.why, event.data["commit"]) == (
        push.key,
        "ada",
        "the weekly push",
        newest.commit,
    )
    push.select()
    assert len(told(world, Kind.CANDIDATE_CHOSEN)) == 1, "a retry chooses nothing new"


def test_an_older_commit_that_was_tested_again_later_is_not_the_newest(world: DeliveryWorld) -> None:
    world.origin.commit("release", {"app.py": "VALUE = 2\n"}, "API-2 Set the value")
    older = VerifyRun(world, "manual__2")
    newest = candidate_of(world, 3)
    older.to_candidate()
    push = PushRun(world)
    assert push.select()["commit"] == newest.commit
    kept = world.storage / station_file("api", push.key, "select_candidate")
    assert f"{older.delivery.version} (API-2 Set the value) was made later, of an older commit" in kept.read_text()
    assert PushRun(world, "manual__old", candidate=older.commit).select()["commit"] == older.commit


def test_a_candidate_that_git_does_not_know_any_more_is_older_than_no_other(world: DeliveryWorld) -> None:
    run = candidate_of(world, 2)
    (event,) = told(world, Kind.CANDIDATE_MADE)
    gone = replace(event, key="gone", data={**event.data, "commit": "e" * 40}, at=world.now())
    world.ledger.record(gone)
    later = candidate_of(world, 3)
    assert PushRun(world).select()["commit"] == later.commit != run.commit


def test_an_older_one_is_taken_where_the_form_says_so(world: DeliveryWorld) -> None:
    older = candidate_of(world, 2)
    candidate_of(world, 3)
    for wanted in (older.delivery.version, older.commit[:7], older.commit):
        assert PushRun(world, candidate=wanted).select()["commit"] == older.commit


def test_what_is_no_candidate_is_refused_with_those_there_are(world: DeliveryWorld) -> None:
    with pytest.raises(AirflowFailException, match="There is no release candidate yet"):
        PushRun(world).select()
    run = candidate_of(world, 2)
    with pytest.raises(AirflowFailException, match=rf"The newest are: {SHORT}-{run.commit[:7]} \(API-2 Set the value"):
        PushRun(world, candidate="f" * 9).select()


def test_an_image_that_is_gone_is_refused_with_the_run_that_can_make_it_again(world: DeliveryWorld) -> None:
    run = candidate_of(world, 2)
    images = world.workshops["eu-west-1"].images
    gone = images.pop(run.recipe.name)
    with pytest.raises(AirflowFailException) as caught:
        PushRun(world).select()
    assert str(caught.value) == (
        f"There is no available image of {run.delivery.version} in eu-west-1: clear build.bake_image in run manual__2 "
        "of api_release, and this task when it has succeeded."
    )
    assert PushRun(world, regions=["us-east-1"]).select()["images"], "where it is not missing it may go"
    images["broken"] = Image(gone.image_id, "broken", "failed", gone.created_at, gone.tags)
    with pytest.raises(AirflowFailException, match="no available image"):
        PushRun(world).select()
    images[run.recipe.name] = gone
    assert PushRun(world).select()["images"]["eu-west-1"] == gone.image_id


def test_a_patch_is_not_taken_away_from_users_unless_somebody_says_so(world: DeliveryWorld) -> None:
    candidate_of(world, 2)
    patch = world.origin.commit("prod", {"patch.py": "x = 1\n"}, "API-9 Mend the login")
    serve(world, patch, "us-west-2")
    with pytest.raises(AirflowFailException) as caught:
        PushRun(world).select()
    said = str(caught.value)
    assert f"lacks what serves in production: {patch[:10]} (API-9 Mend the login). Choose a candidate" in said
    assert "tick 'Push although production has commits that it lacks'" in said
    assert PushRun(world, regions=["us-east-1"]).select(), "the patch serves elsewhere"
    assert PushRun(world, without_patches=True).select()


def test_a_patchs_subject_is_told_in_one_printable_line(world: DeliveryWorld) -> None:
    candidate_of(world, 2)
    serve(world, world.origin.commit("prod", {"patch.py": "x = 1\n"}, "API-9 x\x1b[31mred " + "y" * 200))
    with pytest.raises(AirflowFailException) as caught:
        PushRun(world).select()
    assert str(caught.value).isprintable() and "API-9 x [31mred yyy" in str(caught.value)
    assert "y" * 100 not in str(caught.value)


def test_a_patch_that_came_while_the_release_waited_is_asked_for_again(world: DeliveryWorld) -> None:
    run = candidate_of(world, 2)
    push = PushRun(world)
    delivery = Delivery.from_xcom(push.select())
    patch = world.origin.commit("prod", {"patch.py": "x = 1\n"}, "API-9 Mend the login")
    serve(world, patch, "us-west-2")
    station = ClaimProductionOperator(task_id="claim_production", app="api", flow="release_push")

    def word(**form: Any) -> str:
        repository = station.repository
        repository.fetch()
        account = Account(station.log.info)
        context = push.context() | {"params": push.form | form}
        return word_if_patch_is_lost(station, context, account, delivery, repository)

    assert word().startswith(f"{run.delivery.version} lacks what serves in production: {patch[:10]} (API-9 Mend the")
    assert word(without_patches=True) == ""


def test_a_candidate_with_the_patch_may_go(world: DeliveryWorld) -> None:
    from tests.support.git import git

    patch = world.origin.commit("prod", {"patch.py": "x = 1\n"}, "API-9 Mend the login")
    git(world.origin.work, "checkout", "--quiet", "release")
    git(world.origin.work, "merge", "--quiet", "--no-edit", "prod")
    git(world.origin.work, "push", "--quiet", "origin", "release")
    serve(world, patch)
    run = candidate_of(world, 2)
    assert PushRun(world).select()["commit"] == run.commit


def test_what_serves_and_is_not_on_productions_branch_is_no_patch(world: DeliveryWorld) -> None:
    candidate_of(world, 2)
    newer = candidate_of(world, 3)
    serve(world, newer.commit)
    older = candidates(world.ledger.events(app="api"))[1]
    assert PushRun(world, candidate=older.commit).select()["commit"] == older.commit, "going back to an older release"
    serve(world, "e" * 40)
    assert PushRun(world).select()["commit"] == newer.commit, "nobody knows that commit any more"


def test_already_live_everywhere_is_nothing_new(world: DeliveryWorld) -> None:
    run = candidate_of(world, 2)
    serve(world, run.commit, "us-east-1", "us-west-2")
    assert PushRun(world).select()["commit"] == run.commit, "not yet everywhere"
    serve(world, run.commit)
    push = PushRun(world, "manual__again")
    with pytest.raises(AirflowSkipException, match="already serves in us-east-1, us-west-2, eu-west-1"):
        push.select()
    assert "already serves" in push.results["word"]


def test_form_asks_why_and_takes_only_what_may_be_a_candidate() -> None:
    from airflow.sdk.exceptions import ParamValidationError

    from include.apps import load_app
    from redstart.groups.release import release_form

    app = load_app("api")
    form = release_form(app, app.flows["release_push"])  # type: ignore[arg-type]
    asked = ["candidate", "reason", "regions", "soak_seconds", "on_failure", "without_patches", "dry_run"]
    assert list(form) == asked
    with pytest.raises(ParamValidationError):
        form["reason"].resolve()
    for good in (None, "1a2b3c4", "20261105.142233-1a2b3c4"):
        form["candidate"].resolve(good)
    for bad in ("-x", "1a2b3c", "main", "20261105.142233", "1a2b3c4; ls"):
        with pytest.raises(ParamValidationError):
            form["candidate"].resolve(bad)
    assert "(/redstart/candidates/api)" in form["candidate"].schema["description_md"]
