"""For benchmarks: the real local cloud (processes, Envoy, real requests) without Airflow, and its regions as sites."""

from __future__ import annotations

import json
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "plugins")]

from include.adapters.aws_errors import BeforeChange, allow  # noqa: E402
from include.adapters.aws_fleet import AwsFleet  # noqa: E402
from include.adapters.aws_groups import GroupSettings  # noqa: E402
from include.apps import App, load_app  # noqa: E402
from include.fleet import ClusterRef, Group  # noqa: E402
from include.ledger import Ledger  # noqa: E402
from include.redblack import Build, GroupTemplate, Need, Progress, PushGoal, RollbackGoal, SizeBounds  # noqa: E402
from include.services.seed import clients  # noqa: E402
from include.services.settings import Settings  # noqa: E402
from include.services.traffic import find_target  # noqa: E402
from redstart.cli.stack_process import StackProcess  # noqa: E402
from tests.support.ledger import fresh_ledger, open_ledger  # noqa: E402
from tests.support.stack import stack_environment, wait_for  # noqa: E402

SIDE_BY_SIDE_SECONDS = 10.0
WATCH_SECONDS = 10.0
CHECKS = GroupSettings(traffic_period_seconds=5)


class CloudSite:
    """The cluster of one region, with a ledger connection of its own: each region has its own thread."""

    def __init__(self, settings: Settings, app: App, region: str, database: Path) -> None:
        self.settings, self.app, self.region = settings, app, region
        self.cluster = ClusterRef(app.name, app.stack, region)
        self.ledger: Ledger = open_ledger(database)
        self.client = partial(_turned, clients(settings), region)

    @cached_property
    def address(self) -> str:
        """Host and port of the region's load balancer."""
        target = find_target(self.settings, self.region)
        assert target is not None
        return f"{target.host}:{target.port}"

    def fleet(self, before_change: BeforeChange = allow) -> AwsFleet:
        return AwsFleet(self.region, self.client, self.app.prod.load_balancer, CHECKS, self.now, before_change)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def wait(self, progress: Progress) -> None:
        time.sleep(progress.pause_seconds)

    def serving(self) -> Group:
        """The group that has most of the traffic."""
        return max(self.fleet().view_cluster(self.cluster).groups, key=lambda one: one.weight)

    def healthy_ids(self) -> set[str]:
        """Instances that the load balancer finds healthy."""
        groups = self.fleet().view_cluster(self.cluster).groups
        return {one.instance_id for group in groups for one in group.instances if one.target_state == "healthy"}

    def copy_image(self, name: str) -> str:
        """The serving group's image under another id: the same code as a new build."""
        image = self.serving().image_id
        copied = self.client("ec2").copy_image(SourceRegion=self.region, SourceImageId=image, Name=name)["ImageId"]
        wait_for(lambda: self._image_state(copied) == "available", 60, f"{name} is there")
        return str(copied)

    def push_goal(self, run: str, image: str) -> PushGoal:
        prod = self.app.prod
        return PushGoal(
            self.cluster, Build(image, run), run, GroupTemplate(prod.instance_type, prod.port, prod.health_path),
            self.size, self.need, side_by_side_seconds=SIDE_BY_SIDE_SECONDS, watch_seconds=WATCH_SECONDS,
        )  # fmt: skip

    def rollback_goal(self, run: str, to: str = "") -> RollbackGoal:
        return RollbackGoal(self.cluster, run, "users see errors", self.size, self.need, to=to)

    @property
    def size(self) -> SizeBounds:
        return SizeBounds(self.app.prod.min_size, self.app.prod.max_size)

    @property
    def need(self) -> Need:
        capacity = self.app.prod.capacity
        return Need(capacity.rps_per_instance, capacity.target_rps, capacity.start_seconds, floor=self.size.minimum)

    def _image_state(self, image: str) -> str:
        return str(self.client("ec2").describe_images(ImageIds=[image])["Images"][0]["State"])


class Cloud:
    """A running stack: its regions, its traffic's counters, its admin door."""

    def __init__(self, settings: Settings, database: Path) -> None:
        self.settings = settings
        app = load_app("api")
        self.sites = [CloudSite(settings, app, region, database) for region in app.prod.region_names]

    def counters(self) -> dict[str, Any]:
        return dict(_ask(f"{self.settings.traffic_url}/counters"))

    def set_rps(self, rates: dict[str, float]) -> None:
        _ask(f"{self.settings.traffic_url}/rps", rates)

    def kill_instance(self, instance_id: str) -> None:
        _ask(f"{self.settings.cloud_url}/_localcloud/instances/{instance_id}/kill", {})


@contextmanager
def running_cloud(octet: int) -> Iterator[Cloud]:
    """The stack without Airflow, up, and ended afterwards whatever happened."""
    with tempfile.TemporaryDirectory(prefix="redstart-bench-") as folder, pytest.MonkeyPatch.context() as patch:
        for key, value in stack_environment(Path(folder, "home"), octet=octet).items():
            patch.setenv(key, value)
        settings = Settings()
        stack = StackProcess(settings)
        database = Path(folder, "bench.db")
        fresh_ledger(database).close()
        try:
            stack.start(is_cloud_only=True)
            stack.await_up(print)
            yield Cloud(settings, database)
        finally:
            stack.stop()


def _ask(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data), timeout=10) as answer:
        return json.loads(answer.read())


def _turned(make: Any, region: str, service: str) -> Any:
    return make(service, region)
