"""A fleet in memory: a state machine moved by a clock of its own, with the failures a real one has.

Each verb is made of the calls that the adapter makes (a group is a target group, a template and an Auto Scaling
group), and every call is a place where the engine may be killed, before or after it, or be throttled.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from include.errors import RefusedError
from include.fleet import (
    Capacity,
    ClusterRef,
    ClusterView,
    Group,
    GroupSpec,
    Instance,
    ScalingPolicy,
    TrafficHistory,
)
from include.fleet.tags import CLUSTER, IMAGE, MAIN, ROLE, RUN, SCALING

DELETE_SECONDS = 5.0
EPOCH = datetime(2026, 1, 5, 12, tzinfo=UTC)


class Killed(BaseException):
    """The engine dies here; not an Exception, so nothing in the product can survive it by accident."""


@dataclass
class Member:
    instance_id: str
    zone: str
    launched_at: datetime
    image_id: str
    healthy_since: datetime | None = None
    is_dead: bool = False


@dataclass
class Record:
    """What AWS keeps of one group; `has_group` is False while only its target group is there."""

    spec: GroupSpec
    tags: dict[str, str]
    created_at: datetime
    capacity: Capacity
    has_group: bool = False
    has_target_group: bool = True
    deleted_at: datetime | None = None
    suspended: set[str] = field(default_factory=set)
    members: list[Member] = field(default_factory=list)
    enabled_at: datetime | None = None


class FakeFleet:
    """`hook(call, moment)` is called with moment "before" and "after" each mutating call and may raise."""

    def __init__(self, region: str = "us-east-1", *, boot_seconds: float = 10.0) -> None:
        self.region = region
        self.now = EPOCH
        self.boot_seconds = boot_seconds
        self.broken_images: set[str] = set()
        self.silent_images: set[str] = set()
        self.records: dict[str, Record] = {}
        self.listener: dict[str, int] = {}
        self.calls: list[str] = []
        self.reads = 0
        self.looks: list[int] = []
        self.policies: dict[str, ScalingPolicy] = {}
        self.rps: float | None = None
        self.url = f"http://{region}.fleet.invalid:8080"
        self.growth_rps_per_second = 0.0
        self.hook: Callable[[str, str], None] = lambda call, moment: None
        self.read_hook: Callable[[], None] = lambda: None
        self.check: Callable[[FakeFleet], None] = lambda fleet: None
        self._serial = 0

    def clock(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        for _ in range(max(int(seconds), 1)):
            self.now += timedelta(seconds=1)
            self._tick()

    def seed(self, cluster: ClusterRef, name: str, image_id: str, size: int, *, weight: int = 100) -> None:
        """A healthy main group that was there before."""
        tags = {CLUSTER: cluster.name, ROLE: MAIN, RUN: "seed", IMAGE: image_id}
        spec = GroupSpec(name, cluster, image_id, Capacity(1, size, 99), "m5.large", 8080, "/health", tags=tags)
        record = Record(spec, dict(tags), self.now, spec.capacity, has_group=True)
        self.records[name] = record
        self.listener[name] = weight
        self._tick()
        for member in record.members:
            member.launched_at = member.healthy_since = self.now - timedelta(hours=1)
        record.enabled_at = self.now - timedelta(hours=1) if weight else None

    def kill_instance(self, name: str, index: int = 0) -> None:
        self.records[name].members[index].is_dead = True

    def healthy_serving(self) -> int:
        return sum(len(self._healthy(self.records[n])) for n, w in self.listener.items() if w > 0 and n in self.records)

    # --- the port

    def view_cluster(self, cluster: ClusterRef, *, health_of: Collection[str] | None = None) -> ClusterView:
        self.reads += 1
        self.read_hook()
        asked = self.listener if health_of is None else set(health_of) & set(self.listener)
        self.looks.append(len(asked) + 2)
        groups = tuple(
            replace(self._group(name, one), is_health_read=name in asked or name not in self.listener)
            for name, one in self.records.items()
            if one.tags[CLUSTER] == cluster.name
        )
        known = {group.name for group in groups}
        strangers = {name: weight for name, weight in self.listener.items() if name not in known}
        return ClusterView(cluster, self.now, groups, strangers)

    def create_group(self, spec: GroupSpec) -> None:
        record = self.records.get(spec.name)
        if record and record.tags.get(RUN) != spec.tags.get(RUN):
            raise RefusedError(f"{spec.name} in {self.region} belongs to {record.tags.get(RUN)}")
        if record is None:
            record = Record(spec, dict(spec.tags), self.now, spec.capacity)
            self._call(f"create_target_group {spec.name}", lambda: self.records.update({spec.name: record}))
        if not record.has_group:
            self._call(f"create_launch_template {spec.name}", lambda: None)
            self._call(f"create_auto_scaling_group {spec.name}", lambda: self._make_group(record, spec))
        if not spec.suspended <= record.suspended:
            self._call(f"suspend_processes {spec.name}", lambda: record.suspended.update(spec.suspended))

    def set_weights(self, cluster: ClusterRef, weights: Mapping[str, int]) -> None:
        assert all(0 <= weight <= 999 for weight in weights.values()), weights
        assert len(weights) <= 5, weights
        unknown = set(weights) - set(self.records)
        if unknown:
            raise RefusedError(f"no target group {unknown}")
        if dict(weights) != self.listener:
            self._call("modify_listener", lambda: self._set_listener(weights))

    def resize_group(self, name: str, capacity: Capacity) -> None:
        self._call(f"update_auto_scaling_group {name}", lambda: setattr(self.records[name], "capacity", capacity))

    def suspend_processes(self, name: str, processes: Sequence[str]) -> None:
        self._call(f"suspend_processes {name}", lambda: self.records[name].suspended.update(processes))

    def resume_processes(self, name: str, processes: Sequence[str]) -> None:
        self._call(f"resume_processes {name}", lambda: self.records[name].suspended.difference_update(processes))

    def tag_group(self, name: str, tags: Mapping[str, str]) -> None:
        self._call(f"create_or_update_tags {name}", lambda: self.records[name].tags.update(tags))

    def put_scaling_policy(self, name: str, policy: ScalingPolicy) -> None:
        self._call(f"put_scaling_policy {name}", lambda: self.policies.update({name: policy}))
        self._call(f"create_or_update_tags {name}", lambda: self.records[name].tags.update({SCALING: policy.words}))

    def address(self) -> str:
        return self.url

    def read_traffic(self, cluster: ClusterRef, *, seconds: int) -> TrafficHistory:
        """A straight line that ends at `rps` now; none where it is not set."""
        if self.rps is None:
            return TrafficHistory(5.0)
        ages = range(min(seconds, 60), -1, -5)
        points = tuple((self.now - timedelta(seconds=age), self.rps - age * self.growth_rps_per_second) for age in ages)
        return TrafficHistory(5.0, points)

    def delete_group(self, name: str) -> None:
        if self.listener.get(name, 0) > 0:
            raise RefusedError(f"{name} takes traffic")
        if name not in self.records:
            return
        if name in self.listener:
            rest = {other: weight for other, weight in self.listener.items() if other != name}
            self._call("modify_listener", lambda: self._set_listener(rest))
        record = self.records[name]
        if record.has_target_group:
            self._call(f"delete_target_group {name}", lambda: setattr(record, "has_target_group", False))
            self._call(f"delete_launch_template {name}", lambda: None)
        if record.has_group and record.deleted_at is None:
            self._call(f"delete_auto_scaling_group {name}", lambda: setattr(record, "deleted_at", self.now))

    def count_requests(self, group: str, *, seconds: int) -> dict[str, float]:
        record = self.records.get(group)
        if record is None or record.enabled_at is None or record.spec.image_id in self.silent_images:
            return {}
        counts = {}
        for member in self._healthy(record):
            since = max(member.healthy_since or self.now, record.enabled_at)
            if (self.now - since).total_seconds() >= 3:
                counts[member.instance_id] = 7.0
        return counts

    # --- the machine

    def _call(self, name: str, effect: Callable[[], object]) -> None:
        self.hook(name, "before")
        effect()
        self.calls.append(name)
        self._tick()
        self.hook(name, "after")

    def _make_group(self, record: Record, spec: GroupSpec) -> None:
        record.has_group, record.tags, record.created_at, record.capacity = (
            True,
            dict(spec.tags),
            self.now,
            spec.capacity,
        )

    def _set_listener(self, weights: Mapping[str, int]) -> None:
        for name, weight in weights.items():
            if weight > 0 and self.listener.get(name, 0) == 0:
                self.records[name].enabled_at = self.now
        for name, record in self.records.items():
            if weights.get(name, 0) == 0:
                record.enabled_at = None
        self.listener = dict(weights)

    def _tick(self) -> None:
        for name, record in list(self.records.items()):
            if record.deleted_at and (self.now - record.deleted_at).total_seconds() >= DELETE_SECONDS:
                record.has_group, record.members = False, []
            if not record.has_group and not record.has_target_group:
                del self.records[name]
            if not record.has_group or record.deleted_at:
                continue
            if "Terminate" not in record.suspended:
                record.members = [member for member in record.members if not member.is_dead]
                record.members = record.members[: record.capacity.desired]
            while len(record.members) < record.capacity.desired and "Launch" not in record.suspended:
                self._serial += 1
                zone = "abc"[len(record.members) % 3]
                record.members.append(Member(f"i-{self._serial:04d}", zone, self.now, record.spec.image_id))
            for member in record.members:
                self._check_health(name, record, member)
        self.check(self)

    def _check_health(self, name: str, record: Record, member: Member) -> None:
        is_up = (self.now - member.launched_at).total_seconds() >= self.boot_seconds
        can_be = is_up and not member.is_dead and record.spec.image_id not in self.broken_images
        if name not in self.listener or not can_be:
            member.healthy_since = None
        elif member.healthy_since is None:
            member.healthy_since = self.now

    @staticmethod
    def _healthy(record: Record) -> list[Member]:
        return [member for member in record.members if member.healthy_since is not None]

    def _group(self, name: str, record: Record) -> Group:
        is_listed = name in self.listener
        instances = tuple(self._instance(record, member, is_listed) for member in record.members)
        group = Group(
            name=name,
            image_id=record.spec.image_id,
            capacity=record.capacity,
            created_at=record.created_at,
            instances=instances,
            weight=self.listener.get(name, 0),
            suspended=frozenset(record.suspended),
            tags=dict(record.tags),
            is_deleting=record.deleted_at is not None,
            is_attached=is_listed,
        )
        if record.has_group:
            return group
        return replace(group, is_partial=True, image_id="", capacity=Capacity.pinned(0), suspended=frozenset())

    def _instance(self, record: Record, member: Member, is_listed: bool) -> Instance:
        is_up = (self.now - member.launched_at).total_seconds() >= self.boot_seconds / 2
        if not is_listed:
            state = "unused"
        elif member.healthy_since is not None:
            state = "healthy"
        else:
            state = "unhealthy" if is_up and record.spec.image_id in self.broken_images else "initial"
        return Instance(
            instance_id=member.instance_id,
            zone=member.zone,
            lifecycle="InService" if is_up else "Pending",
            image_id=member.image_id,
            target_state=state,
            target_reason="" if state == "healthy" else "Elb.RegistrationInProgress",
            is_well=not member.is_dead,
        )
