"""A region's groups as a rehearsal has them: read once, then changed in memory, and moved by its own clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from include.adapters.aws_errors import tag_map

DELETE_SECONDS = 60
NEVER = timedelta(days=3650)


class Clock:
    """Stands still until it is moved."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


@dataclass
class Member:
    """An instance, and from when on it can serve."""

    instance_id: str
    zone: str
    ready_at: datetime
    found: Mapping[str, Any] = field(default_factory=dict)

    def shown(self, now: datetime) -> dict[str, Any]:
        """As Auto Scaling shows it."""
        if now >= self.ready_at:
            state = {"LifecycleState": "InService", "HealthStatus": "Healthy"}
        else:
            state = {"LifecycleState": self.found.get("LifecycleState", "Pending"), "HealthStatus": "Healthy"}
        return {"InstanceId": self.instance_id, "AvailabilityZone": self.zone, **state}


@dataclass
class ScalingGroup:
    """An Auto Scaling group. `found` is what it shows besides its members."""

    found: dict[str, Any]
    members: list[Member]
    zones: tuple[str, ...]
    start_seconds: float
    launched: int = 0
    deleted_at: datetime | None = None

    @classmethod
    def read(cls, found: Mapping[str, Any], now: datetime, start_seconds: float) -> ScalingGroup:
        """As the account has it: who does not serve yet will, a start time from now, where the group may launch."""
        members = [
            Member(one["InstanceId"], one.get("AvailabilityZone", ""), now, one) for one in found.get("Instances", ())
        ]
        zones = tuple(found.get("AvailabilityZones", ()))
        group = cls({**found, "Tags": list(found.get("Tags", ()))}, members, zones, start_seconds)
        for member in members:
            if not _is_well(member.found):
                group.heal_later(member, now)
        if found.get("Status"):  # AWS says it of a group that it is deleting, and of no other
            group.deleted_at = now
        return group

    @property
    def name(self) -> str:
        return str(self.found["AutoScalingGroupName"])

    @property
    def tags(self) -> dict[str, str]:
        return tag_map(self.found["Tags"])

    @property
    def suspended(self) -> set[str]:
        return {one["ProcessName"] for one in self.found.get("SuspendedProcesses", ())}

    def shown(self, now: datetime) -> dict[str, Any]:
        return {**self.found, "Instances": [member.shown(now) for member in self.members]}

    def heal_later(self, member: Member, now: datetime) -> None:
        """One that does not serve is replaced, where the group may do that; else it stays so."""
        may_launch = not self.suspended & {"Launch", "Terminate"}
        member.ready_at = now + (timedelta(seconds=self.start_seconds) if may_launch else NEVER)

    def suspend(self, processes: set[str]) -> None:
        self.found["SuspendedProcesses"] = [{"ProcessName": one, "SuspensionReason": ""} for one in sorted(processes)]

    def tag(self, tags: Mapping[str, str]) -> None:
        merged = {**self.tags, **tags}
        self.found["Tags"] = [{"Key": key, "Value": value} for key, value in merged.items()]

    def settle(self, now: datetime) -> None:
        """Launch or end what is missing or too many, as far as its processes run."""
        wanted = 0 if self.deleted_at else int(self.found["DesiredCapacity"])
        while len(self.members) < wanted and "Launch" not in self.suspended:
            self.launched += 1
            zone = self.zones[len(self.members) % len(self.zones)] if self.zones else ""
            ready_at = now + timedelta(seconds=self.start_seconds)
            self.members.append(Member(f"(instance {self.launched} of {self.name})", zone, ready_at))
        if len(self.members) > wanted and ("Terminate" not in self.suspended or self.deleted_at):
            del self.members[wanted:]

    def is_gone(self, now: datetime) -> bool:
        return self.deleted_at is not None and now >= self.deleted_at + timedelta(seconds=DELETE_SECONDS)


def refusal(code: str, message: str, operation: str) -> ClientError:
    """As AWS refuses: so the adapter does with it what it does with AWS's own."""
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


def _is_well(found: Mapping[str, Any]) -> bool:
    return found.get("LifecycleState") == "InService" and found.get("HealthStatus", "Healthy") == "Healthy"
