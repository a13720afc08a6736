"""The tasks that merge, with a real repository and ledger and a stand-in for Jira; clear and retry run them again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.adapters.jira_issues import JiraIssues
from include.apps.delivery import Delivery
from include.errors import RetryableError
from include.ledger import Event, Kind, Ledger
from redstart.operators.merge import MergeBackOperator, MergeReleaseOperator
from tests.support.git import Origin, git, make_origin
from tests.support.git_remote import refs
from tests.support.jira_server import LOGIN, PROJECT, TOKEN, Fault, JiraServer, jira_server
from tests.support.ledger import fresh_ledger

NOW = datetime(2026, 11, 5, 15, tzinfo=UTC)
VERSION = "20261105.142233-1a2b3c4"


class Ti:
    def __init__(self, results: dict[str, Any]) -> None:
        self.results = results
        self.map_index, self.try_number = -1, 1

    def xcom_pull(self, *, task_ids: str) -> Any:
        return self.results.get(task_ids)

    def xcom_push(self, key: str, value: Any) -> None:
        self.results[key] = value


@dataclass
class World:
    """A repository, a ledger, and where accounts are kept."""

    origin: Origin
    ledger: Ledger
    storage: Path
    results: dict[str, Any] = field(default_factory=dict)
    serving: dict[str, set[str]] = field(default_factory=dict)
    """Region -> commits with traffic; a region that is not here serves the candidate."""

    def view(self, region: str) -> Any:
        commits = self.serving.get(region, {self.results["select_candidate"]["commit"]})
        return SimpleNamespace(
            groups=[SimpleNamespace(tags={"redstart:commit": one}, is_enabled=True) for one in commits]
        )

    def run(self, operator: Any, dag_id: str, flow: str, run_id: str = "r1") -> Any:
        task = operator(task_id="merge", app="api", flow=flow)
        who = SimpleNamespace(dag_id=dag_id, triggering_user_name="ada", run_type="manual")
        return task.execute({"ti": Ti(self.results), "run_id": run_id, "dag_run": who, "params": {}})

    def merge_back(self, run_id: str = "r1") -> Any:
        return self.run(MergeBackOperator, "api_prod", "prod", run_id)

    def merge_release(self, commit: str, run_id: str = "r1") -> Any:
        made_of = ("tree", VERSION, "A \x1b feature", "Ada", 1793888553, ("us-east-1",), "us-east-1", "release")
        self.results["select_candidate"] = Delivery("api", run_id, commit, *made_of).to_xcom()
        return self.run(MergeReleaseOperator, "api_release_push", "release_push", run_id)

    def events(self, kind: Kind) -> list[Event]:
        return [one.event for one in self.ledger.events(app="api", kinds={kind})]

    def account(self, run: str = "r1") -> str:
        return "\n".join(path.read_text() for path in self.storage.rglob("*.log") if run in str(path))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(make_origin(tmp_path / "git"), fresh_ledger(tmp_path / "ledger.db"), tmp_path / "storage")
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "home"))
    connections = {
        "GIT": {
            "conn_type": "generic",
            "host": str(world.origin.root),
            "extra": {"identity": ["CD", "cd@example.org"]},
        },
        "LEDGER": {"conn_type": "sqlite", "host": str(tmp_path / "ledger.db")},
    }
    for name, connection in connections.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_REDSTART_{name}", json.dumps(connection))
    monkeypatch.setenv("AIRFLOW_VAR_REDSTART_STORAGE", f"file://{world.storage}")
    monkeypatch.setattr("redstart.operators.clock.now", lambda: NOW)
    monkeypatch.setattr(MergeReleaseOperator, "view", lambda self, region: world.view(region))
    return world


@pytest.fixture
def jira(monkeypatch: pytest.MonkeyPatch) -> Iterator[JiraServer]:
    with jira_server() as server:
        host, _, port = server.url.rpartition(":")
        connection = {"conn_type": "http", "host": host, "port": int(port), "login": LOGIN, "password": TOKEN}
        monkeypatch.setenv("AIRFLOW_CONN_REDSTART_JIRA", json.dumps({**connection, "extra": {"project": PROJECT}}))
        # The library's own seconds are tested with the adapter.
        monkeypatch.setitem(JiraIssues.__init__.__kwdefaults__, "call_seconds", (0.3, 0.5))
        yield server


def disagree(world: World, text: str = "1") -> None:
    world.origin.commit("prod", {"README": f"prod {text}\n"})
    world.origin.commit("release", {"README": f"release {text}\n"})


def solve(world: World) -> None:
    """A person merges by hand."""
    git(world.origin.work, "checkout", "--quiet", "release")
    git(world.origin.work, "merge", "--quiet", "-X", "ours", "-m", "Merge by hand", "origin/prod")
    git(world.origin.work, "push", "--quiet", "origin", "release")


def test_patch_on_prod_goes_round_to_release_and_is_an_event_once(world: World, airflow_db: Path) -> None:
    fix = world.origin.commit("prod", {"fix": "1"})
    work = world.origin.commit("release", {"feature": "1"})
    result = world.merge_back()
    assert (result["outcome"], result["merged_to"]) == ("merged", world.origin.head("release"))
    message = git(Path(world.origin.url), "log", "-1", "--format=%an: %B", "release")
    assert message == "CD: Merge prod into release\n\nBy run r1 of api_prod."
    assert world.merge_back()["outcome"] == "nothing to do", "cleared"
    [event] = world.events(Kind.BRANCH_MERGED)
    assert (event.who, event.run, str(event.place)) == ("ada", "r1", "api-main in all regions")
    assert (event.data["source_commit"], event.data["target_commit"]) == (fix, work)
    assert "prod into release: merged, release is at " in world.account()


def test_conflict_fails_the_task_alone_and_is_an_event_once(world: World, airflow_db: Path) -> None:
    disagree(world)
    before = refs(world.origin)
    for _ in range(2):
        with pytest.raises(AirflowFailException) as caught:
            world.merge_back()
    prod, release = world.origin.head("prod")[:10], world.origin.head("release")[:10]
    assert str(caught.value) == (
        f"prod ({prod}) and release ({release}) disagree in: README. Nothing was written; merge prod into release by "
        "hand, then clear this task. The delivery goes on."
    )
    assert refs(world.origin) == before
    [event] = world.events(Kind.MERGE_CONFLICT)
    assert (event.data["files"], event.data["issue"]) == (["README"], "")
    assert "disagree in: README" in world.account()
    solve(world)
    assert world.merge_back()["outcome"] == "nothing to do"
    assert len(world.events(Kind.BRANCH_MERGED)) == 1


def test_release_is_merged_into_prod_and_tagged(world: World, airflow_db: Path) -> None:
    candidate = world.origin.commit("release", {"feature": "1"})
    world.origin.commit("prod", {"fix": "1"})
    result = world.merge_release(candidate)
    tag = f"release-{VERSION}"
    assert (result["outcome"], result["tag"], result["target"]) == ("merged", tag, "prod")
    bare = Path(world.origin.url)
    assert git(bare, "rev-parse", f"{tag}^{{commit}}") == candidate
    for text in (git(bare, "log", "-1", "--format=%B", "prod"), git(bare, "cat-file", "-p", tag).partition("\n\n")[2]):
        assert text == (
            f"Merge release api {VERSION} into prod\n\nCommit: {candidate}\nSubject: A   feature\n"
            "Run: run r1 of api_release_push\nStarted by: ada"
        )
    before = refs(world.origin)
    assert world.merge_release(candidate)["outcome"] == "nothing to do"
    assert refs(world.origin) == before
    [event] = world.events(Kind.BRANCH_MERGED)
    assert (event.run, event.data["tag"], event.data["source"]) == ("release_push-r1", tag, "release")


def test_release_that_conflicts_says_that_production_serves_it(world: World, airflow_db: Path) -> None:
    disagree(world)
    with pytest.raises(AirflowFailException, match=r"disagree in: README.*Production serves the release already"):
        world.merge_release(world.origin.head("release"))
    assert "refs/tags" not in refs(world.origin)


def test_release_that_is_not_everywhere_is_not_merged_until_it_is(world: World, airflow_db: Path) -> None:
    candidate = world.origin.commit("release", {"feature": "1"})
    before = refs(world.origin)
    world.serving = {"us-west-2": {"f" * 40, candidate}, "eu-west-1": {""}}
    with pytest.raises(AirflowSkipException) as caught:
        world.merge_release(candidate)
    both = " and ".join(sorted((candidate[:10], "f" * 10)))
    assert str(caught.value) == (
        f"not merged, as it is not everywhere: us-west-2 serves {both}, eu-west-1 serves an untagged group. "
        "Push it there too; then clear this task."
    )
    assert str(caught.value) in world.account() and world.results["word"] == str(caught.value)
    assert refs(world.origin) == before
    world.serving.clear()
    assert world.merge_release(candidate)["outcome"] == "fast-forward"


def test_release_that_a_patch_has_taken_away_is_not_pushed_over_it(world: World, airflow_db: Path) -> None:
    candidate = world.origin.commit("release", {"feature": "1"})
    patch = world.origin.commit("prod", {"fix": "1"})
    world.serving = {region: {patch} for region in ("us-east-1", "us-west-2", "eu-west-1")}
    with pytest.raises(AirflowSkipException) as caught:
        world.merge_release(candidate)
    assert str(caught.value) == (
        f"not merged, as it is not everywhere: us-east-1 serves {patch[:10]}, us-west-2 serves {patch[:10]}, eu-west-1 "
        f"serves {patch[:10]}. On prod and not in the release: {patch[:10]}; merge {candidate[:10]} into prod by hand, "
        "the merge's own run delivers both; then clear this task."
    )


def test_release_that_a_person_merged_is_tagged_when_the_merge_serves(world: World, airflow_db: Path) -> None:
    candidate = world.origin.commit("release", {"feature": "1"})
    world.origin.commit("prod", {"fix": "1"})
    git(world.origin.work, "checkout", "--quiet", "prod")
    git(world.origin.work, "merge", "--quiet", "-m", "Merge by hand", candidate)
    git(world.origin.work, "push", "--quiet", "origin", "prod")
    world.serving = {"us-east-1": {world.origin.head("prod")}}
    result = world.merge_release(candidate)
    assert (result["outcome"], result["tag"]) == ("nothing to do", f"release-{VERSION}")


def test_remote_that_is_away_is_tried_again(world: World, airflow_db: Path) -> None:
    away = Path(world.origin.url).rename(world.origin.root / "away.git")
    with pytest.raises(RetryableError, match="could not be read"):
        world.merge_back()
    away.rename(world.origin.url)
    assert world.merge_back()["outcome"] == "nothing to do"


def test_conflict_opens_an_issue_that_hears_of_the_merge(world: World, airflow_db: Path, jira: JiraServer) -> None:
    disagree(world)
    for run in ("r1", "r1", "r2"):
        with pytest.raises(AirflowFailException, match="Issue API-1"):
            world.merge_back(run)
    assert list(jira.issues) == ["API-1"]
    assert [event.data["issue"] for event in world.events(Kind.MERGE_CONFLICT)] == ["API-1", "API-1"]
    assert f"Jira: API-1 opened ({jira.url}/browse/API-1)" in world.account("r1")
    solve(world)
    jira.calls.clear()
    for _ in range(2):
        world.merge_back("r3")
    assert jira.comments("API-1")[-1].startswith("Merged since: release contains prod as of ")
    assert len([call for call in jira.calls if call.endswith("/comment")]) == 1
    jira.calls.clear()
    world.origin.commit("prod", {"fix": "1"})
    world.merge_back("r4")
    assert jira.calls == [], "a merge after a merge has nothing to tell"


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Fault("status", 500), "failed (500)"),
        (Fault("status", 401), "renew the token"),
        (Fault("hang"), "gave no answer within"),
        (Fault("close"), "cannot be reached"),
        (Fault("status", 200, "<html>"), "none of Jira's"),
    ],
)
def test_jira_that_fails_is_told_and_changes_nothing_else(
    world: World, airflow_db: Path, jira: JiraServer, fault: Fault, sentence: str
) -> None:
    disagree(world)
    jira.fault = fault
    with pytest.raises(AirflowFailException, match=r"disagree in: README.*The delivery goes on\.$"):
        world.merge_back()
    assert f"not told in Jira: Jira at {jira.url}" in world.account() and sentence in world.account()
    assert len(world.events(Kind.MERGE_CONFLICT)) == 1
    jira.fault = None
    with pytest.raises(AirflowFailException, match=r"Issue API-1\.$"):
        world.merge_back()


@pytest.mark.parametrize("extra", [{}, {"project": "no such!"}, {"project": 7}])
def test_jira_connection_that_cannot_be_used_stops_nothing(
    world: World, airflow_db: Path, jira: JiraServer, monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any]
) -> None:
    connection = {"conn_type": "http", "host": "http://127.0.0.1:9", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_REDSTART_JIRA", json.dumps(connection))
    disagree(world)
    with pytest.raises(AirflowFailException, match="disagree in: README"):
        world.merge_back()
    assert "not told in Jira: the Jira connection: project: must be a project's key" in world.account()
