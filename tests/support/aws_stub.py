"""boto3 clients of stock moto, in this process, with every call counted: for the shapes of requests and answers.

What moto does not do as AWS does (health, bounds, deletion) is tested on the local cloud instead.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest.mock import patch

import boto3
from moto import mock_aws
from moto.autoscaling import models as scaling_models
from moto.autoscaling.models import AutoScalingBackend, autoscaling_backends
from moto.cloudwatch.models import CloudWatchBackend, cloudwatch_backends
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.amis import AmiBackend
from moto.elbv2.models import ELBv2Backend, elbv2_backends

ZONES = ("a", "b", "c")


@cache
def made_client(region: str, service: str) -> Any:
    """Making a client reads megabytes of descriptions: once a process is enough."""
    return boto3.session.Session("test", "test", region_name=region).client(service)


class CountingClients:
    """A client factory; `calls` are the operations asked for, `fail` maps an operation to errors raised in turn,
    and `kill_at` = (operation, nth call of it, error) ends whoever makes that call."""

    def __init__(self, region: str) -> None:
        self.region = region
        self.calls: list[str] = []
        self.fail: dict[str, list[Exception]] = {}
        self.kill_at: tuple[str, int, type[BaseException]] | None = None
        self.close()

    def __call__(self, service: str) -> Any:
        client = made_client(self.region, service)
        client.meta.events.register("before-call", self._note, unique_id="counting")
        return client

    def close(self) -> None:
        for service in ("autoscaling", "ec2", "elbv2", "cloudwatch"):
            made_client(self.region, service).meta.events.unregister("before-call", unique_id="counting")

    def _note(self, model: Any, **_: Any) -> None:
        self.calls.append(model.name)
        if self.kill_at and self.kill_at[:2] == (model.name, self.calls.count(model.name)):
            raise self.kill_at[2](model.name)
        waiting = self.fail.get(model.name)
        if waiting:
            raise waiting.pop(0)


def make_network(clients: CountingClients, subnets: int = 3) -> None:
    """A VPC with tagged subnets and the load balancer `api-main` whose listener answers 503."""
    ec2, elb = clients("ec2"), clients("elbv2")
    vpc = ec2.create_vpc(CidrBlock="127.90.0.0/16")["Vpc"]["VpcId"]
    made = [
        ec2.create_subnet(
            VpcId=vpc,
            CidrBlock=f"127.90.{i + 1}.0/24",
            AvailabilityZone=f"{clients.region}{ZONES[i % 3]}",
            TagSpecifications=[{"ResourceType": "subnet", "Tags": [{"Key": "redstart:network", "Value": "main"}]}],
        )["Subnet"]["SubnetId"]
        for i in range(subnets)
    ]
    balancer = elb.create_load_balancer(Name="api-main", Subnets=made)["LoadBalancers"][0]["LoadBalancerArn"]
    nobody = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503"}}
    elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=8080, DefaultActions=[nobody])


@contextmanager
def stock_moto() -> Iterator[None]:
    """moto's own backends, also where a local cloud in this process has put its classes in their place."""
    own = {
        ec2_backends: EC2Backend,
        elbv2_backends: ELBv2Backend,
        autoscaling_backends: AutoScalingBackend,
        cloudwatch_backends: CloudWatchBackend,
    }
    found = [(registry, registry.backend) for registry in own]
    group = scaling_models.FakeAutoScalingGroup
    stock_group = next(kind for kind in group.__mro__ if kind.__module__ == scaling_models.__name__)
    for registry, backend in own.items():
        registry.clear()
        registry.backend = backend
    scaling_models.FakeAutoScalingGroup = stock_group
    try:
        yield
    finally:
        scaling_models.FakeAutoScalingGroup = group
        for registry, backend in found:
            registry.clear()
            registry.backend = backend


@contextmanager
def tags_on_snapshots() -> Iterator[None]:
    """Stock moto refuses to tag the snapshots of an image that it makes: it leaves them untagged here."""
    make = AmiBackend.create_image

    def create_image(self: Any, instance_id: str, name: str, description: str, tag_specifications: Any) -> Any:
        known = [one for one in tag_specifications if one["ResourceType"] == "image"]
        return make(self, instance_id, name, description, known)

    with patch.object(AmiBackend, "create_image", create_image):
        yield


@contextmanager
def stub_aws(region: str = "us-east-1", *, subnets: int = 3) -> Iterator[CountingClients]:
    """Stock moto with `make_network`'s network."""
    with patch.dict(os.environ, {"MOTO_EC2_LOAD_DEFAULT_AMIS": "false"}), stock_moto(), tags_on_snapshots(), mock_aws():
        clients = CountingClients(region)
        make_network(clients, subnets)
        clients.calls.clear()
        try:
            yield clients
        finally:
            clients.close()
