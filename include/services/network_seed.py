"""The world before the first push: networks and buckets of every account and region, and load balancers.

A script over AWS's API; what is there already is left alone, so it can be run again at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from include.apps import App, app_names, load_app
from include.localcloud.addresses import ADMIN_HOST, balancer_hosts
from include.services.settings import APP, PROD_ACCOUNT, REGIONS, TEST_ACCOUNT, Settings

ClientFactory = Callable[[str, str, str], Any]
"""(account, service, region) -> boto3 client."""
NETWORK_TAG = {"Key": "redstart:network", "Value": "main"}
ZONES = "abc"
ACCOUNTS = (PROD_ACCOUNT, TEST_ACCOUNT)
TEST_OCTET_OFFSET = 10
NOBODY = {
    "Type": "fixed-response",
    "FixedResponseConfig": {"StatusCode": "503", "ContentType": "text/plain", "MessageBody": "no group is enabled"},
}


def seed_network(client_factory: ClientFactory, settings: Settings, apps: Iterable[App]) -> None:
    """Make what is missing, in both accounts and every region; a load balancer where an environment of `apps` is."""
    wanted, places = tuple(apps), [(account, region) for account in ACCOUNTS for region in REGIONS]
    with ThreadPoolExecutor(len(places)) as pool:
        made = [
            pool.submit(seed_region, client_factory, settings, *place, load_balancers(wanted, *place))
            for place in places
        ]
        for one in made:
            one.result()


def seed_region(
    client_factory: ClientFactory, settings: Settings, account: str, region: str, balancers: Sequence[str]
) -> None:
    """Make what is missing in one account and region."""
    ec2 = client_factory(account, "ec2", region)
    octet = network_octet(settings, account, region)
    vpc_id = _make_vpc(ec2, octet)
    subnets = _make_subnets(ec2, vpc_id, octet, region)
    group_id = _make_security_group(ec2, vpc_id)
    _make_load_balancers(client_factory(account, "elbv2", region), balancers, subnets, group_id, settings.router_port)
    _make_bucket(client_factory(account, "s3", region), bucket_name(account, region), region)


def installed_apps() -> list[App]:
    """Every application that has a file, the one that serves from the start first."""
    return [load_app(name) for name in sorted(app_names(), key=lambda name: (name != APP, name))]


def load_balancers(apps: Iterable[App], account: str, region: str) -> tuple[str, ...]:
    """Names of those in an account's region, each once: application by application, production's first."""
    names = [
        environment.load_balancer
        for app in apps
        for environment in app.environments.by_name.values()
        if environment.account == account and region in environment.region_names
    ]
    return tuple(dict.fromkeys(names))


def network_octet(settings: Settings, account: str, region: str) -> int:
    """The second octet of the account's network in the region."""
    return settings.network_octet + REGIONS.index(region) + (0 if account == PROD_ACCOUNT else TEST_OCTET_OFFSET)


def admin_address(settings: Settings, account: str, region: str) -> str:
    """Where the region's Envoy is asked how it is."""
    return f"127.{network_octet(settings, account, region)}.0.{ADMIN_HOST}"


def balancer_addresses(settings: Settings, apps: Iterable[App], account: str, region: str) -> dict[str, str]:
    """Name -> the address that a new world gives to the load balancer; of a living one, AWS's API knows it."""
    network = f"127.{network_octet(settings, account, region)}.0"
    pairs = zip(load_balancers(apps, account, region), balancer_hosts(), strict=False)
    return {name: f"{network}.{host}" for name, host in pairs}


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


def _make_load_balancers(elbv2: Any, names: Sequence[str], subnets: list[str], group_id: str, port: int) -> None:
    """Their listeners answer 503 until the first group is enabled."""
    there = {one["LoadBalancerName"]: one for one in elbv2.describe_load_balancers()["LoadBalancers"]} if names else {}
    for name in names:
        arn = str((there.get(name) or _make_load_balancer(elbv2, name, subnets, group_id))["LoadBalancerArn"])
        if not elbv2.describe_listeners(LoadBalancerArn=arn)["Listeners"]:
            elbv2.create_listener(LoadBalancerArn=arn, Protocol="HTTP", Port=port, DefaultActions=[NOBODY])


def _make_load_balancer(elbv2: Any, name: str, subnets: list[str], group_id: str) -> Any:
    made = elbv2.create_load_balancer(
        Name=name, Subnets=subnets, SecurityGroups=[group_id], Scheme="internal", Tags=[NETWORK_TAG]
    )
    return made["LoadBalancers"][0]


def _make_bucket(s3: Any, name: str, region: str) -> None:
    if any(bucket["Name"] == name for bucket in s3.list_buckets()["Buckets"]):
        return
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    s3.create_bucket(Bucket=name, **place)
