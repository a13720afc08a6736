"""The local cloud in no-process mode, served in this process on a free port, with a clock that tests move.

`local_cloud` is empty of groups and instances in every test. Each account and region that a test looks at has the
demo's network (network_seed.py): subnets, load balancer api-main with its listener, a bucket; and a base image.
Use it from a conftest: `from tests.support.local_cloud import local_cloud, local_cloud_server  # noqa: F401`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from include.localcloud.accounts import account_of
from include.localcloud.admin import instance_facts
from include.localcloud.clock import ManualClock
from include.localcloud.cloudwatch import CloudWatch
from include.localcloud.dispatch import Application
from include.localcloud.metadata import MetadataService
from include.localcloud.recorded import RecordMachines, RecordRouter
from include.localcloud.server import Server
from include.localcloud.speeds import Speeds
from include.localcloud.world import World
from include.services.network_seed import seed_region
from include.services.settings import PROD_ACCOUNT, Settings

STEP_SECONDS = 1.0
START = 1_800_000_000.0
NAMESPACE = "Redstart/Instance"
BALANCERS = ("api-main",)


class LocalCloud:
    """What tests hold: clients, the clock, and levers (machines, routers, faults)."""

    def __init__(self) -> None:
        self.clock = ManualClock(START)
        self.speeds = Speeds()
        self.machines = RecordMachines(self.clock, lambda: self.speeds.boot_seconds)
        self.cloudwatch = CloudWatch(self.clock, account_of)
        self.world = World(
            self.clock, self.machines, self._make_router, metrics=self.cloudwatch, speeds=self.speeds,
            is_moved_by_tests=True,
        )  # fmt: skip
        metadata = MetadataService(lambda instance_id: instance_facts(self.world, instance_id))
        self.application = Application(self.world, cloudwatch=self.cloudwatch, metadata=metadata)
        self.server = Server(self.application, 0)
        self.faults, self.calls = self.application.faults, self.application.calls
        self.settings = Settings(cloud_port=self.server.port, network_octet=10)
        self._session = boto3.Session()
        self._clients: dict[tuple[str, str, str], Any] = {}
        self._keys: dict[str, dict[str, str]] = {}
        self._seeded: set[tuple[str, str]] = set()

    @property
    def url(self) -> str:
        return self.server.url

    def client(self, service: str, region: str = "us-east-1", *, account: str = PROD_ACCOUNT) -> Any:
        """A boto3 client (kept between calls) without retries. The first one of a region makes its network."""
        self._seed(account, region)
        key = service, region, account
        if key not in self._clients:
            self._clients[key] = self._make_client(*key)
        return self._clients[key]

    def advance(self, seconds: float) -> None:
        """Move the clock on, in steps of a second at most; after each everything settles."""
        while seconds > 0:
            step = min(seconds, STEP_SECONDS)
            self.clock.move(step)
            self.world.tick()
            seconds -= step

    def router(self, region: str = "us-east-1", *, account: str = PROD_ACCOUNT) -> RecordRouter:
        router = self.world.routers.get(account, region)
        assert isinstance(router, RecordRouter)
        return router

    def serve(self, rps: float, region: str = "us-east-1", *, account: str = PROD_ACCOUNT) -> None:
        """From now on pretend this traffic on the region's listeners."""
        self.router(region, account=account).rps = rps

    def publish_requests(self, group: str, instance_id: str, count: float, region: str = "us-east-1") -> None:
        """As the agent on an instance does every 5 s."""
        dimensions = {"AutoScalingGroupName": group, "InstanceId": instance_id}
        self.cloudwatch.put(PROD_ACCOUNT, region, NAMESPACE, "RequestCount", dimensions, self.clock.now(), [count])

    def base_image(self, region: str = "us-east-1", *, account: str = PROD_ACCOUNT) -> str:
        return self.world.register_base_image(account, region, "base")

    def reset(self) -> None:
        """An empty cloud with its network, at the first moment of time."""
        self.world.reset()
        self.faults.clear()
        self.calls.clear()
        self.speeds.change({"boot_seconds": 1.0, "image_seconds": 2.0})
        self.machines.boot_seconds = lambda: self.speeds.boot_seconds
        self.clock._at = START
        self._keys.clear()
        self._clients = {key: client for key, client in self._clients.items() if key[2] == PROD_ACCOUNT}
        self._seeded.clear()

    def close(self) -> None:
        self.server.close()
        self.world.close()

    def _seed(self, account: str, region: str) -> None:
        """Not all six at once: most tests see one, and each takes 0.1 s."""
        if (account, region) not in self._seeded:
            self._seeded.add((account, region))
            self.base_image(region, account=account)
            calls = self.calls.since(0)
            seed_region(
                lambda *place: self.client(place[1], place[2], account=place[0]),
                self.settings,
                account,
                region,
                BALANCERS,
            )
            self.calls.clear()
            for call in calls:
                for _ in range(call["count"]):
                    self.calls.note(0, call["region"], call["service"], call["action"])

    def _make_router(self, account: str, region: str) -> RecordRouter:
        return RecordRouter(self.clock, self.machines)

    def _make_client(self, service: str, region: str, account: str) -> Any:
        keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
        if account != PROD_ACCOUNT:
            keys = self._assume(account)
        config = Config(retries={"mode": "standard", "total_max_attempts": 1}, read_timeout=20)
        return self._session.client(service, region_name=region, endpoint_url=self.url, config=config, **keys)

    def _assume(self, account: str) -> dict[str, str]:
        if account not in self._keys:
            role = f"arn:aws:iam::{account}:role/redstart"
            found = self.client("sts").assume_role(RoleArn=role, RoleSessionName="tests")["Credentials"]
            self._keys[account] = {
                "aws_access_key_id": found["AccessKeyId"],
                "aws_secret_access_key": found["SecretAccessKey"],
                "aws_session_token": found["SessionToken"],
            }
        return self._keys[account]


@pytest.fixture(scope="session")
def local_cloud_server() -> Iterator[LocalCloud]:
    os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
    cloud = LocalCloud()
    yield cloud
    cloud.close()


@pytest.fixture
def local_cloud(local_cloud_server: LocalCloud) -> LocalCloud:
    local_cloud_server.reset()
    return local_cloud_server
