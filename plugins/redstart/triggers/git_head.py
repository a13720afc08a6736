"""Watches a branch: an event for each new head, found by a poll or, at once, after a nudge."""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable
from functools import partial
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from redstart.hooks.git import CONNECTION_ID
from redstart.triggers.repository_looks import Look, RepositoryLooks, Source

SCHEMA = 1
NUDGE_SECONDS = 0.5
NOWHERE = ""
"""Where a branch is that the repository does not have."""


class GitHeadTrigger(BaseEventTrigger):
    """Fires when `branch` of `repository` is not where it was last seen: moved on, moved by force (also to a commit
    that it had before), there for the first time, or there again.

    The payload says which commit it is at, when that was seen (UTC), and via what: "poll", or "nudge" for a branch
    that somebody said had moved. A nudge is only a reason to ask the repository; what it says is not believed.

    Every `poll_seconds` the repository is asked once for all watchers of its branches, so a look that a nudge makes,
    made again or never, costs nothing but time; nudges are read every `nudge_seconds`. What was seen is kept in the
    asset's state store, and only when Airflow has the event: after a restart or a kill an event may come once more,
    and none is missing. select_commit knows whether there is something to do.

    What is kept of it outlives deployments of this code, see MomentTrigger.
    """

    def __init__(
        self,
        *,
        repository: str,
        branch: str,
        poll_seconds: float = 15.0,
        conn_id: str = CONNECTION_ID,
        nudge_seconds: float = NUDGE_SECONDS,
        schema: int = SCHEMA,
    ) -> None:
        super().__init__()
        if schema != SCHEMA:
            raise ValueError(f"a watch of schema {schema} cannot be read by this version (it knows {SCHEMA})")
        self.repository = repository
        self.branch = branch
        self.poll_seconds = poll_seconds
        self.conn_id = conn_id
        self.nudge_seconds = nudge_seconds
        self.schema = schema

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            "redstart.triggers.git_head.GitHeadTrigger",
            {
                "repository": self.repository,
                "branch": self.branch,
                "poll_seconds": self.poll_seconds,
                "conn_id": self.conn_id,
                "nudge_seconds": self.nudge_seconds,
                "schema": self.schema,
            },
        )

    @property
    def source(self) -> Source:
        return Source(self.repository, self.conn_id, self.poll_seconds, self.nudge_seconds)

    def shared_stream_key(self) -> Hashable:
        return ("git heads", self.source)

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> RepositoryLooks:
        return RepositoryLooks(cls(**kwargs).source)

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Look]) -> AsyncIterator[TriggerEvent]:
        seen = await self._remembered()
        async for look in shared_stream:
            head = look.heads.get(self.branch, NOWHERE)
            if head == seen:
                continue
            look.once_kept(partial(self._remember, head))
            seen = head
            if head != NOWHERE:
                yield TriggerEvent(self._payload(look, head))

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """For who does not share looks: the same events. A look is kept when the next one is taken."""

        async def alone() -> AsyncIterator[Look]:
            async for look, _ in RepositoryLooks(self.source).open_stream():
                yield look
                await look.keep()

        async for event in self.filter_shared_stream(alone()):
            yield event

    def _payload(self, look: Look, commit: str) -> dict[str, Any]:
        return {
            "repository": self.repository,
            "branch": self.branch,
            "commit": commit,
            "seen_at": look.seen_at.isoformat(),
            "via": "nudge" if self.branch in look.nudged else "poll",
        }

    async def _remembered(self) -> str:
        found = None if self.asset_state_store is None else await self.asset_state_store.aget(self._key)
        return NOWHERE if found is None else str(found)

    async def _remember(self, head: str) -> None:
        if self.asset_state_store is not None:
            await self.asset_state_store.aset(self._key, head)

    @property
    def _key(self) -> str:
        return f"head of {self.branch}"
