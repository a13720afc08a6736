"""Looks at a repository: where every branch is, at every poll and as soon as somebody nudges."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from airflow.triggers.shared_stream import AdvanceItem, SharedStreamProducer

from redstart.hooks.git import GitRepositoryHook
from redstart.operators import clock
from redstart.triggers.nudge_board import nudge_board
from redstart.triggers.own_thread import in_own_thread

if TYPE_CHECKING:
    from redstart.hooks.git import GitRepository

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """Which repository is looked at, and how often. Watchers of the same source share its looks."""

    repository: str
    conn_id: str
    poll_seconds: float
    nudge_seconds: float


@dataclass
class Look:
    """What the remote said: branch -> commit. `nudged`: the branches because of which it was asked before its time."""

    heads: Mapping[str, str]
    seen_at: datetime
    nudged: frozenset[str]
    _deeds: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    def once_kept(self, deed: Callable[[], Awaitable[None]]) -> None:
        """To be done when Airflow has every event that came of this look in its database."""
        self._deeds.append(deed)

    async def keep(self) -> None:
        """Do it. What cannot be done now leads to the same event once more after a restart, which is harmless."""
        for deed in self._deeds:
            try:
                await deed()
            except Exception as error:
                log.warning("What was seen could not be remembered: %s", error)


class RepositoryLooks(SharedStreamProducer):
    """The looks at one repository, for all watchers of its branches.

    Airflow calls `advance` with a look once the events that watchers made of it are in its database: only then may it
    be remembered what they have seen. A triggerer that is killed before that sees it once more.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._repository: GitRepository | None = None
        self._said = ""

    async def open_stream(self) -> AsyncIterator[tuple[Look, Look]]:
        nudged: frozenset[str] = frozenset()
        while True:
            counts = await self._counts()
            heads = await self._heads()
            if heads is not None:
                look = Look(heads, clock.now(), nudged)
                yield look, look
            nudged = await self._until_next_look(counts)

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        for look, outcome in batch:
            if not outcome.failed:
                await look.keep()

    async def _heads(self) -> dict[str, str] | None:
        """None where the remote does not answer; it is asked again at the next poll, by the connection of then."""
        source = self._source
        try:
            if self._repository is None:
                self._repository = await GitRepositoryHook(source.conn_id).arepository(source.repository)
            heads = await in_own_thread(self._repository.branch_heads)
        except Exception as error:  # whatever it is, a watch that ends would lose commits
            self._say(f"{source.repository} cannot be looked at, next in {source.poll_seconds:g} s: {error}")
            self._repository = None
            return None
        self._say("")
        return heads

    async def _until_next_look(self, counts: Mapping[str, int]) -> frozenset[str]:
        """Wait for the next poll, or for a nudge; the branches that were nudged."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._source.poll_seconds
        while (left := end - loop.time()) > 0:
            await asyncio.sleep(min(left, self._source.nudge_seconds))
            now = await self._counts()
            if nudged := frozenset(branch for branch, count in now.items() if count > counts.get(branch, 0)):
                return nudged
        return frozenset()

    async def _counts(self) -> dict[str, int]:
        counts = await nudge_board().counts(self._source.nudge_seconds)
        return {branch: count for (name, branch), count in counts.items() if name == self._source.repository}

    def _say(self, trouble: str) -> None:
        """The same trouble once, and that it is over."""
        if trouble and trouble != self._said:
            log.warning("%s", trouble)
        if self._said and not trouble:
            log.info("%s answers again", self._source.repository)
        self._said = trouble
