"""Watches a branch: an event for each new head that a poll finds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from include.errors import RetryableError
from redstart.hooks.git import CONNECTION_ID, GitRepositoryHook


class GitHeadTrigger(BaseEventTrigger):
    """Fires with the commit when `branch` of `repository` is not where it was last seen.

    The last seen commit is kept in the asset's state store, so that a restart neither misses nor repeats one.
    The first sight of a branch fires as well: select_commit knows whether there is something to do. A remote
    that does not answer is asked again at the next poll.
    """

    def __init__(
        self, *, repository: str, branch: str, poll_seconds: float = 15.0, conn_id: str = CONNECTION_ID
    ) -> None:
        super().__init__()
        self.repository = repository
        self.branch = branch
        self.poll_seconds = poll_seconds
        self.conn_id = conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            "redstart.triggers.git_head.GitHeadTrigger",
            {
                "repository": self.repository,
                "branch": self.branch,
                "poll_seconds": self.poll_seconds,
                "conn_id": self.conn_id,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        repository = await GitRepositoryHook(self.conn_id).arepository(self.repository)
        key = f"head of {self.branch}"
        seen = await self._remembered(key)
        while True:
            commit = await self._head(repository)
            if commit and commit != seen:
                yield TriggerEvent({"repository": self.repository, "branch": self.branch, "commit": commit})
                # After the event: a stop in between repeats it, which is harmless; the other order could lose it.
                await self._remember(key, commit)
                seen = commit
            await asyncio.sleep(self.poll_seconds)

    async def _head(self, repository: Any) -> str | None:
        try:
            heads: dict[str, str] = await asyncio.to_thread(repository.branch_heads)
        except RetryableError as error:
            self.log.warning("%s", error)
            return None
        return heads.get(self.branch)

    async def _remembered(self, key: str) -> str | None:
        if self.asset_state_store is None:
            return None
        found = await self.asset_state_store.aget(key)
        return None if found is None else str(found)

    async def _remember(self, key: str, commit: str) -> None:
        if self.asset_state_store is not None:
            await self.asset_state_store.aset(key, commit)
