"""Everything of AWS through one connection: clients per service and region, and the adapters made of them."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

if TYPE_CHECKING:
    from include.adapters.artifact_store import ArtifactStore
    from include.adapters.builder_report import BuilderReport
    from include.adapters.cloudwatch_metrics import CloudWatchMetrics
    from include.fleet import Fleet, ImageWorkshop

CONNECTION_ID = "redstart_aws"
LOAD_BALANCER = "api-main"


class FleetHook(BaseHook):
    """Fleets, workshops, metric stores and artifacts of one account. Clients are made once per service and region."""

    def __init__(self, conn_id: str = CONNECTION_ID) -> None:
        super().__init__()
        self.conn_id = conn_id
        self.client = cache(self._make_client)

    def fleet(self, region: str, load_balancer: str = LOAD_BALANCER) -> Fleet:
        """The groups behind a load balancer of the region."""
        from include.adapters.aws_fleet import AwsFleet

        return AwsFleet(region, partial(self.client, region=region), load_balancer)

    def workshop(self, region: str) -> ImageWorkshop:
        """The region's images and builders."""
        from include.adapters.aws_images import AwsImages

        return AwsImages(region, partial(self.client, region=region))

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

    def _make_client(self, service: str, region: str) -> Any:
        """A boto3 client; the connection's endpoint, retries and role hold for every service."""
        from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook

        return AwsGenericHook(aws_conn_id=self.conn_id, client_type=service, region_name=region).conn
