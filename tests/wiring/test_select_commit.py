"""Which commit a run is about, against a real repository and ledger; fleets in memory."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.adapters.git_repository import GitRepository
from include.errors import RetryableError
from include.ledger import Kind
from redstart.operators import accounting
from redstart.operators.source import SelectCommitOperator
from tests.support.commit_flow import PLACE, Flow, commits, serve
from tests.support.delivery_world import DeliveryWorld, make_world
from tests.support.git import git


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeliveryWorld:
    return make_world(tmp_path, monkeypatch)


@pytest.fixture
def prod(world: DeliveryWorld) -> Flow:
    return Flow(world)


def test_delivery_says_which_commit_of_which_branch_goes_where(world: DeliveryWorld, prod: Flow) -> None:
    (commit,) = commits(world, 1)
    delivery = prod.select("one", commit)
    assert (delivery["commit"], delivery["branch"], delivery["run_key"]) == (commit, "prod", "one")
    assert delivery["regions"] == ["us-east-1", "us-west-2", "eu-west-1"]
    (event,) = [one.event for one in world.ledger.events(kinds={Kind.COMMIT_SELECTED})]
    assert (event.place, event.run, event.who) == (PLACE, "one", "api_prod")
    assert event.data == {
        "flow": "prod",
        "branch": "prod",
        "number": 1,
        "commit": commit,
        "tree": delivery["tree"],
        "version": delivery["version"],
        "subject": "Change something",
        "author": "Ada",
        "is_named": False,
    }


def test_flow_that_only_verifies_goes_to_no_region_of_production(world: DeliveryWorld) -> None:
    (commit,) = commits(world, 1, "test")
    delivery = Flow(world, "test").select("one", commit)
    assert (delivery["commit"], delivery["branch"], delivery["run_key"]) == (commit, "test", "test-one")
    assert (delivery["regions"], delivery["canary_region"]) == ([], "")


def test_commits_in_between_give_way_and_are_named_once(world: DeliveryWorld, prod: Flow) -> None:
    first, *others = commits(world, 1)
    prod.select("one", first)
    skipped, also, newest = commits(world, 3)
    prod.select("two", skipped)
    assert "already the subject of run two" in prod.ends("three", also)
    assert "already the subject of run two" in prod.ends("four", newest)
    assert prod.subjects == [(first, "one"), (newest, "two")]
    assert sorted(prod.superseded) == sorted([(skipped, "two"), (also, "two")])


def test_flows_keep_accounts_of_their_own(world: DeliveryWorld, prod: Flow) -> None:
    (commit,) = commits(world, 1)
    git(world.origin.work, "push", "--quiet", "origin", "prod:test", "--force")
    test = Flow(world, "test")
    prod.select("one", commit)
    test.select("one", commit)
    assert (prod.subjects, test.subjects) == ([(commit, "one")], [(commit, "test-one")])


def test_commit_that_was_pushed_away_before_its_run_is_named_by_it(world: DeliveryWorld, prod: Flow) -> None:
    begin = world.commit
    (lost,) = commits(world, 1)
    git(world.origin.work, "push", "--quiet", "--force", "origin", f"{begin}:refs/heads/prod")
    git(world.origin.work, "reset", "--quiet", "--hard", begin)
    (kept,) = commits(world, 1)
    prod.select("one", kept)
    prod.ends("two", lost)
    assert (prod.subjects, prod.superseded) == ([(kept, "one")], [(lost, "two")])


def test_branch_moved_back_by_force_is_followed(world: DeliveryWorld, prod: Flow) -> None:
    old, new = commits(world, 2)
    prod.select("one", new)
    git(world.origin.work, "push", "--quiet", "--force", "origin", f"{old}:refs/heads/prod")
    assert prod.select("two", old)["commit"] == old
    assert "subject of run two" in prod.ends("three", old)
    git(world.origin.work, "push", "--quiet", "--force", "origin", f"{new}:refs/heads/prod")
    assert prod.select("four", new)["commit"] == new


def test_only_a_person_has_a_commit_taken_again(world: DeliveryWorld, prod: Flow) -> None:
    old, new = commits(world, 2)
    prod.select("one", new)
    assert "already the subject of run one" in prod.ends("clock", by="scheduled")
    assert prod.select("two", by="manual")["commit"] == new
    assert prod.select("three", by="manual", form={"commit": old[:7]})["commit"] == old
    assert "already the subject of run two" in prod.ends("four", new), "where the branch is, has not changed"


def test_head_that_a_person_names_is_the_subject_of_no_other_run(world: DeliveryWorld, prod: Flow) -> None:
    old, new = commits(world, 2)
    prod.select("one", old, by="manual", form={"commit": new})
    assert "already the subject of run one" in prod.ends("two", new)
    # By hand back to an older one, and only then the branch itself: its moves are followed.
    prod.select("three", by="manual", form={"commit": old})
    git(world.origin.work, "push", "--quiet", "--force", "origin", f"{old}:refs/heads/prod")
    assert prod.select("four", old)["commit"] == old
    git(world.origin.work, "push", "--quiet", "--force", "origin", f"{new}:refs/heads/prod")
    assert prod.select("five", new)["commit"] == new


def test_old_commit_that_a_person_names_supersedes_no_history(world: DeliveryWorld, prod: Flow) -> None:
    old, _, _, first = commits(world, 4)
    prod.select("one", first)
    prod.select("two", by="manual", form={"commit": old})
    skipped, new = commits(world, 2)
    prod.select("three", new)
    assert prod.superseded == [(skipped, "three")]


def test_commit_of_another_branch_is_refused(world: DeliveryWorld, prod: Flow) -> None:
    elsewhere = world.origin.commit("test", {"app.py": "VALUE = 8\n"})
    with pytest.raises(AirflowFailException, match="is not on branch prod"):
        prod.select("one", by="manual", form={"commit": elsewhere})
    assert prod.subjects == []


def test_cleared_run_keeps_its_commit_until_there_is_a_newer_one(world: DeliveryWorld, prod: Flow) -> None:
    (first,) = commits(world, 1)
    assert prod.select("one", first) == prod.select("one", first)
    (second,) = commits(world, 1)
    assert prod.select("one", first)["commit"] == second, "no run has it"
    assert "already the subject of run one" in prod.ends("two", second)
    (third,) = commits(world, 1)
    prod.select("three", third)
    assert prod.ends("one", first) == (
        f"Superseded: {third[:10]}, the newest commit on prod, is the subject of run three; this one's was "
        f"{second[:10]}."
    )
    told = Counter(commit for commit, _ in prod.subjects + prod.superseded)
    assert told == {first: 1, second: 1, third: 1}


def test_try_that_was_killed_after_its_word_goes_on_with_it(
    world: DeliveryWorld, prod: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = commits(world, 1)
    prod.select("one", first)
    skipped, newest = commits(world, 2)

    def away(*_: Any) -> None:
        raise RetryableError("AWS does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(SelectCommitOperator, "view", away)
        with pytest.raises(RetryableError):
            prod.select("two", skipped)
    assert prod.select("two", skipped)["commit"] == newest
    assert (prod.subjects, prod.superseded) == ([(first, "one"), (newest, "two")], [(skipped, "two")])


def test_run_that_was_overtaken_looks_again(world: DeliveryWorld, prod: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another run selects between this one's look at the ledger and its word."""
    (first,) = commits(world, 1)
    real, others = GitRepository.fetch, iter(["two"])

    def fetch(repository: GitRepository) -> None:
        real(repository)
        for other in others:
            commits(world, 1)
            prod.select(other, world.commit)

    monkeypatch.setattr(GitRepository, "fetch", fetch)
    assert "already the subject of run two" in prod.ends("one", first)
    assert prod.subjects == [(world.commit, "two")]
    assert prod.superseded == [(first, "one")]


def test_other_flows_busy_year_hides_no_selection(
    world: DeliveryWorld, prod: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounting, "NEWEST", 5)
    prod.select("one", world.commit)
    test = Flow(world, "test")
    for number in range(6):
        (commit,) = commits(world, 1, "test")
        test.select(f"test-{number}", commit)
    assert "already the subject of run one" in prod.ends("two", world.commit)


def test_more_commits_than_can_be_named_are_said_to_be_more(
    world: DeliveryWorld, prod: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("redstart.operators.source.MOST_SUPERSEDED", 2)
    prod.select("one", world.commit)
    many = commits(world, 5)
    prod.select("two", many[-1])
    assert sorted(commit for commit, _ in prod.superseded) == sorted(many[2:4])
    (told,) = world.storage.glob("stations/api/two/*.log")
    assert "more than 2 commits came at once" in told.read_text()


@pytest.mark.parametrize(
    "payload",
    [
        None,
        "x",
        {},
        {"branch": "prod"},
        {"branch": "prod", "commit": "--all"},
        {"branch": "test", "commit": "f" * 40},
    ],
)
def test_events_that_somebody_made_up_name_nothing(world: DeliveryWorld, payload: Any) -> None:
    flow = Flow(world)
    with pytest.MonkeyPatch.context() as patch:
        made_up = {"an asset": [SimpleNamespace(extra={"payload": payload}), SimpleNamespace(extra=None)]}
        patch.setattr("tests.support.commit_flow.asset_events", lambda *_, **__: made_up)
        flow.select("one")
    assert flow.superseded == []


def test_content_that_is_live_everywhere_ends_the_run_whoever_made_the_commit(world: DeliveryWorld, prod: Flow) -> None:
    serve(world, world.commit)
    assert "Already live" in prod.ends("one", world.commit)
    git(world.origin.work, "checkout", "--quiet", "prod")
    git(world.origin.work, "commit", "--quiet", "--allow-empty", "-m", "Merge release into prod")
    git(world.origin.work, "push", "--quiet", "origin", "prod")
    word = prod.ends("two", world.commit)
    assert "already serves in us-east-1, us-west-2, eu-west-1" in word
    assert [run for _, run in prod.subjects] == ["one", "two"], "each is told of, also where nothing was to do"


def test_content_that_is_live_in_one_region_only_is_delivered(world: DeliveryWorld, prod: Flow) -> None:
    serve(world, world.commit)
    world.fleets["eu-west-1"].records["api-main-v000"].tags["redstart:commit"] = "f" * 40
    assert prod.select("one", world.commit)["commit"] == world.commit


def test_what_somebody_else_wrote_stays_one_line(world: DeliveryWorld, prod: Flow) -> None:
    world.origin.commit("prod", {"app.py": "VALUE = 3\n"}, "fix\x1b[2J<script>\rgo: score 100" + "x" * 5000)
    assert prod.select("one", world.commit)["subject"].isprintable()
    (event,) = [one.event for one in world.ledger.events(kinds={Kind.COMMIT_SELECTED})]
    assert len(str(event.data["subject"])) == 200
    assert str(event.data["subject"]).isprintable()
