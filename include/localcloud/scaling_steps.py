"""One step of one Auto Scaling group: see what became of its members, replace the unhealthy, meet the wish."""

from __future__ import annotations

from include.localcloud.scaling_choice import choose_victims
from include.localcloud.scaling_group import GONE, LocalGroup, Member

STOPPED = ("stopping", "stopped")


def step(group: LocalGroup, now: float) -> bool:
    """Move the group on; False when a deleted group is empty and can be forgotten."""
    for member in list(group.members):
        _observe(group, member, now)
    if group.status:
        for member in list(group.members):
            group.begin_termination(member, now, "the group was deleted with ForceDelete.")
        return bool(group.members)
    for member in list(group.members):
        if member.is_live:
            _check_health(group, member, now)
            _replace_if_unhealthy(group, member, now)
    _meet_wish(group, now)
    return True


def _observe(group: LocalGroup, member: Member, now: float) -> None:
    state = member.instance.state
    if member.lifecycle_state == "Terminating":
        _finish_termination(group, member, now)
    elif member.lifecycle_state == "Pending" and state == "running":
        _enter_service(group, member, now)
    elif member.lifecycle_state == "Pending" and state in (*STOPPED, *GONE):
        if member.activity is not None:
            why = getattr(member.instance, "boot_error", "the instance stopped while it booted")
            member.activity.finish(now, "Failed", f"Instance failed to launch: {why}")
        member.health_status = "Unhealthy"
        group.retry_at = now + 5.0  # an image that cannot boot must not be launched at every step


def _enter_service(group: LocalGroup, member: Member, now: float) -> None:
    member.lifecycle_state, member.in_service_at = "InService", now
    if member.activity is not None:
        member.activity.finish(now)
        member.activity = None
    if not group.is_suspended("AddToLoadBalancer"):
        register(group, [member])


def register(group: LocalGroup, members: list[Member], arns: list[str] | None = None) -> None:
    """Into the group's target groups (or `arns`), those that are in service and run."""
    balancing = group.autoscaling_backend.elbv2_backend
    targets = [
        {"Id": member.instance_id}
        for member in members
        if member.lifecycle_state == "InService" and member.instance.state == "running"
    ]
    for arn in group.target_group_arns if arns is None else arns:
        if targets and arn in balancing.target_groups:
            balancing.register_targets(arn, targets)


def _finish_termination(group: LocalGroup, member: Member, now: float) -> None:
    balancing, ec2 = group.autoscaling_backend.elbv2_backend, group.ec2_backend
    state = member.instance.state
    if state == "terminated":
        if member.activity is not None:
            member.activity.finish(now)
        group.instance_states.remove(member)
        return
    drains = any(balancing.is_draining(arn, member.instance_id) for arn in group.target_group_arns)
    if member.activity is not None:
        member.activity.status_code = "WaitingForELBConnectionDraining" if drains else "InProgress"
        member.activity.progress = 20 if drains else 50
    if not drains and state not in GONE:
        ec2.terminate_instances([member.instance_id])


def _check_health(group: LocalGroup, member: Member, now: float) -> None:
    """EC2's check knows no grace once an instance left `running`; the balancer's does."""
    if group.is_suspended("HealthCheck") or not member.is_healthy:
        return
    if member.instance.state in (*STOPPED, *GONE):
        member.health_status = "Unhealthy"
        return
    grace_is_over = now - member.in_service_at >= float(group.health_check_grace_period or 0)
    if member.lifecycle_state == "InService" and group.health_check_type and "ELB" in group.health_check_type:
        balancing = group.autoscaling_backend.elbv2_backend
        states = [balancing.target_state(arn, member.instance_id) for arn in group.target_group_arns]
        if grace_is_over and "unhealthy" in states:
            member.health_status = "Unhealthy"


def _replace_if_unhealthy(group: LocalGroup, member: Member, now: float) -> None:
    if member.is_healthy:
        return
    is_gone = member.instance.state in GONE
    allowed = not group.is_suspended("ReplaceUnhealthy") and not group.is_suspended("Terminate")
    if allowed or (is_gone and not group.is_suspended("ReplaceUnhealthy")):
        cause = f"an instance was taken out of service in response to {_blame(group, member)}."
        group.begin_termination(member, now, cause)


def _blame(group: LocalGroup, member: Member) -> str:
    state = member.instance.state
    if state != "running":
        return f"an EC2 health check indicating it has been terminated or stopped ({state})"
    balancing = group.autoscaling_backend.elbv2_backend
    if "unhealthy" in [balancing.target_state(arn, member.instance_id) for arn in group.target_group_arns]:
        return "an ELB system health check failure"
    return "a user health-check"


def _meet_wish(group: LocalGroup, now: float) -> None:
    live = [member for member in group.members if member.is_live]
    missing = int(group.desired_capacity or 0) - len(live)
    if missing > 0 and now >= group.retry_at and not group.is_suspended("Launch"):
        cause = "an instance was started in response to a difference between desired and actual capacity, "
        group.launch(missing, now, cause + f"increasing the capacity from {len(live)} to {len(live) + missing}.")
    elif missing < 0 and not group.is_suspended("Terminate"):
        cause = "an instance was taken out of service in response to a difference between desired and actual "
        for victim in choose_victims(live, -missing):
            group.begin_termination(victim, now, f"{cause}capacity, shrinking the capacity from {len(live)}.")
