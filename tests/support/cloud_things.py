"""Groups, target groups and listeners made through boto3, as tests of the local cloud need them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.local_cloud import LocalCloud

NETWORK = [{"Name": "tag:redstart:network", "Values": ["main"]}]


class Things:
    """Of one region (and account) of a local cloud."""

    def __init__(self, cloud: LocalCloud, region: str = "us-east-1") -> None:
        self.cloud, self.region = cloud, region
        self.ec2 = cloud.client("ec2", region)
        self.scaling = cloud.client("autoscaling", region)
        self.elb = cloud.client("elbv2", region)

    def subnets(self) -> list[dict[str, Any]]:
        found = self.ec2.describe_subnets(Filters=NETWORK)["Subnets"]
        return sorted(found, key=lambda one: one["AvailabilityZone"])

    def target_group(self, name: str, *, drain_seconds: int = 10) -> str:
        made = self.elb.create_target_group(
            Name=name, Protocol="HTTP", Port=8080, VpcId=self.subnets()[0]["VpcId"], HealthCheckPath="/health",
            HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2, HealthyThresholdCount=2,
            UnhealthyThresholdCount=2,
        )  # fmt: skip
        arn = str(made["TargetGroups"][0]["TargetGroupArn"])
        delay = {"Key": "deregistration_delay.timeout_seconds", "Value": str(drain_seconds)}
        self.elb.modify_target_group_attributes(TargetGroupArn=arn, Attributes=[delay])
        return arn

    def template(self, name: str, **data: Any) -> None:
        data = {"ImageId": self.cloud.base_image(self.region), "InstanceType": "t3.micro", **data}
        self.ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)

    def group(self, name: str = "g-v000", *, size: int = 3, largest: int = 9, **more: Any) -> str:
        """With a target group of its own, which no listener forwards to yet; returns its ARN."""
        arn = self.target_group(name)
        self.template(name)
        self.bare_group(name, size=size, largest=largest, TargetGroupARNs=[arn], **more)
        return arn

    def bare_group(self, name: str, *, size: int = 1, largest: int = 9, **more: Any) -> None:
        wish = {
            "LaunchTemplate": {"LaunchTemplateName": name, "Version": "$Latest"},
            "MinSize": 0,
            "MaxSize": largest,
            "DesiredCapacity": size,
            "VPCZoneIdentifier": ",".join(one["SubnetId"] for one in self.subnets()),
            "HealthCheckType": "ELB",
            "HealthCheckGracePeriod": 10,
            **more,
        }
        self.scaling.create_auto_scaling_group(AutoScalingGroupName=name, **wish)

    def serving_group(self, name: str = "g-v000", *, size: int = 3, **more: Any) -> str:
        """On the listener with all of the traffic, every target healthy."""
        arn = self.group(name, size=size, **more)
        self.forward({arn: 100})
        self.cloud.advance(10)
        assert set(self.health(arn).values()) == {"healthy"}
        return arn

    def listener(self) -> str:
        balancer = self.elb.describe_load_balancers(Names=["api-main"])["LoadBalancers"][0]["LoadBalancerArn"]
        return str(self.elb.describe_listeners(LoadBalancerArn=balancer)["Listeners"][0]["ListenerArn"])

    def forward(self, weights: dict[str, int]) -> None:
        listed = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items()]
        action = {"Type": "forward", "ForwardConfig": {"TargetGroups": listed}}
        self.elb.modify_listener(ListenerArn=self.listener(), DefaultActions=[action])

    def describe(self, name: str = "g-v000") -> dict[str, Any]:
        found = self.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
        return dict(found[0]) if found else {}

    def members(self, name: str = "g-v000", *, lifecycle: str = "InService") -> list[str]:
        found = self.describe(name).get("Instances", [])
        return [one["InstanceId"] for one in found if one["LifecycleState"] == lifecycle]

    def health(self, arn: str) -> dict[str, str]:
        """Instance id -> state."""
        found = self.elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        return {one["Target"]["Id"]: one["TargetHealth"]["State"] for one in found}

    def reason(self, arn: str, instance_id: str) -> tuple[str, str]:
        asked = [{"Id": instance_id}]
        found = self.elb.describe_target_health(TargetGroupArn=arn, Targets=asked)["TargetHealthDescriptions"][0]
        return found["TargetHealth"]["State"], found["TargetHealth"].get("Reason", "")

    def run(self, image_id: str | None = None, **more: Any) -> str:
        wish = {"ImageId": image_id or self.cloud.base_image(self.region), "SubnetId": self.subnets()[0]["SubnetId"]}
        made = self.ec2.run_instances(**{"InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1, **wish, **more})
        return str(made["Instances"][0]["InstanceId"])

    def state(self, instance_id: str) -> str:
        found = self.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
        return str(found["State"]["Name"])

    def activities(self, name: str = "g-v000") -> list[dict[str, Any]]:
        return list(self.scaling.describe_scaling_activities(AutoScalingGroupName=name)["Activities"])


@contextmanager
def refused(code: str) -> Iterator[None]:
    """The call inside is refused with AWS's `code`."""
    with pytest.raises(ClientError) as error:
        yield
    assert error.value.response["Error"]["Code"] == code, error.value
