"""Watchers of branches, against real repositories and ledgers: nothing is missed, and nobody waits for another."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from include.adapters.git_repository import GitRepository
from include.adapters.ledger_store import SqlLedger
from redstart.triggers import nudge_board
from redstart.triggers.git_head import GitHeadTrigger
from tests.support.git import Origin, git, make_origin
from tests.support.ledger import fresh_ledger
from tests.support.triggerer import AssetStore, Triggerer

SELDOM = 60.0
OFTEN = 0.1
Watch = Callable[[Callable[[Triggerer], Awaitable[None]]], None]


@pytest.fixture
def origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Origin:
    connection = {"conn_type": "generic", "host": str(tmp_path)}
    monkeypatch.setenv("AIRFLOW_CONN_REDSTART_GIT", json.dumps(connection))
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    return make_origin(tmp_path)


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqlLedger]:
    file = tmp_path / "ledger.db"
    monkeypatch.setenv("AIRFLOW_CONN_REDSTART_LEDGER", json.dumps({"conn_type": "sqlite", "host": str(file)}))
    ledger = fresh_ledger(file)
    yield ledger
    ledger.close()


@pytest.fixture
def store() -> AssetStore:
    return AssetStore()


def head_of(branch: str = "prod", *, poll: float = OFTEN, repository: str = "api.git") -> GitHeadTrigger:
    return GitHeadTrigger(repository=repository, branch=branch, poll_seconds=poll, nudge_seconds=0.05)


def nudge(ledger: SqlLedger, branch: str = "prod", commit: str = "") -> None:
    ledger.nudge("api.git", branch, commit, datetime.now(UTC))


def watching(deed: Callable[[Triggerer], Awaitable[None]]) -> None:
    """A triggerer's whole life, at the end of which it is killed."""

    async def live() -> None:
        triggerer = Triggerer()
        try:
            await deed(triggerer)
        finally:
            await triggerer.kill()

    asyncio.run(live())


def test_each_new_head_is_told_once_with_where_and_when(origin: Origin, ledger: SqlLedger, store: AssetStore) -> None:
    async def deed(triggerer: Triggerer) -> None:
        triggerer.watch(head_of(), store)
        await triggerer.fired(1)
        second = origin.commit("prod", {"a": "1"})
        (first, event) = await triggerer.fired(2)
        assert (first["via"], event["via"]) == ("poll", "poll")
        assert (event["repository"], event["branch"], event["commit"]) == ("api.git", "prod", second)
        assert abs((datetime.now(UTC) - datetime.fromisoformat(event["seen_at"])).total_seconds()) < 5
        await triggerer.until(lambda: store == {"head of prod": second})

    watching(deed)


def test_a_nudge_has_the_remote_asked_at_once(origin: Origin, ledger: SqlLedger, store: AssetStore) -> None:
    async def deed(triggerer: Triggerer) -> None:
        triggerer.watch(head_of(poll=SELDOM), store)
        triggerer.watch(head_of("test", poll=SELDOM), AssetStore())
        await triggerer.fired(2)
        commits = {branch: origin.commit(branch, {branch: "1"}) for branch in ("prod", "test")}
        nudge(ledger, "prod")
        events = (await triggerer.fired(4, seconds=3))[2:]
        assert {event["branch"]: event["commit"] for event in events} == commits
        assert {event["branch"]: event["via"] for event in events} == {"prod": "nudge", "test": "poll"}

    watching(deed)


def test_what_a_nudge_says_of_a_commit_is_not_believed(origin: Origin, ledger: SqlLedger, store: AssetStore) -> None:
    async def deed(triggerer: Triggerer) -> None:
        asked = count_asks(monkeypatch)
        triggerer.watch(head_of(poll=SELDOM), store)
        await triggerer.fired(1)
        for number in range(3):
            nudge(ledger, commit="f" * 40)
            await triggerer.until(lambda wanted=number + 2: len(asked) == wanted)
        assert await triggerer.fired(1) == [triggerer.events[0]]

    with pytest.MonkeyPatch.context() as monkeypatch:
        watching(deed)


def test_nudges_that_came_before_it_are_no_reason_to_ask_again(
    origin: Origin, ledger: SqlLedger, store: AssetStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    nudge(ledger)

    async def deed(triggerer: Triggerer) -> None:
        asked = count_asks(monkeypatch)
        triggerer.watch(head_of(poll=SELDOM), store)
        assert (await triggerer.fired(1))[0]["via"] == "poll"
        await asyncio.sleep(0.5)
        assert len(asked) == 1

    watching(deed)


def count_asks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    asked: list[str] = []
    real = GitRepository.branch_heads

    def branch_heads(repository: GitRepository) -> dict[str, str]:
        asked.append(repository.url)
        return real(repository)

    monkeypatch.setattr(GitRepository, "branch_heads", branch_heads)
    return asked


def test_one_question_a_poll_serves_all_branches_of_a_repository(
    origin: Origin, ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def deed(triggerer: Triggerer) -> None:
        asked = count_asks(monkeypatch)
        for branch in ("prod", "release", "test"):
            triggerer.watch(head_of(branch, poll=SELDOM), AssetStore())
        assert {event["branch"] for event in await triggerer.fired(3)} == {"prod", "release", "test"}
        assert len(asked) == 1

    watching(deed)


def test_who_comes_later_learns_of_its_branch_at_the_next_poll(
    origin: Origin, ledger: SqlLedger, store: AssetStore
) -> None:
    async def deed(triggerer: Triggerer) -> None:
        triggerer.watch(head_of("prod"), store)
        await triggerer.fired(1)
        triggerer.watch(head_of("test"), AssetStore())
        assert (await triggerer.fired(2))[1]["branch"] == "test"

    watching(deed)


def test_what_happened_while_nobody_watched_is_found(origin: Origin, ledger: SqlLedger, store: AssetStore) -> None:
    async def first(triggerer: Triggerer) -> None:
        triggerer.watch(head_of(), store)
        await triggerer.fired(1)
        await triggerer.until(lambda: bool(store))

    watching(first)
    commit = origin.commit("prod", {"a": "1"})

    async def later(triggerer: Triggerer) -> None:
        triggerer.watch(head_of(poll=SELDOM), store)
        assert (await triggerer.fired(1))[0]["commit"] == commit

    watching(later)


def test_an_event_that_airflow_did_not_get_is_told_again(origin: Origin, ledger: SqlLedger, store: AssetStore) -> None:
    """Killed between the event and its row in Airflow's database: the commit must not count as seen."""
    commit = origin.commit("prod", {"a": "1"})

    async def killed(triggerer: Triggerer) -> None:
        triggerer.watch(head_of(), store)
        await triggerer.fired(1, persisting=False)
        await asyncio.sleep(5 * OFTEN)
        assert store == {}

    async def again(triggerer: Triggerer) -> None:
        triggerer.watch(head_of(), store)
        assert (await triggerer.fired(1, persisting=False))[0]["commit"] == commit
        await triggerer.until(lambda: store == {"head of prod": commit})

    async def quiet(triggerer: Triggerer) -> None:
        triggerer.watch(head_of(), store)
        await asyncio.sleep(5 * OFTEN)
        assert triggerer.events == []

    for life in (killed, again, quiet):
        watching(life)


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_branch_moved_by_force_is_a_new_head_whatever_it_was_before(
    origin: Origin, ledger: SqlLedger, store: AssetStore, is_restarted: bool
) -> None:
    old = origin.head("prod")
    new = origin.commit("prod", {"a": "1"})

    async def told(triggerer: Triggerer, commit: str, count: int) -> None:
        assert (await triggerer.fired(count))[-1]["commit"] == commit
        await triggerer.until(lambda: store == {"head of prod": commit})

    def force(commit: str) -> None:
        git(origin.work, "push", "--quiet", "--force", "origin", f"{commit}:refs/heads/prod")

    async def one_life(triggerer: Triggerer) -> None:
        triggerer.watch(head_of(), store)
        await told(triggerer, new, 1)
        for count, commit in enumerate((old, new, old), 2):
            force(commit)
            await told(triggerer, commit, count)

    async def short_life(triggerer: Triggerer, commit: str) -> None:
        triggerer.watch(head_of(), store)
        await told(triggerer, commit, 1)

    if not is_restarted:
        watching(one_life)
        return
    for commit in (new, old, new, old):
        force(commit)
        watching(lambda triggerer, commit=commit: short_life(triggerer, commit))


def test_a_branch_may_come_later_go_and_come_back(origin: Origin, ledger: SqlLedger, store: AssetStore) -> None:
    commit = origin.head("prod")

    async def deed(triggerer: Triggerer) -> None:
        triggerer.watch(head_of("next"), store)
        await asyncio.sleep(3 * OFTEN)
        assert triggerer.events == []
        for count in (1, 2):
            git(origin.work, "push", "--quiet", "origin", f"{commit}:refs/heads/next")
            assert (await triggerer.fired(count))[-1]["commit"] == commit
            git(origin.work, "push", "--quiet", "origin", ":refs/heads/next")
            await triggerer.until(lambda: store == {"head of next": ""})

    watching(deed)


def test_a_remote_that_was_away_is_asked_again(origin: Origin, ledger: SqlLedger, store: AssetStore) -> None:
    away = Path(origin.url).rename(origin.root / "away.git")

    async def deed(triggerer: Triggerer) -> None:
        triggerer.watch(head_of(), store)
        await asyncio.sleep(5 * OFTEN)
        away.rename(origin.url)
        await triggerer.fired(1)

    watching(deed)


def test_a_missing_connection_is_looked_for_again(
    origin: Origin, ledger: SqlLedger, store: AssetStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = str(origin.root)
    monkeypatch.delenv("AIRFLOW_CONN_REDSTART_GIT")

    async def deed(triggerer: Triggerer) -> None:
        triggerer.watch(head_of(), store)
        await asyncio.sleep(5 * OFTEN)
        monkeypatch.setenv("AIRFLOW_CONN_REDSTART_GIT", json.dumps({"conn_type": "generic", "host": said}))
        await triggerer.fired(1)

    watching(deed)


def test_remotes_that_hang_stop_no_other_watcher(
    origin: Origin, ledger: SqlLedger, store: AssetStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of them than the loop has threads."""
    released, real = threading.Event(), GitRepository.branch_heads

    def hangs(repository: GitRepository) -> dict[str, str]:
        if "hangs" in repository.url:
            released.wait(30)
        return real(repository)

    monkeypatch.setattr(GitRepository, "branch_heads", hangs)

    async def deed(triggerer: Triggerer) -> None:
        for number in range(40):
            triggerer.watch(head_of(repository=f"hangs-{number}.git"), AssetStore())
        triggerer.watch(head_of(), store)
        await triggerer.fired(1)
        origin.commit("prod", {"a": "1"})
        await triggerer.fired(2)
        nudge(ledger)
        origin.commit("prod", {"a": "2"})
        await triggerer.fired(3)

    began = time.monotonic()
    try:
        watching(deed)
        assert time.monotonic() - began < 20, "they do not hold up its end either"
    finally:
        released.set()


class HangingLedger:
    def __init__(self, released: threading.Event) -> None:
        self.released = released
        self.asked = 0

    def nudges(self) -> dict[tuple[str, str], int]:
        self.asked += 1
        self.released.wait(30)
        return {}


def test_a_ledger_that_hangs_only_makes_it_slower(
    origin: Origin, store: AssetStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    ledger = HangingLedger(released)

    async def aledger(hook: Any) -> HangingLedger:
        return ledger

    monkeypatch.setattr("redstart.hooks.ledger.LedgerHook.aledger", aledger)

    async def deed(triggerer: Triggerer) -> None:
        triggerer.watch(head_of(), store)
        await triggerer.fired(1)
        origin.commit("prod", {"a": "1"})
        await triggerer.fired(2)

    try:
        watching(deed)
        assert ledger.asked == 1, "it is not asked again while it has not answered"
    finally:
        released.set()


def test_a_ledger_that_is_away_is_read_again_later(
    origin: Origin, store: AssetStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "ledger.db"
    monkeypatch.setenv("AIRFLOW_CONN_REDSTART_LEDGER", json.dumps({"conn_type": "sqlite", "host": str(file)}))
    monkeypatch.setattr(nudge_board, "REST_SECONDS", 0.3)

    async def deed(triggerer: Triggerer) -> None:
        triggerer.watch(head_of(poll=SELDOM), store)
        await triggerer.fired(1)
        assert "Nudges cannot be read" in caplog.text
        ledger = fresh_ledger(file)
        commit = origin.commit("prod", {"a": "1"})
        nudge(ledger)
        assert (await triggerer.fired(2))[1]["commit"] == commit
        ledger.close()

    watching(deed)


def test_watchers_of_many_repositories_share_one_reading_of_the_ledger(
    origin: Origin, ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads, real = [], SqlLedger.nudges

    def nudges(self: SqlLedger) -> Any:
        reads.append(1)
        return real(self)

    monkeypatch.setattr(SqlLedger, "nudges", nudges)
    for number in range(10):
        (origin.root / f"copy-{number}.git").symlink_to(origin.url)

    async def deed(triggerer: Triggerer) -> None:
        for number in range(10):
            trigger = head_of(poll=SELDOM, repository=f"copy-{number}.git")
            trigger.nudge_seconds = 0.2
            triggerer.watch(trigger, AssetStore())
        await triggerer.fired(10)
        reads.clear()
        await asyncio.sleep(2)
        assert len(reads) <= 12, "a tenth of what each of them for itself would be"

    watching(deed)
