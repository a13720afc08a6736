"""What keeps a group from being ready, in words: which instance is not healthy or takes no traffic, and why."""

from __future__ import annotations

from collections.abc import Mapping

from include.fleet import Group, Instance


def missing_health(group: Group) -> tuple[str, ...]:
    """One entry for each instance that is wanted and does not serve; empty when the group is as healthy as wished."""
    staying = [instance for instance in group.instances if not instance.lifecycle.startswith("Terminat")]
    absent = max(group.capacity.desired - len(staying), 0)
    found = tuple(f"{one.instance_id} {_why(one)}" for one in staying if not group.serves(one))
    return found + (f"{absent} of {group.capacity.desired} in {group.name} not launched yet",) * (absent > 0)


def missing_traffic(group: Group, served: Mapping[str, float]) -> tuple[str, ...]:
    """Healthy instances on which no request has been seen; `served` is requests per instance id of late."""
    return tuple(
        f"{one.instance_id} no request seen"
        for one in group.instances
        if group.serves(one) and served.get(one.instance_id, 0.0) <= 0.0
    )


def is_mostly_dead(group: Group) -> bool:
    """Fewer than half of the wished instances serve: no replacement of single instances, the code is bad."""
    return group.healthy_count * 2 < group.capacity.desired


def _why(instance: Instance) -> str:
    if instance.lifecycle != "InService":
        return f"is {instance.lifecycle}"
    if not instance.is_well:
        return "is not healthy"
    if instance.target_state is None:
        return "is not registered with its target group"
    return f"is {instance.target_state}" + (f" ({instance.target_reason})" if instance.target_reason else "")
