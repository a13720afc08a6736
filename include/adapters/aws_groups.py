"""The three parts of a group, made and deleted in an order that leaves a trace.

The target group is the first to be made: with its tags it tells whose half-made group it is. The Auto Scaling group
is the last to be deleted: as long as anything else is left it is still there to be deleted again.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from include.adapters.aws_errors import AwsCalls, AwsRefusedError, tag_list, tag_map
from include.adapters.aws_listener import find_target_groups
from include.adapters.aws_traffic import balancer_dimension
from include.errors import ConfigError, RefusedError, RetryableError
from include.fleet.tags import CLUSTER, NETWORK, RUN
from include.fleet.values import GroupSpec, ScalingPolicy

TAGS_PER_CALL = 20
POLICY = "redstart-requests"
GONE = re.compile("not found|not part of the group")
NOT_YET = re.compile("launch template, with .* does not exist|Target Groups may not be valid")


@dataclass(frozen=True)
class GroupSettings:
    """What every group of a region has in common on AWS's side; times in seconds.

    `network`: value of the tag redstart:network by which subnets are found. `security_group_ids` and
    `instance_profile` are left to the subnets' defaults where empty. `traffic_period_seconds`: how often the load
    balancer's metrics come.
    """

    network: str = "main"
    check_interval_seconds: int = 5
    check_timeout_seconds: int = 2
    healthy_threshold: int = 2
    unhealthy_threshold: int = 2
    drain_seconds: int = 10
    grace_seconds: int = 60
    security_group_ids: tuple[str, ...] = ()
    instance_profile: str = ""
    traffic_period_seconds: int = 60

    @classmethod
    def of(cls, given: Mapping[str, Any], *, source: str) -> GroupSettings:
        """What `given` says by these names; other names are not ours. ConfigError names a value of the wrong kind."""
        found: dict[str, Any] = {}
        for one in fields(cls):
            if one.name not in given:
                continue
            value = given[one.name]
            value = tuple(value) if isinstance(value, list) else value
            if type(value) is not type(one.default):
                raise ConfigError(f"must be like {one.default!r}", source=source, key=one.name, value=value)
            found[one.name] = value
        return cls(**found)


class AwsGroups:
    """Making and deleting groups of one region."""

    def __init__(self, calls: AwsCalls, settings: GroupSettings) -> None:
        self._calls = calls
        self._settings = settings
        self._subnets: list[Mapping[str, Any]] = []

    def create(self, spec: GroupSpec) -> None:
        """Target group, launch template, Auto Scaling group, then what is to be suspended; own parts are adopted."""
        target_group_arn = self._make_target_group(spec)
        self._make_template(spec)
        suspended = self._make_scaling_group(spec, target_group_arn)
        if not spec.suspended <= suspended:
            self._calls.call(
                "autoscaling",
                "suspend_processes",
                subject=spec.name,
                AutoScalingGroupName=spec.name,
                ScalingProcesses=sorted(spec.suspended),
            )

    def delete(self, name: str, target_group_arn: str | None) -> None:
        """Every part that is still there, the Auto Scaling group last; AWS empties it after the call. A part of that
        name that carries no cluster's tag is somebody else's, and stays."""
        found = self.find_scaling_group(name) or {}
        is_there = bool(found) and not found.get("Status") and CLUSTER in tag_map(found.get("Tags"))
        if target_group_arn and CLUSTER in self.target_group_tags([target_group_arn]).get(target_group_arn, {}):
            if is_there and target_group_arn in found.get("TargetGroupARNs", ()):
                self._quietly(
                    "autoscaling",
                    "detach_load_balancer_target_groups",
                    name,
                    AutoScalingGroupName=name,
                    TargetGroupARNs=[target_group_arn],
                )
            self._quietly("elbv2", "delete_target_group", name, TargetGroupArn=target_group_arn)
        self._delete_template(name)
        if is_there:
            self._quietly("autoscaling", "delete_auto_scaling_group", name, AutoScalingGroupName=name, ForceDelete=True)

    def put_policy(self, name: str, policy: ScalingPolicy, balancer_arn: str, target_group_arn: str) -> None:
        """Target tracking on requests; the same name replaces what was there."""
        label = f"{balancer_dimension(balancer_arn)}/{target_group_arn.rpartition(':')[2]}"
        metric = {"PredefinedMetricType": "ALBRequestCountPerTarget", "ResourceLabel": label}
        self._calls.call(
            "autoscaling",
            "put_scaling_policy",
            subject=name,
            AutoScalingGroupName=name,
            PolicyName=POLICY,
            PolicyType="TargetTrackingScaling",
            EstimatedInstanceWarmup=round(policy.warmup_seconds),
            TargetTrackingConfiguration={
                "PredefinedMetricSpecification": metric,
                "TargetValue": policy.target_rps * 60.0,  # AWS counts requests per target and minute
            },
        )

    def find_scaling_group(self, name: str) -> Mapping[str, Any] | None:
        answer = self._calls.call(
            "autoscaling", "describe_auto_scaling_groups", subject=name, AutoScalingGroupNames=[name]
        )
        return next(iter(answer["AutoScalingGroups"]), None)

    def target_group_tags(self, arns: list[str]) -> dict[str, dict[str, str]]:
        """Tags per target group ARN."""
        found: dict[str, dict[str, str]] = {}
        for start in range(0, len(arns), TAGS_PER_CALL):
            answer = self._calls.call("elbv2", "describe_tags", ResourceArns=arns[start : start + TAGS_PER_CALL])
            found |= {one["ResourceArn"]: tag_map(one["Tags"]) for one in answer["TagDescriptions"]}
        return found

    def subnets(self) -> list[Mapping[str, Any]]:
        """Subnets of the cluster's network, one or more a zone, in the order of their zones."""
        if not self._subnets:
            filters = [{"Name": f"tag:{NETWORK}", "Values": [self._settings.network]}]
            found = list(self._calls.pages("ec2", "describe_subnets", "Subnets", Filters=filters))
            if not found:
                raise RefusedError(f"no subnet in {self._calls.region} is tagged {NETWORK}={self._settings.network}")
            self._subnets = sorted(found, key=lambda one: (one["AvailabilityZone"], one["SubnetId"]))
        return self._subnets

    def _make_target_group(self, spec: GroupSpec) -> str:
        arn = self._find_target_group(spec)
        if arn is None:
            try:
                arn = self._create_target_group(spec)
            except AwsRefusedError as error:  # made by a try whose reply was lost, or by another just now
                arn = self._find_target_group(spec) if error.code == "DuplicateTargetGroupName" else None
                if arn is None:
                    raise
        drain = {"Key": "deregistration_delay.timeout_seconds", "Value": str(self._settings.drain_seconds)}
        self._calls.call(
            "elbv2", "modify_target_group_attributes", subject=spec.name, TargetGroupArn=arn, Attributes=[drain]
        )
        return arn

    def _find_target_group(self, spec: GroupSpec) -> str | None:
        """Its ARN; one of that name that is not this run's is refused."""
        arn = find_target_groups(self._calls, [spec.name]).get(spec.name)
        if arn is not None:
            self._refuse_foreign(spec, "target group", self.target_group_tags([arn]).get(arn, {}))
        return arn

    def _create_target_group(self, spec: GroupSpec) -> str:
        made = self._calls.call(
            "elbv2",
            "create_target_group",
            subject=spec.name,
            Name=spec.name,
            Protocol="HTTP",
            Port=spec.port,
            VpcId=self.subnets()[0]["VpcId"],
            TargetType="instance",
            HealthCheckProtocol="HTTP",
            HealthCheckPath=spec.health_path,
            HealthCheckIntervalSeconds=self._settings.check_interval_seconds,
            HealthCheckTimeoutSeconds=self._settings.check_timeout_seconds,
            HealthyThresholdCount=self._settings.healthy_threshold,
            UnhealthyThresholdCount=self._settings.unhealthy_threshold,
            Tags=tag_list(spec.tags),
        )
        return str(made["TargetGroups"][0]["TargetGroupArn"])

    def _make_template(self, spec: GroupSpec) -> None:
        """The whole data in one version: nothing is inherited from another template."""
        data: dict[str, Any] = {
            "ImageId": spec.image_id,
            "InstanceType": spec.instance_type,
            "MetadataOptions": {"HttpTokens": "required", "HttpEndpoint": "enabled", "InstanceMetadataTags": "enabled"},
        }
        if spec.user_data:
            data["UserData"] = base64.b64encode(spec.user_data.encode()).decode()
        if self._settings.security_group_ids:
            data["SecurityGroupIds"] = list(self._settings.security_group_ids)
        if self._settings.instance_profile:
            data["IamInstanceProfile"] = {"Name": self._settings.instance_profile}
        try:
            self._calls.call(
                "ec2",
                "create_launch_template",
                subject=spec.name,
                LaunchTemplateName=spec.name,
                LaunchTemplateData=data,
                TagSpecifications=[{"ResourceType": "launch-template", "Tags": tag_list(spec.tags)}],
            )
        except AwsRefusedError as error:
            if "AlreadyExists" not in error.code:
                raise
            found = self._calls.call(
                "ec2", "describe_launch_templates", subject=spec.name, LaunchTemplateNames=[spec.name]
            )
            self._refuse_foreign(spec, "launch template", tag_map(found["LaunchTemplates"][0].get("Tags")))

    def _make_scaling_group(self, spec: GroupSpec, target_group_arn: str) -> frozenset[str]:
        """Processes that are suspended already; a group of that name that this run made is left as it is."""
        found = self.find_scaling_group(spec.name)
        if found is None:
            try:
                self._create_scaling_group(spec, target_group_arn)
                return frozenset()
            except AwsRefusedError as error:
                if NOT_YET.search(str(error)):  # just made by us: EC2 and ELB tell their neighbours a moment later
                    raise RetryableError(str(error)) from error
                if "AlreadyExists" not in error.code:
                    raise
            found = self.find_scaling_group(spec.name) or {}
        self._refuse_foreign(spec, "Auto Scaling group", tag_map(found.get("Tags")))
        return frozenset(one["ProcessName"] for one in found.get("SuspendedProcesses", ()))

    def _create_scaling_group(self, spec: GroupSpec, target_group_arn: str) -> None:
        tags = [
            {**tag, "ResourceId": spec.name, "ResourceType": "auto-scaling-group", "PropagateAtLaunch": True}
            for tag in tag_list(spec.tags)
        ]
        self._calls.call(
            "autoscaling",
            "create_auto_scaling_group",
            subject=spec.name,
            AutoScalingGroupName=spec.name,
            LaunchTemplate={"LaunchTemplateName": spec.name, "Version": "$Latest"},
            MinSize=spec.capacity.minimum,
            DesiredCapacity=spec.capacity.desired,
            MaxSize=spec.capacity.maximum,
            VPCZoneIdentifier=",".join(str(one["SubnetId"]) for one in self.subnets()),
            TargetGroupARNs=[target_group_arn],
            HealthCheckType="ELB",
            HealthCheckGracePeriod=self._settings.grace_seconds,
            Tags=tags,
        )

    def _delete_template(self, name: str) -> None:
        filters = [{"Name": "launch-template-name", "Values": [name]}]
        templates = self._calls.call("ec2", "describe_launch_templates", subject=name, Filters=filters)
        for template in templates["LaunchTemplates"]:
            if CLUSTER in tag_map(template.get("Tags")):
                self._quietly("ec2", "delete_launch_template", name, LaunchTemplateId=template["LaunchTemplateId"])

    def _refuse_foreign(self, spec: GroupSpec, part: str, tags: Mapping[str, str]) -> None:
        owner = tags.get(RUN, "")
        if owner != spec.tags.get(RUN, ""):
            raise RefusedError(
                f"{spec.name} in {self._calls.region}: a {part} of that name exists and belongs to "
                f"{owner or 'nobody known'}"
            )

    def _quietly(self, service: str, operation: str, name: str, **arguments: Any) -> None:
        """A deletion; what is gone already is as good as deleted."""
        try:
            self._calls.call(service, operation, subject=name, **arguments)
        except AwsRefusedError as error:
            is_gone = "NotFound" in error.code or (error.code == "ValidationError" and GONE.search(str(error)))
            if not is_gone:
                raise
