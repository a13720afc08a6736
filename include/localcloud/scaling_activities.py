"""Scaling activities: what a group did, when and why; AWS's describe_scaling_activities shows them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime

from include.localcloud.clock import utc

KEPT = 2000


@dataclass
class Activity:
    """Attribute names are those of AWS's shape in snake case: moto's serialiser reads them."""

    auto_scaling_group_name: str
    description: str
    cause: str
    start_time: datetime
    status_code: str = "InProgress"
    status_message: str | None = None
    end_time: datetime | None = None
    progress: int = 0
    details: str = "{}"
    instance_id: str = ""
    activity_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def is_over(self) -> bool:
        return self.end_time is not None

    def finish(self, now: float, status: str = "Successful", message: str | None = None) -> None:
        if not self.is_over:
            self.status_code, self.status_message, self.end_time = status, message, utc(now)
            self.progress = 100


class ActivityLog:
    """Of one account and region; the newest first."""

    def __init__(self) -> None:
        self._all: list[Activity] = []

    def begin(self, group: str, description: str, cause: str, now: float, instance_id: str = "") -> Activity:
        activity = Activity(group, description, f"At {utc(now):%Y-%m-%dT%H:%M:%SZ} {cause}", utc(now))
        activity.instance_id = instance_id
        self._all.insert(0, activity)
        del self._all[KEPT:]
        return activity

    def of(self, group: str | None = None, ids: list[str] | None = None) -> list[Activity]:
        return [
            one
            for one in self._all
            if (group is None or one.auto_scaling_group_name == group) and (not ids or one.activity_id in ids)
        ]

    def open_of(self, group: str) -> list[Activity]:
        return [one for one in self.of(group) if not one.is_over]
