"""The fleet's adapter: requests, answers and errors, on stock moto."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    IncompleteReadError,
    MetadataRetrievalError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from include.adapters.aws_errors import AwsRefusedError, translate
from include.adapters.aws_fleet import AwsFleet
from include.errors import RefusedError, RetryableError
from include.fleet import Capacity, ClusterRef, GroupSpec
from include.fleet.tags import CLUSTER, IMAGE, ROLE, RUN
from tests.support.aws_stub import CountingClients, stub_aws

CLUSTER_REF = ClusterRef("api", "main", "us-east-1")
READS = {"DescribeAutoScalingGroups", "DescribeListeners", "DescribeTargetHealth", "DescribeTargetGroups"}


@pytest.fixture
def aws() -> Iterator[CountingClients]:
    with stub_aws() as clients:
        yield clients


@pytest.fixture
def fleet(aws: CountingClients) -> AwsFleet:
    return AwsFleet("us-east-1", aws, "api-main")


def spec_of(name: str, run: str = "push-1", size: int = 2, image_id: str = "") -> GroupSpec:
    image_id = image_id or "ami-12c6146b"
    tags = {CLUSTER: "api-main", ROLE: "main", RUN: run, IMAGE: image_id}
    return GroupSpec(
        name, CLUSTER_REF, image_id, Capacity(size, size, 9), "m5.large", 8080, "/health", "#!/bin/sh\n",
        frozenset({"AZRebalance"}), tags,
    )  # fmt: skip


def throttled(operation: str) -> ClientError:
    return ClientError({"Error": {"Code": "Throttling", "Message": "Rate exceeded"}}, operation)


def test_a_group_is_made_attached_seen_and_deleted(fleet: AwsFleet, aws: CountingClients) -> None:
    fleet.create_group(spec_of("api-main-v000"))
    fleet.set_weights(CLUSTER_REF, {"api-main-v000": 100})
    group = fleet.view_cluster(CLUSTER_REF).group("api-main-v000")
    assert group is not None
    assert (group.weight, group.is_attached, group.capacity) == (100, True, Capacity(2, 2, 9))
    assert (group.image_id, group.suspended) == ("ami-12c6146b", frozenset({"AZRebalance"}))
    assert [one.target_state for one in group.instances] == ["healthy", "healthy"]
    assert group.tags[RUN] == "push-1" and group.created_at.tzinfo is not None

    with pytest.raises(RefusedError, match="takes traffic"):
        fleet.delete_group("api-main-v000")
    fleet.set_weights(CLUSTER_REF, {"api-main-v000": 0})
    fleet.delete_group("api-main-v000")
    fleet.delete_group("api-main-v000")
    assert fleet.view_cluster(CLUSTER_REF).groups == ()
    assert aws("ec2").describe_launch_templates()["LaunchTemplates"] == []
    assert aws("elbv2").describe_target_groups()["TargetGroups"] == []


def test_every_part_says_what_the_group_needs(fleet: AwsFleet, aws: CountingClients) -> None:
    fleet.create_group(spec_of("api-main-v000"))
    group = aws("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"][0]
    assert group["HealthCheckType"] == "ELB" and group["HealthCheckGracePeriod"] > 0
    assert len(group["VPCZoneIdentifier"].split(",")) == 3
    assert all(tag["PropagateAtLaunch"] for tag in group["Tags"])
    target = aws("elbv2").describe_target_groups()["TargetGroups"][0]
    found = [
        target[f"{key}"]
        for key in (
            "HealthCheckIntervalSeconds", "HealthCheckTimeoutSeconds", "HealthyThresholdCount",
            "UnhealthyThresholdCount", "HealthCheckPath", "Port",
        )
    ]  # fmt: skip
    assert found == [5, 2, 2, 2, "/health", 8080]
    attributes = aws("elbv2").describe_target_group_attributes(TargetGroupArn=target["TargetGroupArn"])["Attributes"]
    assert {"Key": "deregistration_delay.timeout_seconds", "Value": "10"} in attributes
    versions = aws("ec2").describe_launch_template_versions(LaunchTemplateName="api-main-v000")
    data = versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    assert (data["ImageId"], data["InstanceType"]) == ("ami-12c6146b", "m5.large")


MAKING = [
    "CreateTargetGroup", "ModifyTargetGroupAttributes", "CreateLaunchTemplate", "CreateAutoScalingGroup",
    "SuspendProcesses",
]  # fmt: skip


@pytest.mark.parametrize("operation", MAKING)
def test_a_group_half_made_by_the_same_run_is_finished(fleet: AwsFleet, aws: CountingClients, operation: str) -> None:
    aws.fail[operation] = [throttled(operation)]
    with pytest.raises(RetryableError, match="throttled"):
        fleet.create_group(spec_of("api-main-v000"))
    seen = fleet.view_cluster(CLUSTER_REF).group("api-main-v000")
    if operation != "CreateTargetGroup":
        assert seen is not None and seen.tags[RUN] == "push-1"
        assert seen.is_partial == (operation != "SuspendProcesses")
    again = AwsFleet("us-east-1", aws, "api-main")
    again.create_group(spec_of("api-main-v000"))
    again.create_group(spec_of("api-main-v000"))
    group = again.view_cluster(CLUSTER_REF).group("api-main-v000")
    assert group is not None and not group.is_partial and group.suspended == {"AZRebalance"}
    assert len(group.instances) == 2


@pytest.mark.parametrize("operation", [*MAKING[1:], None])
def test_a_name_that_another_run_took_is_refused(fleet: AwsFleet, aws: CountingClients, operation: str | None) -> None:
    if operation:
        aws.fail[operation] = [throttled(operation)]
        with pytest.raises(RetryableError):
            fleet.create_group(spec_of("api-main-v000", "push-other"))
    else:
        fleet.create_group(spec_of("api-main-v000", "push-other"))
    with pytest.raises(RefusedError, match="belongs to push-other"):
        fleet.create_group(spec_of("api-main-v000"))


DELETING = [
    "DetachLoadBalancerTargetGroups", "DeleteTargetGroup", "DeleteLaunchTemplate", "DeleteAutoScalingGroup",
]  # fmt: skip


@pytest.mark.parametrize("operation", DELETING)
def test_an_interrupted_deletion_is_seen_and_finished(fleet: AwsFleet, aws: CountingClients, operation: str) -> None:
    fleet.create_group(spec_of("api-main-v000"))
    aws.fail[operation] = [throttled(operation)]
    with pytest.raises(RetryableError):
        fleet.delete_group("api-main-v000")
    seen = AwsFleet("us-east-1", aws, "api-main").view_cluster(CLUSTER_REF).group("api-main-v000")
    assert seen is not None and not seen.is_partial
    fleet.delete_group("api-main-v000")
    assert fleet.view_cluster(CLUSTER_REF).groups == ()
    assert aws("elbv2").describe_target_groups()["TargetGroups"] == []
    assert aws("ec2").describe_launch_templates()["LaunchTemplates"] == []


def test_weights_are_written_whole_once_and_absent_means_removed(fleet: AwsFleet, aws: CountingClients) -> None:
    for number in range(3):
        fleet.create_group(spec_of(f"api-main-v00{number}"))
    fleet.set_weights(CLUSTER_REF, {"api-main-v000": 100, "api-main-v001": 0, "api-main-v002": 7})
    aws.calls.clear()
    fleet.set_weights(CLUSTER_REF, {"api-main-v000": 100, "api-main-v001": 0, "api-main-v002": 7})
    assert "ModifyListener" not in aws.calls
    fleet.set_weights(CLUSTER_REF, {"api-main-v000": 0, "api-main-v001": 999})
    assert aws.calls.count("ModifyListener") == 1
    groups = {group.name: (group.weight, group.is_attached) for group in fleet.view_cluster(CLUSTER_REF).groups}
    assert groups == {"api-main-v000": (0, True), "api-main-v001": (999, True), "api-main-v002": (0, False)}
    fleet.set_weights(CLUSTER_REF, {})
    assert not any(group.is_attached for group in fleet.view_cluster(CLUSTER_REF).groups)


def test_weights_that_aws_would_refuse_or_moto_would_take_are_refused(fleet: AwsFleet) -> None:
    with pytest.raises(RefusedError, match="5 groups at most"):
        fleet.set_weights(CLUSTER_REF, {f"api-main-v00{i}": 1 for i in range(6)})
    with pytest.raises(RefusedError, match="weight 1000"):
        fleet.set_weights(CLUSTER_REF, {"api-main-v000": 1000})
    with pytest.raises(RefusedError, match="no target group api-main-v777"):
        fleet.set_weights(CLUSTER_REF, {"api-main-v777": 1})


@pytest.mark.parametrize("size", [3, 30])
def test_a_view_costs_four_reads_however_many_instances(aws: CountingClients, fleet: AwsFleet, size: int) -> None:
    for name in ("api-main-v000", "api-main-v001"):
        fleet.create_group(replace(spec_of(name), capacity=Capacity(size, size, size)))
    fleet.set_weights(CLUSTER_REF, {"api-main-v000": 1, "api-main-v001": 1})
    fleet.view_cluster(CLUSTER_REF)
    aws.calls.clear()
    view = fleet.view_cluster(CLUSTER_REF)
    assert sum(len(group.instances) for group in view.groups) == 2 * size
    assert len(aws.calls) == 4 and set(aws.calls) <= READS


def test_more_groups_than_a_page_holds_are_all_seen(fleet: AwsFleet, aws: CountingClients) -> None:
    scaling = aws("autoscaling")
    fleet.create_group(spec_of("api-main-v000", size=1))
    for number in range(1, 106):
        scaling.create_auto_scaling_group(
            AutoScalingGroupName=f"api-main-v{number:03d}",
            LaunchTemplate={"LaunchTemplateName": "api-main-v000"},
            MinSize=0,
            MaxSize=0,
            AvailabilityZones=["us-east-1a"],
            Tags=[{"Key": CLUSTER, "Value": "api-main", "PropagateAtLaunch": True}],
        )
    assert len(fleet.view_cluster(CLUSTER_REF).groups) == 106


def test_groups_of_other_clusters_are_not_seen(fleet: AwsFleet) -> None:
    fleet.create_group(replace(spec_of("web-main-v000"), tags={CLUSTER: "web-main", RUN: "x"}))
    assert fleet.view_cluster(CLUSTER_REF).groups == ()


def test_processes_capacity_and_notes_are_changed(fleet: AwsFleet) -> None:
    fleet.create_group(spec_of("api-main-v000"))
    fleet.suspend_processes("api-main-v000", ["Launch", "Terminate"])
    fleet.resume_processes("api-main-v000", ["Launch", "AZRebalance"])
    fleet.resize_group("api-main-v000", Capacity(1, 3, 5))
    fleet.tag_group("api-main-v000", {"redstart:pinned": ""})
    group = fleet.view_cluster(CLUSTER_REF).group("api-main-v000")
    assert group is not None
    assert group.suspended == {"Terminate"}
    assert group.capacity == Capacity(1, 3, 5)
    assert group.tags["redstart:pinned"] == ""


def test_a_network_without_subnets_is_named() -> None:
    with stub_aws(subnets=3) as aws:
        for subnet in aws("ec2").describe_subnets(Filters=[{"Name": "tag:redstart:network", "Values": ["main"]}])[
            "Subnets"
        ]:
            aws("ec2").delete_tags(Resources=[subnet["SubnetId"]], Tags=[{"Key": "redstart:network"}])
        with pytest.raises(RefusedError, match="no subnet in us-east-1 is tagged redstart:network=main"):
            AwsFleet("us-east-1", aws, "api-main").create_group(spec_of("api-main-v000"))


RETRYABLE = [
    throttled("SetDesiredCapacity"),
    ClientError({"Error": {"Code": "RequestLimitExceeded"}}, "x"),
    ClientError({"Error": {"Code": "Whatever"}, "ResponseMetadata": {"HTTPStatusCode": 503}}, "x"),
    EndpointConnectionError(endpoint_url="http://127.0.0.1:1"),
    ConnectionClosedError(endpoint_url="http://127.0.0.1:1"),
    ReadTimeoutError(endpoint_url="http://127.0.0.1:1"),
    IncompleteReadError(actual_bytes=1, expected_bytes=2),
    MetadataRetrievalError(error_msg="no answer"),
    ResponseParserError("Unable to parse response"),
]
translated = partial(translate, service="elbv2", operation="modify_listener", region="eu-west-1", subject="api-main")


@pytest.mark.parametrize("error", RETRYABLE, ids=lambda error: type(error).__name__)
def test_what_may_pass_is_retryable_and_says_where(error: Exception) -> None:
    said = translated(error)
    assert isinstance(said, RetryableError)
    assert "modify_listener in eu-west-1 for api-main" in str(said)


def test_a_no_is_refused_with_awss_code() -> None:
    said = translated(ClientError({"Error": {"Code": "ValidationError", "Message": "bad"}}, "ModifyListener"))
    assert isinstance(said, AwsRefusedError) and said.code == "ValidationError"


@pytest.mark.parametrize("code", ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation"])
def test_a_denied_call_names_the_action_that_the_role_lacks(code: str) -> None:
    said = translated(ClientError({"Error": {"Code": code, "Message": "User is not authorized"}}, "ModifyListener"))
    assert isinstance(said, AwsRefusedError)
    assert "the role may not elasticloadbalancing:ModifyListener (docs/aws.md)" in str(said)


def test_parts_that_aws_does_not_show_yet_are_waited_for(fleet: AwsFleet, aws: CountingClients) -> None:
    for words in (
        "You must use a valid fully-formed launch template. The specified launch template, with template name "
        "api-main-v000, does not exist.",
        "Provided Target Groups may not be valid: arn. Please ensure they exist and try again.",
    ):
        error = {"Error": {"Code": "ValidationError", "Message": words}}
        aws.fail["CreateAutoScalingGroup"] = [ClientError(error, "CreateAutoScalingGroup")]
        with pytest.raises(RetryableError, match="create_auto_scaling_group in us-east-1 for api-main-v000"):
            fleet.create_group(spec_of("api-main-v000"))
    fleet.create_group(spec_of("api-main-v000"))
    assert len(fleet.view_cluster(CLUSTER_REF).groups) == 1


def test_address_is_the_load_balancers_name_and_its_first_port(fleet: AwsFleet, aws: CountingClients) -> None:
    elbv2 = aws("elbv2")
    balancer = elbv2.describe_load_balancers(Names=["api-main"])["LoadBalancers"][0]
    port = elbv2.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"][0]["Port"]
    assert fleet.address() == f"http://{balancer['DNSName']}:{port}"
    with pytest.raises(RefusedError, match="api-nowhere"):
        AwsFleet("us-east-1", aws, "api-nowhere").address()
