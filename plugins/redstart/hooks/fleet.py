"""Everything of AWS through one connection: clients per service and region, and the adapters made of them."""

from __future__ import annotations

from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from include.errors import ConfigError
from redstart.hooks.descriptions import describe_once

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from include.adapters.artifact_store import ArtifactStore
    from include.adapters.aws_balancer import AwsBalancer
    from include.adapters.aws_groups import GroupSettings
    from include.adapters.aws_market import AwsMarket
    from include.adapters.aws_pace import Pace
    from include.adapters.aws_rehearsal import AwsRehearsal
    from include.adapters.builder_report import BuilderReport
    from include.adapters.cloudwatch_metrics import CloudWatchMetrics
    from include.apps.windows import TrafficMetric
    from include.fleet import Fleet, ImageWorkshop

CONNECTION_ID = "redstart_aws"
LOAD_BALANCER = "api-main"
CALLS: dict[str, Any] = {
    # Few tries of one call: a change is tried again by whoever wanted it, who first looks and asks for the fence.
    "retries": {"mode": "adaptive", "total_max_attempts": 4},
    "connect_timeout": 5,
    "read_timeout": 20,
}

IMPATIENT: dict[str, Any] = {
    # The traffic is good to know, and nothing to keep a rollback waiting for.
    "retries": {"mode": "standard", "total_max_attempts": 2},
    "connect_timeout": 2,
    "read_timeout": 4,
}


class FleetHook(BaseHook):
    """Fleets, workshops, metric stores and artifacts of one account. Clients are made once per service and region.

    The connection's extra may say, besides what every AWS connection says: the fields of GroupSettings, and
    `calls_per_second` and `calls_burst`, the cap on calls of one process in one region (S3 aside). Where it has no
    `config_kwargs`, calls are tried as in `CALLS`.
    """

    def __init__(self, conn_id: str = CONNECTION_ID) -> None:
        super().__init__()
        self.conn_id = conn_id
        self.client = cache(self._make_client)

    def fleet(
        self, region: str, load_balancer: str = LOAD_BALANCER, *, fence: Callable[[], None] | None = None
    ) -> Fleet:
        """The groups behind a load balancer of the region. `fence` is called before each call that changes anything,
        and stops it by raising."""
        from include.adapters.aws_fleet import AwsFleet

        def before_change(operation: str, subject: str) -> None:
            if fence is not None:
                fence()

        def clients(service: str) -> Any:
            return self.client(service, region, service == "cloudwatch")

        return AwsFleet(region, clients, load_balancer, self._group_settings(), before_change=before_change)

    def rehearsal(
        self,
        region: str,
        load_balancer: str = LOAD_BALANCER,
        *,
        start: datetime,
        start_seconds: float,
        ahead_seconds: float = 0.0,
    ) -> AwsRehearsal:
        """The region as it is, to rehearse on from `start`, so many seconds ahead of now: it is only read."""
        from include.adapters.aws_rehearsal import AwsRehearsal

        def clients(service: str) -> Any:
            return self.client(service, region, service == "cloudwatch")

        settings = self._group_settings()
        return AwsRehearsal(region, clients, load_balancer, settings, start, start_seconds, ahead_seconds)

    def balancer(self, region: str, load_balancer: str = LOAD_BALANCER) -> AwsBalancer:
        """What a load balancer of the region counts of each group."""
        from include.adapters.aws_balancer import AwsBalancer
        from include.adapters.aws_errors import AwsCalls

        calls = AwsCalls(region, partial(self.client, region=region))
        return AwsBalancer(calls, load_balancer, self._group_settings().traffic_period_seconds)

    def market(self, region: str, load_balancer: str = LOAD_BALANCER, metric: TrafficMetric | None = None) -> AwsMarket:
        """How many requests the region's market has sent: by `metric`, or by what its load balancer counts."""
        from include.adapters.aws_errors import AwsCalls
        from include.adapters.aws_market import AwsMarket

        return AwsMarket(AwsCalls(region, partial(self.client, region=region)), load_balancer, metric)

    def workshop(self, region: str) -> ImageWorkshop:
        """The region's images and builders."""
        from include.adapters.aws_images import AwsImages

        return AwsImages(region, partial(self.client, region=region), self._group_settings())

    def artifacts(self, account: str, region: str) -> ArtifactStore:
        """The artifact bucket of an account and region."""
        from include.adapters.artifact_store import ArtifactStore, bucket_name

        return ArtifactStore(self.client("s3", region), bucket_name(account, region))

    def builder_report(self, store: ArtifactStore, key: str) -> BuilderReport:
        """Where a bake's builder says how it went."""
        from include.adapters.builder_report import BuilderReport

        return BuilderReport(store, key)

    def metrics(self, region: str) -> CloudWatchMetrics:
        """The region's metric store."""
        from include.adapters.cloudwatch_metrics import CloudWatchMetrics

        return CloudWatchMetrics(self.client("cloudwatch", region))

    @cached_property
    def _extra(self) -> dict[str, Any]:
        return dict(self.get_connection(self.conn_id).extra_dejson)

    def _group_settings(self) -> GroupSettings:
        from include.adapters.aws_groups import GroupSettings

        return GroupSettings.of(self._extra, source=f"connection {self.conn_id}")

    def _pace(self, region: str) -> Pace:
        from include.adapters.aws_pace import BURST, CALLS_PER_SECOND, pace_of

        per_second, burst = self._extra.get("calls_per_second", CALLS_PER_SECOND), self._extra.get("calls_burst", BURST)
        for key, value in (("calls_per_second", per_second), ("calls_burst", burst)):
            if not isinstance(value, int | float) or value <= 0:
                raise ConfigError("must be greater than 0", source=f"connection {self.conn_id}", key=key, value=value)
        return pace_of(region, float(per_second), int(burst))

    def _make_client(self, service: str, region: str, is_impatient: bool = False) -> Any:
        """A boto3 client; the connection's endpoint, retries and role hold for every service."""
        from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook

        from include.adapters.aws_pace import keep_pace

        config = None if "config_kwargs" in self._extra else dict(IMPATIENT if is_impatient else CALLS)
        hook = AwsGenericHook(aws_conn_id=self.conn_id, client_type=service, region_name=region, config=config)
        describe_once(hook)
        if service != "s3":
            keep_pace(hook.conn, self._pace(region))
        return hook.conn
