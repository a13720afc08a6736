"""What only the local cloud has: faults, killed instances, settings, counts; and accounts, and its server."""

from __future__ import annotations

import json
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.error import HTTPError

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from include.errors import RefusedError
from include.localcloud.server import Server
from include.localcloud.world import TEST_ACCOUNT
from include.services.settings import PROD_ACCOUNT
from tests.support.cloud_things import Things, refused
from tests.support.local_cloud import LocalCloud


def ask(cloud: LocalCloud, method: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{cloud.url}/_localcloud/{path}", data, method=method)
    return json.loads(urllib.request.urlopen(request, timeout=10).read())


def test_throttling_strikes_as_often_as_ordered_and_is_retried(things: Things, local_cloud: LocalCloud) -> None:
    fault = {"service": "autoscaling", "action": "DescribeAutoScalingGroups", "code": "Throttling", "times": 2}
    ask(local_cloud, "POST", "faults", [{**fault, "region": "us-east-1"}])
    config = Config(retries={"mode": "standard", "total_max_attempts": 4})
    patient = boto3.client(
        "autoscaling", region_name="us-east-1", endpoint_url=local_cloud.url, config=config,
        aws_access_key_id="x", aws_secret_access_key="x",
    )  # fmt: skip
    assert patient.describe_auto_scaling_groups()["ResponseMetadata"]["RetryAttempts"] == 2
    assert ask(local_cloud, "GET", "faults")[0]["fired"] == 2
    local_cloud.client("autoscaling", "us-west-2").describe_auto_scaling_groups()
    assert ask(local_cloud, "DELETE", "faults") == []


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        ("ec2", "describe_instances"),
        ("autoscaling", "describe_auto_scaling_groups"),
        ("elbv2", "describe_load_balancers"),
        ("cloudwatch", "list_metrics"),
        ("s3", "list_buckets"),
        ("sts", "get_caller_identity"),
    ],
)
def test_a_refusal_is_read_by_boto3_in_every_protocol(local_cloud: LocalCloud, service: str, operation: str) -> None:
    client = local_cloud.client(service)
    local_cloud.faults.add([{"service": service, "code": "ServiceUnavailable", "status": 503}])
    with pytest.raises(ClientError) as error:
        getattr(client, operation)()
    assert error.value.response["Error"]["Code"] == "ServiceUnavailable"
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    local_cloud.faults.clear()
    getattr(client, operation)()


def test_a_lost_reply_is_done_but_not_answered(things: Things, local_cloud: LocalCloud) -> None:
    things.template("g-v000")
    local_cloud.faults.add([{"action": "create_auto_scaling_group", "lost_reply": True, "times": 1}])
    with pytest.raises(ConnectionClosedError):
        things.bare_group("g-v000")
    assert things.describe()["DesiredCapacity"] == 1
    with refused("AlreadyExists"):
        things.bare_group("g-v000")


def test_latency_and_probability(things: Things, local_cloud: LocalCloud) -> None:
    local_cloud.faults.add([{"service": "ec2", "action": "DescribeVpcs", "latency_seconds": 0.2, "times": 1}])
    begun = time.monotonic()
    things.ec2.describe_vpcs()
    assert time.monotonic() - begun >= 0.2
    local_cloud.faults.add([{"service": "elbv2", "code": "Throttling", "probability": 0.3}])
    struck = 0
    for _ in range(60):
        try:
            things.elb.describe_load_balancers()
        except ClientError:
            struck += 1
    assert struck == local_cloud.faults.listed()[1]["fired"]
    assert 8 <= struck <= 28


def test_an_unknown_key_of_a_fault_is_refused(local_cloud: LocalCloud) -> None:
    with pytest.raises(HTTPError) as error:
        ask(local_cloud, "POST", "faults", [{"servce": "ec2"}])
    assert (error.value.code, b"servce" in error.value.read()) == (400, True)


def test_an_instance_can_be_killed_and_boots_slowed(things: Things, local_cloud: LocalCloud) -> None:
    instance = things.run()
    local_cloud.advance(2)
    assert ask(local_cloud, "POST", f"instances/{instance}/kill") == {"killed": instance}
    assert things.state(instance) == "stopped"
    assert ask(local_cloud, "POST", "settings", {"boot_seconds": 20})["boot_seconds"] == 20
    slow = things.run()
    local_cloud.advance(19)
    assert things.state(slow) == "pending"
    local_cloud.advance(2)
    assert things.state(slow) == "running"
    assert ask(local_cloud, "GET", "health")["instances"] == {"stopped": 1, "running": 1}


def test_calls_are_counted_by_region_service_and_action(things: Things, local_cloud: LocalCloud) -> None:
    begun = int(time.time())
    things.describe()
    things.describe()
    found = {
        (one["region"], one["service"], one["action"]): one["count"]
        for one in ask(local_cloud, "GET", f"calls?since={begun}")
    }
    assert found["us-east-1", "autoscaling", "DescribeAutoScalingGroups"] == 2
    assert ask(local_cloud, "GET", f"calls?since={begun + 3600}") == []


def test_the_test_account_is_reached_by_its_role_and_sees_nothing_of_prod(
    things: Things, local_cloud: LocalCloud
) -> None:
    things.group(size=1)
    other = local_cloud.client("sts", account=TEST_ACCOUNT).get_caller_identity()
    assert (other["Account"], things.cloud.client("sts").get_caller_identity()["Account"]) == (
        TEST_ACCOUNT,
        PROD_ACCOUNT,
    )
    seen = local_cloud.client("autoscaling", account=TEST_ACCOUNT).describe_auto_scaling_groups()
    assert seen["AutoScalingGroups"] == []
    west = local_cloud.client("autoscaling", "us-west-2").describe_auto_scaling_groups()
    assert west["AutoScalingGroups"] == []
    balancer = local_cloud.client("elbv2", account=TEST_ACCOUNT).describe_load_balancers()["LoadBalancers"][0]
    assert balancer["DNSName"] == "127.20.0.10"


def test_an_instance_of_the_test_account_publishes_there(things: Things, local_cloud: LocalCloud) -> None:
    ec2 = local_cloud.client("ec2", account=TEST_ACCOUNT)
    subnet = ec2.describe_subnets(Filters=[{"Name": "tag:redstart:network", "Values": ["main"]}])["Subnets"][0]
    image = local_cloud.base_image(account=TEST_ACCOUNT)
    made = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, SubnetId=subnet["SubnetId"])["Instances"][0]
    base = f"{local_cloud.url}/_localcloud/imds/{made['InstanceId']}/latest"
    wish = urllib.request.Request(
        f"{base}/api/token", method="PUT", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    )
    token = urllib.request.urlopen(wish).read().decode()

    def metadata(path: str) -> str:
        asked = urllib.request.Request(f"{base}/meta-data/{path}", headers={"X-aws-ec2-metadata-token": token})
        return urllib.request.urlopen(asked).read().decode()

    assert metadata("local-ipv4") == made["PrivateIpAddress"]
    role = metadata("iam/security-credentials/")
    keys = json.loads(metadata(f"iam/security-credentials/{role}"))
    client = boto3.client(
        "sts", region_name="us-east-1", endpoint_url=local_cloud.url, aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"], aws_session_token=keys["Token"],
    )  # fmt: skip
    assert client.get_caller_identity()["Account"] == TEST_ACCOUNT


def test_an_unknown_region_and_an_unknown_action_are_told_in_aws_words(local_cloud: LocalCloud) -> None:
    with refused("NotImplemented"):
        local_cloud.client("autoscaling").describe_account_limits()
    client = boto3.client(
        "ec2", region_name="ap-south-1", endpoint_url=local_cloud.url, aws_access_key_id="x",
        aws_secret_access_key="x",
    )  # fmt: skip
    with refused("InvalidRegion"):
        client.describe_instances()


def test_a_taken_port_is_one_clear_sentence(local_cloud: LocalCloud) -> None:
    with pytest.raises(RefusedError, match=f"127.0.0.1:{local_cloud.server.port} is in use"):
        Server(local_cloud.application, local_cloud.server.port)


def test_many_callers_at_once_do_not_disturb_each_other(things: Things, local_cloud: LocalCloud) -> None:
    things.template("template")

    def make(number: int) -> None:
        things.bare_group(f"g-v{number:03}", size=2, LaunchTemplate={"LaunchTemplateName": "template"})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(24)))
    local_cloud.advance(3)
    groups = things.scaling.describe_auto_scaling_groups(MaxRecords=100)["AutoScalingGroups"]
    assert len(groups) == 24
    assert {len(group["Instances"]) for group in groups} == {2}
    addresses = [spec.address for spec in local_cloud.machines.specs.values()]
    assert len(addresses) == len(set(addresses)) == 48
