"""Targets of one target group: what is registered, what still drains, what is known of their health."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from moto.elbv2.models import FakeHealthStatus

from include.localcloud.seams import TargetGroupSpec, TargetHealth, TargetSpec

NOT_REGISTERED = ("unused", "Target.NotRegistered", "Target is not registered to the target group")
NOT_IN_USE = ("unused", "Target.NotInUse", "Target group is not configured to receive traffic from the load balancer")
STOPPED = ("unused", "Target.InvalidState", "Target is in the stopped state")
DRAINING = ("draining", "Target.DeregistrationInProgress", "Target deregistration is in progress")
INITIAL = ("initial", "Elb.InitialHealthChecking", "Initial health checks in progress")
UNHEALTHY = ("unhealthy", "Target.FailedHealthChecks", "Health checks failed")
HEALTHY = ("healthy", None, None)


@dataclass
class Targets:
    """`draining`: id -> (moto's target, when it is over); `known`: what the router last said; `used_at`: seconds."""

    draining: dict[str, tuple[dict[str, Any], float]] = field(default_factory=dict)
    known: dict[str, TargetHealth] = field(default_factory=dict)
    used_at: float = float("-inf")


def status_of(instance_id: str, group: Any, targets: Targets, instance: Any | None) -> FakeHealthStatus:
    """What describe_target_health says of one target."""
    target = group.targets.get(instance_id)
    if target is None:
        drained = targets.draining.get(instance_id)
        target = drained[0] if drained else {"Port": group.port}
        words = DRAINING if drained else NOT_REGISTERED
    elif not group.load_balancer_arns:
        words = NOT_IN_USE
    elif instance is not None and instance.state in {"stopping", "stopped"}:
        words = STOPPED
    else:
        words = {"healthy": HEALTHY, "unhealthy": UNHEALTHY}.get(targets.known.get(instance_id, ""), INITIAL)  # type: ignore[assignment]
    return FakeHealthStatus(instance_id, target["Port"], str(target["Port"]), *words)


def group_spec(group: Any, targets: Targets, ec2_backend: Any) -> TargetGroupSpec:
    """The group for the router, with the targets that still finish requests."""
    specs = [
        TargetSpec(one, address, int(target["Port"]), is_draining)
        for one, target, is_draining in (
            *((one, target, False) for one, target in group.targets.items()),
            *((one, target, True) for one, (target, _) in targets.draining.items()),
        )
        if (address := _address(one, ec2_backend))
    ]
    return TargetGroupSpec(
        name=group.name,
        health_path=group.health_check_path or "/",
        interval_seconds=float(group.health_check_interval_seconds),
        timeout_seconds=float(group.health_check_timeout_seconds),
        healthy_threshold=int(group.healthy_threshold_count),
        unhealthy_threshold=int(group.unhealthy_threshold_count),
        targets=tuple(sorted(specs, key=lambda spec: spec.instance_id)),
    )


def _address(target_id: str, ec2_backend: Any) -> str:
    """Of an instance, or of a target of type `ip`; empty outside of 127.x, where nothing can listen."""
    instance = ec2_backend.get_instance_by_id(target_id)
    address = target_id if instance is None else str(instance.private_ip)
    return address if address.startswith("127.") else ""
