"""Values of the fleet: immutable, comparable, free of AWS's own shapes. Times are tz-aware UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class ClusterRef:
    """A cluster is all groups of one application and stack in one region (Frigga: `api-main`)."""

    app: str
    stack: str
    region: str

    @property
    def name(self) -> str:
        return f"{self.app}-{self.stack}"


@dataclass(frozen=True)
class Image:
    """An AMI. `state` is AWS's word: pending, available, failed, deregistered; `size_gib` that of its disks."""

    image_id: str
    name: str
    state: str
    created_at: datetime
    tags: Mapping[str, str] = field(default_factory=dict)
    size_gib: int = 0


@dataclass(frozen=True)
class Capacity:
    """Bounds and wish of an Auto Scaling group, in instances."""

    minimum: int
    desired: int
    maximum: int

    @classmethod
    def pinned(cls, size: int) -> Capacity:
        return cls(size, size, size)


@dataclass(frozen=True)
class Instance:
    """One member of a group as Auto Scaling and its target group see it.

    `lifecycle` is Auto Scaling's word (Pending, InService, Terminating ...), `is_well` its opinion of the health;
    `target_state` is the target group's (initial, healthy, unhealthy, draining, unused) or None where it is not
    registered, and `target_reason` says why it is not healthy.
    """

    instance_id: str
    zone: str
    lifecycle: str
    image_id: str = ""
    target_state: str | None = None
    target_reason: str = ""
    is_well: bool = True

    @property
    def is_serving(self) -> bool:
        return self.lifecycle == "InService" and self.target_state == "healthy"

    @property
    def seems_to_serve(self) -> bool:
        """As far as Auto Scaling knows; it asks the load balancer too, but hears of a change later."""
        return self.lifecycle == "InService" and self.is_well


@dataclass(frozen=True)
class Group:
    """An Auto Scaling group with its own target group; `weight` is its share on the cluster's listener (0-999).

    `is_attached`: the listener lists it, if only with weight 0, so its targets are health-checked.
    `is_partial`: only its target group is there, as its making was interrupted.
    `is_health_read`: the target group was asked; where it was not, Auto Scaling's word stands for it.
    """

    name: str
    image_id: str
    capacity: Capacity
    created_at: datetime
    instances: tuple[Instance, ...] = ()
    weight: int = 0
    suspended: frozenset[str] = frozenset()
    tags: Mapping[str, str] = field(default_factory=dict)
    is_deleting: bool = False
    is_attached: bool = False
    is_partial: bool = False
    is_health_read: bool = True

    @property
    def healthy_count(self) -> int:
        return sum(self.serves(instance) for instance in self.instances)

    def serves(self, instance: Instance) -> bool:
        """Whether its member is healthy, by the best word there is."""
        return instance.is_serving if self.is_health_read else instance.seems_to_serve

    @property
    def is_enabled(self) -> bool:
        return self.weight > 0 and not self.is_deleting

    @property
    def has_traffic(self) -> bool:
        """Whether the listener sends it requests, be it deleted, half made or dead."""
        return self.weight > 0


@dataclass(frozen=True)
class ClusterView:
    """All that AWS says of one cluster at `observed_at`: one call's worth of truth for a decision.

    `strangers`: weights of target groups that the listener lists too, and that are no group of the cluster.
    """

    cluster: ClusterRef
    observed_at: datetime
    groups: tuple[Group, ...] = ()
    strangers: Mapping[str, int] = field(default_factory=dict)

    def group(self, name: str) -> Group | None:
        return next((group for group in self.groups if group.name == name), None)

    @property
    def listed(self) -> dict[str, int]:
        """Weights of all that the listener lists, 0 for those that are only attached."""
        return {**self.strangers, **{group.name: group.weight for group in self.groups if group.is_attached}}

    @property
    def weights(self) -> dict[str, int]:
        """Weights of those with traffic."""
        return {name: weight for name, weight in self.listed.items() if weight > 0}


@dataclass(frozen=True)
class ScalingPolicy:
    """Target tracking on requests: `target_rps` per instance, a new one counted in after `warmup_seconds`."""

    target_rps: float
    warmup_seconds: float

    @property
    def words(self) -> str:
        """As it is noted on the group that has it (tag `redstart:scaling`)."""
        return f"{self.target_rps:g} requests/s, warm-up {self.warmup_seconds:g} s"


@dataclass(frozen=True)
class TrafficHistory:
    """Requests per second of a cluster's listener, oldest first, a point each `period_seconds`; empty: none known.

    Points are (end of the period, tz-aware UTC; requests per second); only periods that are over.
    """

    period_seconds: float
    points: tuple[tuple[datetime, float], ...] = ()


@dataclass(frozen=True)
class GroupSpec:
    """Everything needed to make a group; `name` is the idempotency key (`api-main-v042`).

    `suspended` processes are suspended as part of making it, before its first instance matters.
    """

    name: str
    cluster: ClusterRef
    image_id: str
    capacity: Capacity
    instance_type: str
    port: int
    health_path: str
    user_data: str = ""
    suspended: frozenset[str] = frozenset()
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BuilderSpec:
    """The instance on which an image is made: boots `base_image_id`, runs `user_data`, switches itself off.

    `name` is the idempotency key: a builder of that name that still exists is adopted.
    """

    name: str
    base_image_id: str
    instance_type: str
    user_data: str
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Builder:
    """A builder as AWS sees it: pending, running, stopping, stopped, terminated, or missing.

    `since` is its launch (None: missing, or not told); `reason` is AWS's for its last change of state.
    """

    name: str
    state: str
    since: datetime | None = None
    instance_id: str = ""
    instance_type: str = ""
    reason: str = ""

    @property
    def is_there(self) -> bool:
        """Whether it is anything but gone."""
        return self.state not in ("missing", "terminated")
