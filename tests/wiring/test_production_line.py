"""One delivery at a time into production: the way is claimed before the canary, and kept until the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred

from include.apps import load_app
from include.ledger import Claim, Hold, Holder, Lease
from redstart.operators import clock
from redstart.operators.cluster import place_of
from redstart.operators.line import SLACK_SECONDS, line_of
from redstart.operators.production_line import ClaimProductionOperator, ReleaseProductionOperator
from tests.support.commit_flow import serve
from tests.support.delivery_world import make_world
from tests.support.release_run import PushRun, VerifyRun
from tests.support.station_run import Run

APP = load_app("api")
FIRST = APP.prod.region_names[0]
LINE, PLACE = line_of(APP), place_of(APP, FIRST)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    return Run(make_world(tmp_path, monkeypatch), run_type="asset_triggered")


def claim(run: Run) -> Any:
    return run.do("claim_production", ClaimProductionOperator, flow="prod")


def release(run: Run) -> Any:
    return run.do("release_production", ReleaseProductionOperator)


def lease(run: Run) -> Lease:
    found = run.world.ledger.lease(LINE)
    assert found is not None
    return found


def somebody_else(run: Run) -> None:
    why = "run manual__1 of api_release_push delivers 1.2"
    run.world.ledger.claim(LINE, Claim("release_push-manual__1", Holder.PUSH, "ada", why, 3600), clock.now())


def test_the_way_is_claimed_once_and_freed(run: Run) -> None:
    run.given_images()
    first = claim(run)
    assert claim(run)["token"] == first["token"], "cleared or tried again it is this run's"
    assert "api_prod delivers 20261105.142233" in lease(run).why
    assert release(run)["freed"]
    assert not release(run)["freed"]
    assert run.world.ledger.lease(LINE) is None


def test_another_delivery_is_waited_for_without_a_worker_and_named(run: Run) -> None:
    run.given_images()
    somebody_else(run)
    with pytest.raises(TaskDeferred) as caught:
        claim(run)
    assert caught.value.trigger.turn.place == LINE
    (log,) = run.world.storage.glob("stations/api/*/claim_production.log")
    assert "waiting: api-main in all regions is ada's (push)" in log.read_text()
    assert "run manual__1 of api_release_push delivers 1.2" in log.read_text()


def test_who_waited_lets_a_newer_commit_pass(run: Run) -> None:
    run.until_baked()
    somebody_else(run)
    with pytest.raises(TaskDeferred):
        claim(run)
    newer = run.world.origin.commit("prod", {"app.py": "VALUE = 2\n"})
    run.world.ledger.free(LINE, clock.now(), who="ada", why="over")
    with pytest.raises(AirflowSkipException, match=f"superseded: {newer[:10]} came to prod"):
        claim(run)
    assert run.world.ledger.lease(LINE) is None


def test_who_did_not_wait_goes_on_however_many_commits_come(run: Run) -> None:
    run.until_baked()
    run.world.origin.commit("prod", {"app.py": "VALUE = 2\n"})
    assert claim(run)["token"] > 0


def test_commit_whose_gate_is_cleared_is_meant_though_a_newer_one_has_come(run: Run) -> None:
    run.until_baked()
    somebody_else(run)
    with pytest.raises(TaskDeferred):
        claim(run)
    run.world.origin.commit("prod", {"app.py": "VALUE = 2\n"})
    run.world.ledger.free(LINE, clock.now(), who="ada", why="over")
    run.results["canary.launch_canary"] = {"image": "of an earlier try"}
    with pytest.raises(AirflowSkipException):
        claim(run)
    run.results["canary.launch_canary"] = {"image": run.results["build.bake_image"]["images"][FIRST]}
    assert claim(run)["token"] > 0


def test_region_waits_while_another_delivery_has_the_way(run: Run) -> None:
    run.after_canary()
    somebody_else(run)
    with pytest.raises(TaskDeferred):
        run.claim(FIRST)
    assert run.world.ledger.lease(PLACE) is None


def test_hold_over_the_weekend_does_not_let_a_second_delivery_in(run: Run) -> None:
    run.after_canary()
    claim(run)
    run.world.ledger.place_hold(Hold(PLACE, "ada", "the match", clock.now()))
    for _ in range(3):
        run.world.sleep(SLACK_SECONDS / 2)
        with pytest.raises(TaskDeferred):
            run.claim(FIRST)
    assert (lease(run).until - clock.now()).total_seconds() > SLACK_SECONDS


def test_way_that_was_freed_by_hand_does_not_stop_a_push_halfway(run: Run) -> None:
    run.after_canary()
    claim(run)
    run.claim(FIRST)
    run.world.ledger.free(LINE, clock.now(), who="ada", why="by hand")
    somebody_else(run)
    assert run.switch(FIRST)["region"] == FIRST


def test_weekly_push_that_waited_takes_no_patch_away(run: Run) -> None:
    VerifyRun(run.world).to_candidate()
    push = PushRun(run.world)
    push.select()
    claim_weekly(push, may=False)
    patch = run.world.origin.commit("prod", {"patch.py": "PATCH = 1\n"})
    serve(run.world, patch)
    with pytest.raises(AirflowFailException, match=f"lacks what serves in production: {patch[:10]}"):
        claim_weekly(push)
    assert run.world.ledger.lease(LINE) is None, "the next delivery may pass"
    push.form["without_patches"] = True
    assert claim_weekly(push)["token"] > 0


def claim_weekly(push: PushRun, *, may: bool = True) -> Any:
    if not may:
        somebody_else(push)
        with pytest.raises(TaskDeferred):
            claim_weekly(push)
        return push.world.ledger.free(LINE, clock.now(), who="ada", why="over")
    return push.do("claim_production", ClaimProductionOperator, flow="release_push")
