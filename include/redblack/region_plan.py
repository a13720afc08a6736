"""The plan of a region's push, as values: every step, every changing call, how long, and the way back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from include.fleet import ClusterRef
from include.ledger import Kind
from include.redblack.picture import GroupPicture


@dataclass(frozen=True)
class PlannedCall:
    """One changing call to AWS, as boto3 is asked for it. Ids that only AWS can give are words in parentheses."""

    at: datetime
    service: str
    operation: str
    parameters: Mapping[str, Any]


class Outcome(StrEnum):
    """How a rehearsal ended. WAITS: what it waits for never comes; UNREADABLE: AWS could not be read."""

    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    WAITS = "waits"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class PlannedStep:
    """A deed or a wait, `after_seconds` from the begin; waits of one kind are one step that takes `seconds`."""

    after_seconds: float
    sentence: str
    seconds: float = 0.0
    calls: tuple[PlannedCall, ...] = ()


@dataclass(frozen=True)
class Rehearsed:
    """What a push or a rollback will do, step by step, and how it ends; `word` is the end's own sentence.

    `moments`: seconds from the begin until the facts that the engine would note.
    """

    outcome: Outcome
    word: str
    steps: tuple[PlannedStep, ...] = ()
    seconds: float = 0.0
    moments: Mapping[Kind, float] = field(default_factory=dict)

    @property
    def calls(self) -> tuple[PlannedCall, ...]:
        return tuple(call for step in self.steps for call in step.calls)


@dataclass(frozen=True)
class RegionPlan:
    """The plan of a region's push. Groups that matter as they are now, while both serve, and at the end; `notes` say
    what stands in the way (a lock, a hold). `back`: the way back from the push's end; None where that has none."""

    cluster: ClusterRef
    push: Rehearsed
    back: Rehearsed | None = None
    before: tuple[GroupPicture, ...] = ()
    during: tuple[GroupPicture, ...] = ()
    after: tuple[GroupPicture, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def refused(cls, cluster: ClusterRef, why: str, outcome: Outcome = Outcome.REFUSED) -> RegionPlan:
        """There is nothing to rehearse."""
        return cls(cluster, Rehearsed(outcome, why))

    @property
    def users_seconds(self) -> float | None:
        """Until all users are on the new version; None where they never are."""
        moments = self.push.moments
        return moments.get(Kind.PREVIOUS_BLACK, moments.get(Kind.TRAFFIC_SHARED))

    @property
    def safe_seconds(self) -> float | None:
        """Of the way back: until all users are on the old version; None where there is no way."""
        return self.back.moments.get(Kind.ROLLBACK_SAFE) if self.back is not None else None
