"""Every region of the api in the local cloud without processes, each serving a version, as the hooks find it; with a
ledger, and an image of the next version everywhere."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.apps import load_app
from include.fleet import ClusterRef
from include.fleet.tags import APP, COMMIT, VERSION
from include.ledger import Event, Kind, Ledger, Place
from include.redblack import Build, Done, GroupTemplate, Need, PushGoal, SizeBounds, drive_push
from include.services.settings import PROD_ACCOUNT
from redstart.hooks.fleet import FleetHook
from tests.support.ledger import fresh_ledger
from tests.support.local_cloud import LocalCloud

LIVE, NEXT = "20270114.090000-aaaaaaa", "20270115.080000-bbbbbbb"
LIVE_COMMIT, NEXT_COMMIT = "a" * 40, "b" * 40
RPS = 150.0
INSTANCES = {"us-east-1": 3, "us-west-2": 2, "eu-west-1": 2}


class PlannedRegions:
    """`images`: region -> the next version's image."""

    def __init__(self, cloud: LocalCloud, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.cloud, self.app = cloud, load_app("api")
        database = folder / "ledger.db"
        self.ledger: Ledger = fresh_ledger(database)
        patch.setattr("redstart.operators.clock.now", self.now)
        patch.setattr("redstart.operators.clock.sleep", cloud.advance)
        extra = {"endpoint_url": cloud.url, "traffic_period_seconds": 5, "calls_per_second": 1000, "calls_burst": 1000}
        aws = {"conn_type": "aws", "login": "x", "password": "x", "extra": extra}
        patch.setenv("AIRFLOW_CONN_REDSTART_AWS", json.dumps(aws))
        patch.setenv("AIRFLOW_CONN_REDSTART_LEDGER", json.dumps({"conn_type": "sqlite", "host": str(database)}))
        patch.setenv("AIRFLOW_VAR_REDSTART_STORAGE", f"file://{folder / 'storage'}")
        self.images = {region: self.seed(region) for region in self.app.prod.region_names}
        cloud.advance(300)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.cloud.clock.now(), UTC)

    def seed(self, region: str) -> str:
        """The live version serves there, and the next one's image waits."""
        prod, ec2 = self.app.prod, self.cloud.client("ec2", region)
        live, later = (self.image(region, *of) for of in ((LIVE, LIVE_COMMIT), (NEXT, NEXT_COMMIT)))
        assert ec2 is not None
        size = SizeBounds(INSTANCES[region], prod.max_size)
        template = GroupTemplate(prod.instance_type, prod.port, prod.health_path)
        cluster = ClusterRef("api", prod.stack, region)
        build, need = Build(live, LIVE, LIVE_COMMIT), Need(prod.capacity.rps_per_instance, floor=2)
        goal = PushGoal(cluster, build, "seed", template, size, need, needs_traffic=False)
        for progress in drive_push(FleetHook().fleet(region), goal, self.now):
            self.cloud.advance(progress.pause_seconds)
        assert isinstance(progress.end, Done), progress.sentence
        self.cloud.serve(RPS, region)
        return later

    def image(self, region: str, version: str, commit: str) -> str:
        name = f"api-{version}"
        image_id = self.cloud.world.register_base_image(PROD_ACCOUNT, region, name, name)
        tags = [{"Key": key, "Value": value} for key, value in {APP: "api", VERSION: version, COMMIT: commit}.items()]
        self.cloud.client("ec2", region).create_tags(Resources=[image_id], Tags=tags)
        return image_id

    def tell_push(self, region: str, run: str, seconds: float, start_seconds: float) -> None:
        """An earlier push of the region, as the ledger would know it."""
        place, ended = Place("api", self.app.prod.stack, region), self.now()
        began = datetime.fromtimestamp(ended.timestamp() - seconds, UTC)
        for kind, at in ((Kind.PUSH_STARTED, began), (Kind.RED_HEALTHY, began), (Kind.PUSH_FINISHED, ended)):
            data = {"seconds": start_seconds, "image": "ami-1", "group": "g"}
            self.ledger.record(Event(f"{place}/{run}/0/{kind}", kind, at, place, run, "ann", data=data))
