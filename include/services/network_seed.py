"""The world before the first push: networks, load balancers and buckets of all accounts and regions.

A script over AWS's API; what is there already is left alone, so it can be run again at any time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from include.services.settings import PROD_ACCOUNT, REGIONS, TEST_ACCOUNT, Settings

ClientFactory = Callable[[str, str, str], Any]
"""(account, service, region) -> boto3 client."""
NETWORK_TAG = {"Key": "redstart:network", "Value": "main"}
ZONES = "abc"
LOAD_BALANCER = "api-main"
TEST_OCTET_OFFSET = 10
NOBODY = {
    "Type": "fixed-response",
    "FixedResponseConfig": {"StatusCode": "503", "ContentType": "text/plain", "MessageBody": "no group is enabled"},
}


def seed_network(client_factory: ClientFactory, settings: Settings) -> None:
    """Make what is missing, in both accounts and every region."""
    for account in (PROD_ACCOUNT, TEST_ACCOUNT):
        for region in REGIONS:
            seed_region(client_factory, settings, account, region)


def seed_region(client_factory: ClientFactory, settings: Settings, account: str, region: str) -> None:
    """Make what is missing in one account and region."""
    ec2 = client_factory(account, "ec2", region)
    octet = network_octet(settings, account, region)
    vpc_id = _make_vpc(ec2, octet)
    subnets = _make_subnets(ec2, vpc_id, octet, region)
    group_id = _make_security_group(ec2, vpc_id)
    _make_load_balancer(client_factory(account, "elbv2", region), subnets, group_id, settings.router_port)
    _make_bucket(client_factory(account, "s3", region), bucket_name(account, region), region)


def network_octet(settings: Settings, account: str, region: str) -> int:
    """The second octet of the account's network in the region; Envoy's admin address is 127.<octet>.0.11."""
    return settings.network_octet + REGIONS.index(region) + (0 if account == PROD_ACCOUNT else TEST_OCTET_OFFSET)


def bucket_name(account: str, region: str) -> str:
    return f"redstart-artifacts-{account}-{region}"


def _tags(kind: str, **more: str) -> list[dict[str, Any]]:
    named = [{"Key": key, "Value": value} for key, value in more.items()]
    return [{"ResourceType": kind, "Tags": [NETWORK_TAG, *named]}]


def _by_tag() -> list[dict[str, Any]]:
    return [{"Name": f"tag:{NETWORK_TAG['Key']}", "Values": [NETWORK_TAG["Value"]]}]


def _make_vpc(ec2: Any, octet: int) -> str:
    found = ec2.describe_vpcs(Filters=_by_tag())["Vpcs"]
    if found:
        return str(found[0]["VpcId"])
    made = ec2.create_vpc(CidrBlock=f"127.{octet}.0.0/16", TagSpecifications=_tags("vpc", Name="main"))
    return str(made["Vpc"]["VpcId"])


def _make_subnets(ec2: Any, vpc_id: str, octet: int, region: str) -> list[str]:
    found = ec2.describe_subnets(Filters=[*_by_tag(), {"Name": "vpc-id", "Values": [vpc_id]}])["Subnets"]
    by_zone = {subnet["AvailabilityZone"]: str(subnet["SubnetId"]) for subnet in found}
    for number, letter in enumerate(ZONES, 1):
        zone = region + letter
        if zone not in by_zone:
            made = ec2.create_subnet(
                VpcId=vpc_id,
                CidrBlock=f"127.{octet}.{number}.0/24",
                AvailabilityZone=zone,
                TagSpecifications=_tags("subnet", Name=f"main-{letter}"),
            )
            by_zone[zone] = str(made["Subnet"]["SubnetId"])
    return [by_zone[zone] for zone in sorted(by_zone)]


def _make_security_group(ec2: Any, vpc_id: str) -> str:
    wanted = [{"Name": "group-name", "Values": ["main"]}, {"Name": "vpc-id", "Values": [vpc_id]}]
    found = ec2.describe_security_groups(Filters=wanted)["SecurityGroups"]
    if found:
        return str(found[0]["GroupId"])
    made = ec2.create_security_group(
        GroupName="main", Description="all of the main network", VpcId=vpc_id, TagSpecifications=_tags("security-group")
    )
    return str(made["GroupId"])


def _make_load_balancer(elbv2: Any, subnets: list[str], group_id: str, port: int) -> None:
    """Its listener answers 503 until the first group is enabled."""
    existing = [
        one for one in elbv2.describe_load_balancers()["LoadBalancers"] if one["LoadBalancerName"] == LOAD_BALANCER
    ]
    balancer = (
        existing
        or elbv2.create_load_balancer(
            Name=LOAD_BALANCER, Subnets=subnets, SecurityGroups=[group_id], Scheme="internal", Tags=[NETWORK_TAG]
        )["LoadBalancers"]
    )[0]
    arn = balancer["LoadBalancerArn"]
    if not elbv2.describe_listeners(LoadBalancerArn=arn)["Listeners"]:
        elbv2.create_listener(LoadBalancerArn=arn, Protocol="HTTP", Port=port, DefaultActions=[NOBODY])


def _make_bucket(s3: Any, name: str, region: str) -> None:
    if any(bucket["Name"] == name for bucket in s3.list_buckets()["Buckets"]):
        return
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    s3.create_bucket(Bucket=name, **place)
