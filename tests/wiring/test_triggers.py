"""What waits in the triggerer: absolute moments that survive restarts, and heads that are never missed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from include.errors import RetryableError
from redstart.triggers import moment
from redstart.triggers.canary_soak import CanarySoakTrigger
from redstart.triggers.git_head import GitHeadTrigger

GOLDEN = Path(__file__).parents[1] / "golden" / "triggers"
COMMITS = ["a" * 40, "b" * 40, "c" * 40]


def rebuild(classpath: str, kwargs: dict[str, Any]) -> Any:
    module, name = classpath.rsplit(".", 1)
    return getattr(import_module(module), name)(**kwargs)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_every_version_ever_kept_still_loads(path: Path) -> None:
    kept = json.loads(path.read_text())
    classpath, kwargs = rebuild(kept["classpath"], kept["kwargs"]).serialize()
    assert classpath == kept["classpath"]
    assert kept["kwargs"].items() <= kwargs.items()
    assert rebuild(classpath, json.loads(json.dumps(kwargs))).serialize() == (classpath, kwargs)


def test_soak_of_a_later_version_is_not_guessed_at() -> None:
    with pytest.raises(ValueError, match="schema 2"):
        CanarySoakTrigger(end_epoch=0, subject="x", schema=2)


async def first(events: AsyncIterator[Any]) -> Any:
    return await anext(events)


def test_restarted_soak_ends_at_the_same_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moment, "FIRST_EVENT_SECONDS", 0.05)
    end = time.time() + 0.6
    trigger = CanarySoakTrigger(end_epoch=end, subject="x", say_every_seconds=0.1)

    async def killed_half_way() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(first(trigger.run()), 0.3)

    asyncio.run(killed_half_way())
    event = asyncio.run(first(rebuild(*trigger.serialize()).run()))
    assert end <= time.time() < end + 0.4
    assert event.payload == {"schema": 1, "end_epoch": end}


def test_no_event_before_the_deferral_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert moment.FIRST_EVENT_SECONDS >= 5
    monkeypatch.setattr(moment, "FIRST_EVENT_SECONDS", 0.3)
    began = time.monotonic()
    asyncio.run(first(CanarySoakTrigger(end_epoch=0, subject="x").run()))
    assert time.monotonic() - began >= 0.3


class Remote:
    """A remote whose answers are given in advance; an error is raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    def branch_heads(self) -> dict[str, str]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return {"prod": answer} if answer else {}


class Store(dict[str, str]):
    async def aget(self, key: str) -> str | None:
        return self.get(key)

    async def aset(self, key: str, value: str) -> None:
        self[key] = value


def watch(monkeypatch: pytest.MonkeyPatch, remote: Remote, store: Store, count: int) -> list[str]:
    """The commits of the first `count` events, the last one given time to be remembered."""

    async def arepository(self: Any, name: str) -> Remote:
        return remote

    monkeypatch.setattr("redstart.hooks.git.GitRepositoryHook.arepository", arepository)
    trigger = GitHeadTrigger(repository="api", branch="prod", poll_seconds=0.01)
    trigger.asset_state_store = store  # type: ignore[assignment]

    async def collect() -> list[str]:
        events, found = trigger.run(), []
        for _ in range(count):
            found.append((await anext(events)).payload["commit"])
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(anext(events), 0.1)
        return found

    return asyncio.run(collect())


def test_each_new_head_is_one_event_and_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    remote = Remote(COMMITS[0], COMMITS[0], COMMITS[1], COMMITS[1], COMMITS[2])
    assert watch(monkeypatch, remote, store, 3) == COMMITS
    assert store == {"head of prod": COMMITS[2]}


def test_restart_repeats_nothing_and_misses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store({"head of prod": COMMITS[0]})
    assert watch(monkeypatch, Remote(COMMITS[0]), store, 0) == []
    assert watch(monkeypatch, Remote(COMMITS[1]), store, 1) == [COMMITS[1]]


def test_remote_that_is_away_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    remote = Remote(RetryableError("away"), RetryableError("away"), "", COMMITS[0])
    assert watch(monkeypatch, remote, Store(), 1) == [COMMITS[0]]
