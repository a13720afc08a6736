"""Auto Scaling of the local cloud: installation, the API's answers, and the steps of all groups."""

from __future__ import annotations

import logging
from typing import Any

from moto.autoscaling import models
from moto.autoscaling.exceptions import AutoscalingClientError, ValidationError
from moto.autoscaling.models import autoscaling_backends
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult

from include.localcloud.moto_library import made_backends, replace_backend
from include.localcloud.scaling_group import LocalGroup
from include.localcloud.scaling_policies import PoliciesBackend
from include.localcloud.scaling_steps import step
from include.localcloud.stage import current

log = logging.getLogger(__name__)


class ScalingResponse(AutoScalingResponse):
    """Answers that moto leaves empty, and parameters that it does not pass on."""

    autoscaling_backend: Any  # moto's property, narrowed to ours by `install`

    def describe_auto_scaling_groups(self) -> ActionResult:
        """moto's token is a group's name, and the group may be gone when it comes back."""
        size = self._get_int_param("MaxRecords", 50)
        if size > 100:
            raise ValidationError("MaxRecords must be at most 100")
        names, filters = self._get_param("AutoScalingGroupNames", []), self._get_param("Filters", [])
        found = self.autoscaling_backend.describe_auto_scaling_groups(names, filters=filters)
        start = self._page_start()
        more = str(start + size) if len(found) > start + size else None
        return ActionResult({"AutoScalingGroups": found[start : start + size], "NextToken": more})

    def describe_scaling_activities(self) -> ActionResult:
        name = self._get_param("AutoScalingGroupName")
        if name and not self._get_bool_param("IncludeDeletedGroups", False):
            self.autoscaling_backend.group(name)
        found = self.autoscaling_backend.activities.of(name, self._get_param("ActivityIds", []))
        start, size = self._page_start(), min(self._get_int_param("MaxRecords", 100), 100)
        more = str(start + size) if len(found) > start + size else None
        return ActionResult({"Activities": found[start : start + size], "NextToken": more})

    def delete_auto_scaling_group(self) -> ActionResult:
        name, is_forced = self._get_param("AutoScalingGroupName"), self._get_bool_param("ForceDelete", False)
        self.autoscaling_backend.delete_auto_scaling_group(name, bool(is_forced))
        return EmptyResult()

    def set_instance_health(self) -> ActionResult:
        if self._get_param("HealthStatus") not in {"Healthy", "Unhealthy"}:
            raise ValidationError("Valid instance health states are: [Healthy, Unhealthy].")
        return super().set_instance_health()

    def delete_policy(self) -> ActionResult:
        self.autoscaling_backend.delete_policy(self._get_param("AutoScalingGroupName"), self._get_param("PolicyName"))
        return EmptyResult()

    def execute_policy(self) -> ActionResult:
        self.autoscaling_backend.execute_policy(self._get_param("AutoScalingGroupName"), self._get_param("PolicyName"))
        return EmptyResult()

    def _page_start(self) -> int:
        token = self._get_param("NextToken") or "0"
        if not token.isdecimal():
            raise AutoscalingClientError("InvalidNextToken", "The NextToken value is not valid.")
        return int(token)


def install() -> None:
    replace_backend(autoscaling_backends, PoliciesBackend)
    models.FakeAutoScalingGroup = LocalGroup


def scale_by_policy(account: str, region: str, group: str, desired: int) -> bool:
    return bool(autoscaling_backends[account][region].scale_by_policy(group, desired))


def settle(now: float) -> None:
    """One step of every group everywhere."""
    for _, _, backend in made_backends(autoscaling_backends):
        backend.act_on_schedule(now)
        for name, group in list(backend.autoscaling_groups.items()):
            try:
                if not step(group, now):
                    backend.forget(name)
            except Exception:  # one group's trouble must not hold up the others
                if current().is_moved_by_tests:
                    raise
                log.exception("a step of %s failed", name)
