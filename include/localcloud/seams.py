"""The seams inside the local cloud: what the control plane asks of machines and of routers.

The control plane (records, Auto Scaling, balancers) decides; machines and routers are how a decision becomes
real processes and real traffic. In the no-process mode both are replaced by in-memory ones driven by the clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

MachineState = Literal["booting", "running", "stopped", "terminated"]
TargetHealth = Literal["initial", "healthy", "unhealthy"]


class Clock(Protocol):
    """`now()` is seconds since the epoch (UTC); tests move it."""

    def now(self) -> float: ...


@dataclass(frozen=True)
class MachineSpec:
    """One instance to be run. `content_id` names the image's content in the store; `user_data` runs at first boot."""

    instance_id: str
    account_id: str
    region: str
    zone: str
    address: str
    content_id: str
    user_data: bytes = b""
    tags: Mapping[str, str] = field(default_factory=dict)


class Machines(Protocol):
    """Real or pretended machines. Every verb is idempotent; unknown ids are `terminated`."""

    def launch(self, spec: MachineSpec) -> None: ...

    def state(self, instance_id: str) -> MachineState:
        """`running` once its init runs; `stopped` when it switched itself off or its init ended."""

    def stop(self, instance_id: str) -> None: ...

    def terminate(self, instance_id: str) -> None: ...

    def kill(self, instance_id: str) -> None:
        """The fault: SIGKILL to everything on it; its state becomes `stopped`."""

    def snapshot(self, instance_id: str) -> str:
        """Keep the machine's disk as image content and return its content id; works without any build folder."""

    def console(self, instance_id: str) -> str:
        """What the machine printed last; empty for one that is unknown."""

    def close(self) -> None:
        """End every machine; return when all processes are gone."""


@dataclass(frozen=True)
class TargetSpec:
    instance_id: str
    address: str
    port: int
    is_draining: bool = False


@dataclass(frozen=True)
class TargetGroupSpec:
    """`name` is unique in a region; health settings are seconds and counts as ELBv2 has them."""

    name: str
    health_path: str
    interval_seconds: float
    timeout_seconds: float
    healthy_threshold: int
    unhealthy_threshold: int
    targets: tuple[TargetSpec, ...] = ()


@dataclass(frozen=True)
class ListenerSpec:
    """Binds `address:port`; `weights` maps target group name -> 0-999 (all 0 or none: answers 503)."""

    name: str
    address: str
    port: int
    weights: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class TargetGroupCounts:
    """Cumulative since the router's start; `latency_buckets` maps upper bound in ms -> count (not cumulative)."""

    requests: int = 0
    responses_2xx: int = 0
    responses_3xx: int = 0
    responses_4xx: int = 0
    responses_5xx: int = 0
    connection_errors: int = 0
    latency_buckets: Mapping[float, int] = field(default_factory=dict)


class Router(Protocol):
    """The data plane of one account and region: carries every listener's weighted target groups."""

    def apply(self, target_groups: Sequence[TargetGroupSpec], listeners: Sequence[ListenerSpec]) -> None:
        """Make this the whole configuration; a no-op when nothing changed."""

    def health(self) -> Mapping[tuple[str, str], TargetHealth]:
        """(target group name, instance id) -> what the router's own checks say; absent = not checked yet."""

    def counts(self) -> Mapping[str, TargetGroupCounts]:
        """Target group name -> cumulative counts."""

    def close(self) -> None: ...


class RouterFactory(Protocol):
    def __call__(self, account_id: str, region: str) -> Router: ...
