"""As much of a triggerer as watchers of branches meet: shared streams, a state store per asset, events to be kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from airflow.triggers.base import BaseEventTrigger
from airflow.triggers.shared_stream import SharedStreamManager


class AssetStore(dict[str, str]):
    """An asset's state store, which outlives triggerers."""

    async def aget(self, key: str) -> str | None:
        return self.get(key)

    async def aset(self, key: str, value: str) -> None:
        self[key] = value


class Triggerer:
    """`events` are the payloads that were fired, in order; Airflow has them in its database after `persist`."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self._streams = SharedStreamManager()
        self._unconfirmed: list[int] = []
        self._tasks: list[asyncio.Task[None]] = []

    def watch(self, trigger: BaseEventTrigger, store: AssetStore) -> None:
        """Run the trigger, as its asset's."""
        trigger.asset_state_store = store  # type: ignore[assignment]
        self._tasks.append(asyncio.get_running_loop().create_task(self._run(len(self._tasks), trigger)))

    def persist(self) -> None:
        confirmed, self._unconfirmed = self._unconfirmed, []
        self._streams.confirm_persisted(confirmed)

    async def kill(self) -> None:
        """From one moment to the next: what was not persisted is lost."""
        self.check()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._streams.stop_all()

    def check(self) -> None:
        """Raise what a watcher has ended with: none ever ends."""
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()
                raise AssertionError("a watcher has returned")

    async def until(self, condition: Callable[[], bool], seconds: float = 10, *, persisting: bool = True) -> float:
        """Wait for it, as the triggerer's loop goes round; the seconds that it took."""
        began = time.monotonic()
        while not condition():
            self.check()
            assert time.monotonic() - began < seconds, f"not within {seconds} s; fired: {self.events}"
            await asyncio.sleep(0.02)
            if persisting:
                self.persist()
        return time.monotonic() - began

    async def fired(self, count: int, seconds: float = 10, *, persisting: bool = True) -> list[dict[str, Any]]:
        """The payloads, once there are `count`."""
        await self.until(lambda: len(self.events) >= count, seconds, persisting=persisting)
        assert len(self.events) == count, self.events
        return self.events

    async def _run(self, trigger_id: int, trigger: BaseEventTrigger) -> None:
        key = trigger.shared_stream_key()
        assert key is not None
        looks = self._streams.subscribe(trigger_id=trigger_id, trigger=trigger, key=key)
        try:
            async for event in trigger.filter_shared_stream(looks):
                number = self._streams.bind_pending_event(trigger_id=trigger_id, key=key)
                assert number is not None
                self._unconfirmed.append(number)
                self.events.append(event.payload)
        finally:
            await self._streams.unsubscribe(trigger_id, key)
            await trigger.cleanup()
