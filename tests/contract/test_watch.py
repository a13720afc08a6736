"""What a load balancer counts of one group, read for a watch without a canary from the local cloud's CloudWatch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from include.adapters.aws_balancer import AwsBalancer
from include.adapters.aws_errors import AwsCalls
from include.adapters.aws_fleet import AwsFleet
from include.canary.limits import WatchLimits, watch_limits
from include.errors import RefusedError, RetryableError
from include.fleet import Capacity, ClusterRef, GroupSpec
from include.fleet.tags import CLUSTER
from tests.support.local_cloud import LocalCloud

REF, RED = ClusterRef("api", "main", "us-east-1"), "api-main-v001"
LIMITS = WatchLimits(error_pct=1.0, latency_mean_ms=1000.0)


@pytest.fixture
def balancer(local_cloud: LocalCloud) -> AwsBalancer:
    """Of a region whose only group, of three, has served 40 requests a second for a minute."""
    fleet = AwsFleet("us-east-1", local_cloud.client, "api-main")
    image = local_cloud.base_image()
    spec = GroupSpec(RED, REF, image, Capacity.pinned(3), "t3.small", 7001, "/health", tags={CLUSTER: REF.name})
    fleet.create_group(spec)
    fleet.set_weights(REF, {RED: 100})
    local_cloud.serve(40.0)
    local_cloud.advance(80)
    return AwsBalancer(AwsCalls("us-east-1", local_cloud.client), "api-main", period_seconds=5)


def last_minute(local_cloud: LocalCloud) -> tuple[datetime, datetime]:
    now = datetime.fromtimestamp(local_cloud.clock.now(), UTC)
    return now - timedelta(seconds=40), now - timedelta(seconds=5)


def test_requests_latency_and_health_come_point_by_point(local_cloud: LocalCloud, balancer: AwsBalancer) -> None:
    served = balancer.served(RED, *last_minute(local_cloud))
    assert served.requests.tolist() == [200.0] * 7
    assert served.errors.tolist() == [0.0] * 7
    np.testing.assert_allclose(served.latency_ms, 25.0)
    assert set(served.healthy) == {3.0}
    assert watch_limits(LIMITS, served).state == "sound"


def test_group_whose_instances_died_is_unsound(local_cloud: LocalCloud, balancer: AwsBalancer) -> None:
    view = AwsFleet("us-east-1", local_cloud.client, "api-main").view_cluster(REF)
    fleet = AwsFleet("us-east-1", local_cloud.client, "api-main")
    fleet.suspend_processes(RED, ["Launch", "Terminate", "ReplaceUnhealthy"])
    for instance in view.groups[0].instances:
        local_cloud.machines.sicken(instance.instance_id)
    local_cloud.advance(60)
    found = watch_limits(LIMITS, balancer.served(RED, *last_minute(local_cloud)))
    assert (found.state, found.is_severe) == ("unsound", True)
    assert "targets are healthy" in found.reasons[0]


def test_later_looks_cost_one_call(local_cloud: LocalCloud, balancer: AwsBalancer) -> None:
    balancer.served(RED, *last_minute(local_cloud))
    local_cloud.calls.clear()
    balancer.served(RED, *last_minute(local_cloud))
    assert [(call["action"], call["count"]) for call in local_cloud.calls.since(0)] == [("GetMetricData", 1)]


def test_time_without_a_whole_period_is_not_asked_for(local_cloud: LocalCloud, balancer: AwsBalancer) -> None:
    now = datetime.fromtimestamp(local_cloud.clock.now(), UTC)
    assert balancer.served(RED, now, now + timedelta(seconds=2)).requests.size == 0


def test_errors_name_the_group(local_cloud: LocalCloud, balancer: AwsBalancer) -> None:
    with pytest.raises(RefusedError, match="api-main-v999"):
        balancer.served("api-main-v999", *last_minute(local_cloud))
    local_cloud.faults.add([{"action": "GetMetricData", "code": "Throttling"}])
    with pytest.raises(RetryableError, match=RED):
        balancer.served(RED, *last_minute(local_cloud))
