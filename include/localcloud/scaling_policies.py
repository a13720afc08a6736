"""Policies and scheduled actions of groups, keyed by (group, name); scheduled actions act at their time.

Mended gaps of moto 5.2.5: both are keyed by name alone, so a second group's steals the first one's; scheduled
actions never act; requests are tracked of a target group that no listener forwards to. Recurrences (cron) are kept
and shown, but only a StartTime acts here. No alarm is ever raised by itself: `scale_by_policy` is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from moto.autoscaling.exceptions import ValidationError
from moto.core.parse import default_timestamp_parser

from include.errors import RefusedError
from include.localcloud.scaling_backend import ScalingBackend


class PoliciesBackend(ScalingBackend):
    """The backend with policies and schedules."""

    policies: dict[Any, Any]
    scheduled_actions: dict[Any, Any]

    def put_scaling_policy(self, name: str, *a: Any, **k: Any) -> Any:
        self.changeable_group(k["as_name"])
        self._refuse_unserved(k.get("target_tracking_config") or {})
        policy = super().put_scaling_policy(name, *a, **k)
        self.policies.pop(name, None)
        self.policies[k["as_name"], name] = policy
        return policy

    def delete_policy(self, group_name: str | None, policy_name: str = "") -> None:
        self.policies.pop(self._policy_key(group_name, policy_name), None)

    def execute_policy(self, group_name: str | None, policy_name: str = "") -> None:
        self.policies[self._policy_key(group_name, policy_name)].execute()

    def put_scheduled_update_group_action(self, name: str, *a: Any, **k: Any) -> Any:
        self.changeable_group(name)
        action = super().put_scheduled_update_group_action(name, *a, **k)
        self.scheduled_actions.pop(action.scheduled_action_name, None)
        self.scheduled_actions[name, action.scheduled_action_name] = action
        return action

    def delete_scheduled_action(self, auto_scaling_group_name: str, scheduled_action_name: str) -> None:
        if self.scheduled_actions.pop((auto_scaling_group_name, scheduled_action_name), None) is None:
            raise ValidationError("Scheduled action name not found")

    def scale_by_policy(self, group_name: str, desired: int) -> bool:
        """As an alarm of the group's policy would; False where the group does not listen to alarms."""
        group = self.changeable_group(group_name)
        if not any(name == group_name for name, _ in self.policies):
            raise RefusedError(f"{group_name} has no scaling policy: no alarm would come")
        if group.is_suspended("AlarmNotification"):
            return False
        group.set_desired_capacity(min(max(desired, int(group.min_size or 0)), int(group.max_size or 0)))
        return True

    def act_on_schedule(self, now: float) -> None:
        """What is due changes its group once and is gone; one whose process is suspended waits for nothing."""
        for key, action in list(self.scheduled_actions.items()):
            if not action.start_time or action.recurrence or _seconds(action.start_time) > now:
                continue
            del self.scheduled_actions[key]
            group = self.group(key[0])
            if group.status or group.is_suspended("ScheduledActions"):
                continue
            if action.min_size is not None:
                group.min_size = action.min_size
            if action.max_size is not None:
                group.max_size = action.max_size
            wish = group.desired_capacity if action.desired_capacity is None else action.desired_capacity
            group.set_desired_capacity(min(max(int(wish or 0), int(group.min_size or 0)), int(group.max_size or 0)))

    def _refuse_unserved(self, tracking: Mapping[str, Any]) -> None:
        """AWS takes a policy on requests only for a target group that the named load balancer forwards to."""
        metric = tracking.get("PredefinedMetricSpecification") or {}
        if metric.get("PredefinedMetricType") != "ALBRequestCountPerTarget":
            return
        balancer, _, target_group = str(metric.get("ResourceLabel", "")).partition("/targetgroup/")
        for arn, found in self.elbv2_backend.target_groups.items():
            users = [one.partition(":loadbalancer/")[2] for one in found.load_balancer_arns]
            if arn.endswith(f":targetgroup/{target_group}") and balancer in users:
                return
        raise ValidationError("The load balancer does not route traffic to the target group.")

    def _policy_key(self, group_name: str | None, policy: str) -> tuple[str, str]:
        for group, name in self.policies:
            if policy in {name, self.policies[group, name].arn} and group_name in {None, "", group}:
                return group, name
        raise ValidationError(f"Policy name not found: {policy}")


def _seconds(moment: str | datetime) -> float:
    return (moment if isinstance(moment, datetime) else default_timestamp_parser(moment)).timestamp()
