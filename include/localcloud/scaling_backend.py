"""Auto Scaling's verbs over groups, with AWS's refusals.

Mended gaps of moto 5.2.5 (AutoScalingBackend): a taken name replaces the group; a missing target group leaves half
a group; bounds are not kept; suspended processes are only shown, whatever their names; unknown groups are KeyErrors;
deletion needs no ForceDelete; policies and scheduled actions are keyed by their name alone and outlive their group.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.models import AutoScalingBackend
from moto.core.exceptions import ServiceException

from include.localcloud.scaling_activities import Activity, ActivityLog
from include.localcloud.scaling_group import LocalGroup, Member
from include.localcloud.scaling_steps import register
from include.localcloud.stage import current

PROCESSES = (
    "Launch",
    "Terminate",
    "AddToLoadBalancer",
    "AlarmNotification",
    "AZRebalance",
    "HealthCheck",
    "InstanceRefresh",
    "ReplaceUnhealthy",
    "ScheduledActions",
)
DELETING = "Delete in progress"


class ScalingBackend(AutoScalingBackend):
    """One account and region. Policies and scheduled actions are keyed by (group, name)."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.activities = ActivityLog()

    def group(self, name: str) -> LocalGroup:
        found = self.autoscaling_groups.get(name)
        if found is None:
            raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")
        return found

    def changeable_group(self, name: str) -> LocalGroup:
        group = self.group(name)
        if group.status:
            raise ValidationError(f"AutoScalingGroup '{name}' is pending delete")
        return group

    def create_auto_scaling_group(self, name: str, *a: Any, **k: Any) -> Any:
        if name in self.autoscaling_groups:
            ending = " pending delete" if self.group(name).status else ""
            raise AutoscalingClientError(
                "AlreadyExists",
                f"AutoScalingGroup by this name already exists - A group with the name {name} already exists{ending}",
            )
        self._refuse_unknown_target_groups(k.get("target_group_arns") or ())
        minimum, maximum, desired = k.get("min_size"), k.get("max_size"), k.get("desired_capacity")
        check_bounds(minimum, minimum if desired is None else desired, maximum)
        try:
            group = super().create_auto_scaling_group(name, *a, **k)
            group.health_check_grace_period = int(k.get("health_check_period") or 0)  # moto makes 300 of 0
            return group
        except ServiceException as error:
            if isinstance(error, AutoscalingClientError):
                raise
            raise ValidationError(error.message) from error  # EC2's words (no such template), Auto Scaling's code

    def update_auto_scaling_group(self, name: str, **k: Any) -> Any:
        group = self.changeable_group(name)
        minimum = group.min_size if k.get("min_size") is None else k["min_size"]
        maximum = group.max_size if k.get("max_size") is None else k["max_size"]
        desired = k.get("desired_capacity")
        if desired is None:  # AWS moves the wish into the new bounds
            check_bounds(minimum, minimum, maximum)
            desired = min(max(int(group.desired_capacity or 0), minimum), maximum)
        check_bounds(minimum, desired, maximum)
        k["desired_capacity"] = desired
        if not (k.get("launch_template") or k.get("launch_config_name") or k.get("mixed_instances_policy")):
            k["mixed_instances_policy"] = group.mixed_instances_policy
        try:
            return super().update_auto_scaling_group(name, **k)
        except ServiceException as error:
            if isinstance(error, AutoscalingClientError):
                raise
            raise ValidationError(error.message) from error

    def set_desired_capacity(self, group_name: str, desired_capacity: int | None) -> None:
        group = self.changeable_group(group_name)
        desired = int(desired_capacity or 0)
        if desired > (group.max_size or 0):
            raise ValidationError(
                f"New SetDesiredCapacity value {desired} is above max value {group.max_size} for the AutoScalingGroup."
            )
        if desired < (group.min_size or 0):
            raise ValidationError(
                f"New SetDesiredCapacity value {desired} is below min value {group.min_size} for the AutoScalingGroup."
            )
        group.set_desired_capacity(desired)

    def delete_auto_scaling_group(self, group_name: str, is_forced: bool = False) -> None:
        group = self.group(group_name)
        if group.status:
            raise AutoscalingClientError(
                "ScalingActivityInProgress", f"AutoScalingGroup '{group_name}' is pending delete"
            )
        if not is_forced:
            if self.activities.open_of(group_name):
                raise AutoscalingClientError(
                    "ScalingActivityInProgress",
                    "You cannot delete an AutoScalingGroup while there are scaling activities in progress for it.",
                )
            if group.members:
                raise AutoscalingClientError(
                    "ResourceInUse",
                    "You cannot delete an AutoScalingGroup while there are instances still in the group.",
                )
        group.status = DELETING
        group.min_size = group.max_size = group.desired_capacity = 0
        if not group.members:
            self.forget(group_name)

    def forget(self, group_name: str) -> None:
        """The group and what hangs on it."""
        self.autoscaling_groups.pop(group_name, None)
        for kept in (self.policies, self.scheduled_actions):
            for key in [key for key in kept if key[0] == group_name]:
                kept.pop(key)
        for key in [key for key, hook in self.lifecycle_hooks.items() if hook.auto_scaling_group_name == group_name]:
            self.lifecycle_hooks.pop(key)

    def suspend_processes(self, group_name: str, scaling_processes: list[str]) -> None:
        group = self.changeable_group(group_name)
        wanted = check_processes(scaling_processes)
        group.suspended_processes = sorted({*group._suspended_processes, *wanted})

    def resume_processes(self, group_name: str, scaling_processes: list[str]) -> None:
        group = self.changeable_group(group_name)
        wanted = check_processes(scaling_processes)
        group.suspended_processes = sorted({*group._suspended_processes} - {*wanted})
        group.retry_at = 0.0

    def attach_load_balancer_target_groups(self, group_name: str, target_group_arns: list[str]) -> None:
        group = self.changeable_group(group_name)
        self._refuse_unknown_target_groups(target_group_arns)
        added = [arn for arn in target_group_arns if arn not in group.target_group_arns]
        group.target_group_arns = [*group.target_group_arns, *added]
        if not group.is_suspended("AddToLoadBalancer"):
            register(group, group.members, added)

    def detach_load_balancer_target_groups(self, group_name: str, target_group_arns: list[str]) -> None:
        group = self.changeable_group(group_name)
        if not {*target_group_arns} <= {*group.target_group_arns}:
            raise ValidationError("Trying to remove Target Groups that are not part of the group")
        group.target_group_arns = [arn for arn in group.target_group_arns if arn not in target_group_arns]
        for arn in target_group_arns:
            if arn in self.elbv2_backend.target_groups:
                self.elbv2_backend.deregister_targets(arn, [{"Id": member.instance_id} for member in group.members])

    def describe_load_balancer_target_groups(self, group_name: str) -> list[str]:
        return self.group(group_name).target_group_arns

    def member(self, instance_id: str) -> tuple[LocalGroup, Member]:
        for group in self.autoscaling_groups.values():
            for member in group.members:
                if member.instance_id == instance_id:
                    return group, member
        raise ValidationError(f"Instance Id not found - No managed instance found for instance ID: {instance_id}")

    def set_instance_health(self, instance_id: str, health_status: str) -> None:
        self.member(instance_id)[1].health_status = health_status

    def terminate_instance(self, instance_id: str, should_decrement: bool) -> Activity:
        group, member = self.member(instance_id)
        if should_decrement:
            if int(group.desired_capacity or 0) - 1 < int(group.min_size or 0):
                raise ValidationError(
                    f"Currently, desiredSize equals minSize ({group.min_size}). Terminating instance without "
                    "replacement will violate group's min size constraint."
                )
            group.desired_capacity = int(group.desired_capacity or 0) - 1
        cause = "an instance was taken out of service in response to a user request."
        group.begin_termination(member, current().clock.now(), cause)
        assert member.activity is not None
        return member.activity

    def notify_terminate_instances(self, instance_ids: list[str]) -> None:
        """The groups' steps see it."""

    def update_attached_target_groups(self, group_name: str) -> None:
        """Members register when they enter service."""

    def update_attached_elbs(self, group_name: str) -> None:
        """Classic load balancers carry no traffic here."""

    def create_or_update_tags(self, tags: list[dict[str, str]]) -> None:
        for tag in tags:
            self.group(tag["ResourceId"])
        super().create_or_update_tags(tags)

    def delete_tags(self, tags: list[dict[str, str]]) -> None:
        for tag in tags:
            self.group(tag["ResourceId"])
        super().delete_tags(tags)

    def _refuse_unknown_target_groups(self, arns: Iterable[str]) -> None:
        for arn in arns:
            if arn not in self.elbv2_backend.target_groups:
                raise ValidationError(
                    f"Provided Target Groups may not be valid: {arn}. Please ensure they exist and try again."
                )


def check_bounds(minimum: int | None, desired: int | None, maximum: int | None) -> None:
    low, wish, high = int(minimum or 0), int(desired or 0), int(maximum or 0)
    if low > high:
        raise ValidationError(f"Max bound, {high}, must be greater than or equal to min bound, {low}")
    if not low <= wish <= high:
        raise ValidationError(
            f"Desired capacity:{wish} must be between the specified min size:{low} and max size:{high}"
        )


def check_processes(names: list[str]) -> list[str]:
    """All processes where none is named; an unknown one is refused."""
    for name in names:
        if name not in PROCESSES:
            raise ValidationError(f"{name} is not a valid process type")
    return list(names or PROCESSES)
