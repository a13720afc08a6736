"""The hook's clients and adapters, from a connection to the local cloud: retries, pace, settings, fence."""

from __future__ import annotations

import json
from typing import Any

import pytest

from include.errors import ConfigError
from include.fleet import ClusterRef
from redstart.hooks.fleet import FleetHook
from tests.support.local_cloud import LocalCloud

CLUSTER = ClusterRef("api", "main", "us-east-1")


@pytest.fixture
def hook(local_cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> FleetHook:
    local_cloud.client("ec2")  # the first one makes the region's network
    return connected(local_cloud, monkeypatch)


def connected(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch, **extra: Any) -> FleetHook:
    connection = {"conn_type": "aws", "login": "x", "password": "x", "extra": {"endpoint_url": cloud.url, **extra}}
    monkeypatch.setenv("AIRFLOW_CONN_REDSTART_AWS", json.dumps(connection))
    return FleetHook()


def test_calls_are_tried_a_few_times_with_adaptive_retries(hook: FleetHook, local_cloud: LocalCloud) -> None:
    assert hook.client("autoscaling", "us-east-1").meta.config.retries["mode"] == "adaptive"
    local_cloud.faults.add([{"code": "Throttling", "times": 2}])
    assert hook.fleet("us-east-1").view_cluster(CLUSTER).groups == ()


def test_the_connection_may_set_its_own_retries(local_cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = connected(local_cloud, monkeypatch, config_kwargs={"retries": {"mode": "standard"}})
    assert hook.client("ec2", "us-east-1").meta.config.retries["mode"] == "standard"


def test_every_attempt_of_every_service_but_s3_keeps_the_pace(
    hook: FleetHook, local_cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = []

    class Counting:
        def wait(self, **_: Any) -> None:
            turns.append(1)

    monkeypatch.setattr("include.adapters.aws_pace.pace_of", lambda *_: Counting())
    local_cloud.faults.add([{"code": "Throttling", "times": 1}])
    hook.client("elbv2", "us-east-1").describe_load_balancers()
    hook.client("cloudwatch", "us-east-1").list_metrics()
    assert len(turns) == 3
    hook.client("s3", "us-east-1").list_buckets()
    assert len(turns) == 3


def test_all_hooks_of_a_process_share_the_pace_of_a_region(hook: FleetHook, local_cloud: LocalCloud) -> None:
    assert hook._pace("us-east-1") is FleetHook()._pace("us-east-1")
    assert hook._pace("us-east-1") is not hook._pace("eu-west-1")


def test_what_the_extra_says_of_groups_reaches_the_fleet(
    local_cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = connected(
        local_cloud, monkeypatch, traffic_period_seconds=5, network="blue", security_group_ids=["sg-1", "sg-2"]
    )
    settings = hook._group_settings()
    assert (settings.traffic_period_seconds, settings.network) == (5, "blue")
    assert settings.security_group_ids == ("sg-1", "sg-2")


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"traffic_period_seconds": "5"}, r"connection redstart_aws: traffic_period_seconds: .*\(found '5'\)"),
        ({"calls_per_second": 0}, "connection redstart_aws: calls_per_second: must be greater than 0"),
    ],
)
def test_a_wrong_setting_names_the_connection_and_the_key(
    local_cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any], words: str
) -> None:
    hook = connected(local_cloud, monkeypatch, **extra)
    with pytest.raises(ConfigError, match=words):
        hook.fleet("us-east-1").view_cluster(CLUSTER)


class LostError(Exception):
    pass


def test_a_fence_that_raises_stops_every_change(hook: FleetHook, local_cloud: LocalCloud) -> None:
    def fence() -> None:
        raise LostError

    fleet = hook.fleet("us-east-1", fence=fence)
    assert fleet.view_cluster(CLUSTER).groups == ()
    local_cloud.calls.clear()
    with pytest.raises(LostError):
        fleet.tag_group("api-main-v000", {"redstart:pinned": ""})
    assert local_cloud.calls.since(0) == []
