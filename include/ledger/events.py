"""What happened, as append-only facts: who did what where, why and when. A fact has one key, and is kept once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

EVENT_VERSION = 1
EVERY_REGION = "all-regions"
"""The region of what is about a cluster in all its regions at once: a delivery, a commit, a candidate."""

Json = str | int | float | bool | None | list["Json"] | Mapping[str, "Json"]


class Kind(StrEnum):
    """Every kind of fact. `step.*` are an engine's deeds, one pair a deed; the others are what people ask about."""

    LOCK_CLAIMED = "lock.claimed"
    LOCK_TAKEN_OVER = "lock.taken_over"
    LOCK_RELEASED = "lock.released"
    HOLD_PLACED = "hold.placed"
    HOLD_LIFTED = "hold.lifted"
    STEP_INTENDED = "step.intended"
    STEP_DONE = "step.done"
    PUSH_STARTED = "push.started"
    RED_LAUNCHED = "red.launched"
    RED_HEALTHY = "red.healthy"
    TRAFFIC_SHARED = "traffic.shared"
    PREVIOUS_BLACK = "previous.black"
    PUSH_FINISHED = "push.finished"
    PUSH_FAILED = "push.failed"
    ROLLBACK_STARTED = "rollback.started"
    ROLLBACK_SAFE = "rollback.safe"
    ROLLBACK_FINISHED = "rollback.finished"
    ROLLBACK_FAILED = "rollback.failed"
    BLACK_DELETED = "black.deleted"
    COMMIT_SELECTED = "commit.selected"
    COMMIT_SUPERSEDED = "commit.superseded"
    BRANCH_VERIFIED = "branch.verified"
    CANDIDATE_MADE = "candidate.made"
    CANDIDATE_CHOSEN = "candidate.chosen"
    BRANCH_MERGED = "branch.merged"
    MERGE_CONFLICT = "merge.conflict"
    CANARY_DELETED = "canary.deleted"
    BUILDER_ENDED = "builder.ended"
    IMAGE_DELETED = "image.deleted"
    LOCK_STALE = "lock.stale"
    WAVES_PLANNED = "waves.planned"
    DELIVERY_HALTED = "delivery.halted"
    WINDOWS_LEARNED = "windows.learned"
    WINDOW_OVERRIDDEN = "window.overridden"


@dataclass(frozen=True)
class Place:
    """A cluster in a region, or in every region: what a lock, a hold or an event is about."""

    app: str
    stack: str
    region: str

    def __str__(self) -> str:
        where = "all regions" if self.region == EVERY_REGION else self.region
        return f"{self.app}-{self.stack} in {where}"


@dataclass(frozen=True)
class Event:
    """One fact. `key` makes it unique: recorded again under the same key, it is the same fact and is kept once.

    `at` is tz-aware UTC. `who` is a person or the automation's run; `run` the push, rollback or canary it belongs to
    ("" for what belongs to none). `data` is JSON; `version` that of its shape.
    """

    key: str
    kind: Kind
    at: datetime
    place: Place
    run: str = ""
    who: str = ""
    why: str = ""
    data: Mapping[str, Json] = field(default_factory=dict)
    version: int = EVENT_VERSION


@dataclass(frozen=True)
class Recorded:
    """An event as it is kept: `number` grows with every event of the ledger."""

    number: int
    event: Event
