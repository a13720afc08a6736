"""A group and its members as records. Launching and ending only write down what is to happen; the steps of
scaling_steps.py make it happen.

Mended gaps of moto 5.2.5 (FakeAutoScalingGroup): instances are launched and ended inside the call, all in the first
subnet, always InService; a member shows its template's default version, not its own.
"""

from __future__ import annotations

from typing import Any

from moto.autoscaling.models import ASG_NAME_TAG, FakeAutoScalingGroup, InstanceState
from moto.core.exceptions import ServiceException

from include.localcloud.clock import utc
from include.localcloud.scaling_activities import Activity
from include.localcloud.scaling_choice import choose_zones
from include.localcloud.stage import current

RETRY_SECONDS = 15.0
LIVE = ("Pending", "InService")
GONE = ("shutting-down", "terminated")


class Member(InstanceState):
    """One instance of a group; times in seconds. `activity` is the one that is under way for it."""

    def __init__(self, instance: Any, group: Any, version: int | None, now: float, activity: Activity) -> None:
        super().__init__(
            instance,
            lifecycle_state="Pending",
            protected_from_scale_in=group.new_instances_protected_from_scale_in,
            autoscaling_group=group,
        )
        self.version = version
        self.launched_at, self.in_service_at = now, 0.0
        self.activity: Activity | None = activity
        self.image_id = instance.image_id

    @property
    def launch_template(self) -> dict[str, Any] | None:
        template = self.auto_scaling_group.ec2_launch_template
        if template is None:
            return None
        return {
            "LaunchTemplateId": template.id,
            "LaunchTemplateName": template.name,
            "Version": str(self.version),
        }

    @property
    def zone(self) -> str:
        return str(self.availability_zone)

    @property
    def is_protected(self) -> bool:
        return bool(self.protected_from_scale_in)

    @property
    def is_live(self) -> bool:
        return self.lifecycle_state in LIVE

    @property
    def is_healthy(self) -> bool:
        return self.health_status == "Healthy"

    @property
    def is_serving(self) -> bool:
        """In service, healthy, and every target group agrees: such a member is the last to be scaled in."""
        group = self.auto_scaling_group
        balancing = group.autoscaling_backend.elbv2_backend
        states = [balancing.target_state(arn, self.instance_id) for arn in group.target_group_arns]
        return self.lifecycle_state == "InService" and self.is_healthy and set(states) <= {"healthy", "unused"}


class LocalGroup(FakeAutoScalingGroup):
    """One Auto Scaling group. `status` is None, or "Delete in progress"."""

    status: str | None = None
    retry_at = 0.0

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.created_time = utc(current().clock.now())

    @property
    def members(self) -> list[Member]:
        return self.instance_states

    def is_suspended(self, process: str) -> bool:
        return process in self._suspended_processes

    def set_desired_capacity(self, new_capacity: int | None) -> None:
        """Only the wish."""
        self.desired_capacity = self.min_size if new_capacity is None else new_capacity
        self.retry_at = 0.0

    def _set_launch_configuration(self, *arguments: Any, **named: Any) -> None:
        """moto would let a group name a version that is not there."""
        super()._set_launch_configuration(*arguments, **named)
        if self.ec2_launch_template is not None:
            self.ec2_launch_template.get_version(self.launch_template_version)

    def launch(self, count: int, now: float, cause: str) -> None:
        """`count` new members, Pending, one activity each; a refusal is a failed activity and a pause."""
        live = [member for member in self.members if member.is_live]
        subnets = self._subnets_by_zone()
        zones = list(subnets) or list(self.availability_zones)
        for zone in choose_zones(zones, live, count):
            log = self.autoscaling_backend.activities
            activity = log.begin(self.name, "Launching a new EC2 instance", cause, now)
            try:
                instance, version = self._run_instance(zone, subnets.get(zone))
            except ServiceException as error:
                message = f"{error.message} Launching EC2 instance failed."
                activity.finish(now, "Failed", message)
                self.retry_at = now + RETRY_SECONDS
                return
            activity.description += f": {instance.id}"
            activity.instance_id, activity.progress = instance.id, 30
            self.instance_states.append(Member(instance, self, version, now, activity))

    def begin_termination(self, member: Member, now: float, cause: str) -> None:
        """Out of its target groups; its instance ends when they have let go of it."""
        if member.lifecycle_state.startswith("Terminating"):
            return
        if member.activity is not None:
            member.activity.finish(now, "Cancelled", "The instance is terminated.")
        log = self.autoscaling_backend.activities
        what = f"Terminating EC2 instance: {member.instance_id}"
        member.activity = log.begin(self.name, what, cause, now, member.instance_id)
        member.lifecycle_state = "Terminating"
        for arn in self.target_group_arns:
            if arn in self.autoscaling_backend.elbv2_backend.target_groups:
                self.autoscaling_backend.elbv2_backend.deregister_targets(arn, [{"Id": member.instance_id}])

    def _run_instance(self, zone: str, subnet_id: str | None) -> tuple[Any, int | None]:
        template, version, named = self.ec2_launch_template, None, {}
        if template is not None:
            if template.id not in self.ec2_backend.launch_templates:
                raise ServiceException(
                    f"The specified launch template, with template ID {template.id}, does not exist."
                )
            version = template.get_version(self.launch_template_version).number
            named["launch_template"] = {"LaunchTemplateId": template.id, "Version": str(version)}
        reservation = self.ec2_backend.run_instances(
            self.image_id,
            1,
            None if template is not None else self.user_data,
            self.security_groups,
            instance_type=self.instance_type,
            tags={"instance": {**self.instance_tags, **self.get_propagated_tags(), ASG_NAME_TAG: self.name}},
            placement=zone,
            is_instance_type_default=not self.instance_type,
            subnet_id=subnet_id,
            **named,
        )
        instance = reservation.instances[0]
        instance.autoscaling_group = self
        return instance, version

    def _subnets_by_zone(self) -> dict[str, str]:
        """The first subnet of each zone, in the order given."""
        ids = self.vpc_zone_identifier.split(",") if self.vpc_zone_identifier else []
        found: dict[str, str] = {}
        for subnet in self.ec2_backend.describe_subnets(subnet_ids=ids) if ids else ():
            found.setdefault(subnet.availability_zone, subnet.id)
        return dict(sorted(found.items()))
