"""The traffic guard: no step, by anyone, may leave a cluster with less healthy capacity than its traffic needs."""

from __future__ import annotations

from include.fleet import ClusterView
from include.redblack.demand import Demand
from include.redblack.goal import Need
from include.redblack.steps import DeleteGroup, ResizeGroup, SetWeights, Step
from include.redblack.traffic import shares_of

KNOWN = 1e-6


def refuse(view: ClusterView, step: Step, demand: Demand, need: Need) -> str | None:
    """Why `step` may not be done now, or None.

    Capacity is counted per group: each must carry its own share of the traffic with its healthy instances. A step
    that makes nothing worse than it is passes, or nobody could mend a cluster that is short already. Where the
    traffic is not known, a third of the healthy instances must stay: red/red has twice what is needed, and head room.
    """
    if isinstance(step, DeleteGroup):
        group = view.group(step.name)
        return f"{step.name} takes traffic" if group and group.is_enabled else None
    healthy = {group.name: float(group.healthy_count) for group in view.groups}
    if isinstance(step, ResizeGroup):
        after, weights = {**healthy, step.name: min(healthy.get(step.name, 0.0), step.capacity.desired)}, view.weights
    elif isinstance(step, SetWeights):
        after, weights = healthy, dict(step.weights)
    else:
        return None
    left = sum(after.get(name, 0.0) for name, weight in weights.items() if weight > 0)
    before = sum(healthy.get(name, 0.0) for name in view.weights)
    if left < need.floor and left < before:
        return f"{left:.0f} healthy instances would take traffic, at least {need.floor} must"
    if demand.rps is None:
        least = -(-before // 3)
        few = f"the traffic is not known, and only {left:.0f} of {before:.0f} healthy instances would be left"
        return few if left < least else None
    lack, lack_now = _lack(after, weights, demand.rps, need), _lack(healthy, view.weights, demand.rps, need)
    if lack <= max(lack_now, KNOWN):
        return None
    return (
        f"{left:.0f} healthy instances would serve {demand.rps:.0f} requests/s, which lacks {lack:.1f} instances "
        f"at {need.rps_per_instance:g} requests/s each"
    )


def _lack(healthy: dict[str, float], weights: dict[str, int], rps: float, need: Need) -> float:
    """Instances that are missing, over all groups, to carry each group's share."""
    shares = shares_of(weights)
    if not shares:
        return rps / need.rps_per_instance
    wanted = {name: share * rps / need.rps_per_instance for name, share in shares.items()}
    return sum(max(instances - healthy.get(name, 0.0), 0.0) for name, instances in wanted.items())
