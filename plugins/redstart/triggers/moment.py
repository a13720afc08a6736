"""Waits for a moment: absolute, so that no restart begins it again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

SCHEMA = 1
# An event that comes before the scheduler has noted the deferral fails the task; 0 of 400 did so after 5 s.
FIRST_EVENT_SECONDS = 5.0


class MomentTrigger(BaseTrigger):
    """Fires once, with the end it waited for, at `end_epoch` (seconds, UTC), and not before 5 s have passed.

    What is kept of it outlives deployments of this code: `schema` says how to read the rest, and
    tests/golden/triggers has every version that must still load. `subject` is only for the log.
    """

    what = "looked at again"

    def __init__(
        self, *, end_epoch: float, subject: str, say_every_seconds: float = 60.0, schema: int = SCHEMA
    ) -> None:
        super().__init__()
        if schema != SCHEMA:
            raise ValueError(f"a wait of schema {schema} cannot be read by this version (it knows {SCHEMA})")
        self.end_epoch = float(end_epoch)
        self.subject = subject
        self.say_every_seconds = say_every_seconds
        self.schema = schema

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "end_epoch": self.end_epoch,
                "subject": self.subject,
                "say_every_seconds": self.say_every_seconds,
                "schema": self.schema,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        await asyncio.sleep(FIRST_EVENT_SECONDS)
        while (left := self.end_epoch - time.time()) > 0:
            self.log.info("%s: %s in %s", self.subject, self.what, clock_words(left))
            await asyncio.sleep(min(left, self.say_every_seconds))
        yield TriggerEvent({"schema": self.schema, "end_epoch": self.end_epoch})


def clock_words(seconds: float) -> str:
    """`1:02:03`: hours, minutes and seconds."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
