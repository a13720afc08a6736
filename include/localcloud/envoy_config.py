"""Envoy's configuration as values: ELBv2's target groups and listeners said in Envoy's words. Pure functions.

Where the two differ, and why:
- A target group with no healthy target answers 503 (`healthy_panic_threshold` 0). An ALB fails open and sends to
  all targets; here that would put live requests on machines still booting and would make a dead group look alive.
- Nothing is retried: a retry would hide the failures that a canary is judged by.
- A target without a first passed check gets no traffic and stays `initial`, however often its checks failed.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from include.localcloud.seams import ListenerSpec, TargetGroupSpec

Json = dict[str, Any]

CONNECT_TIMEOUT = "5s"
# Shorter than the keep-alive of common servers (uvicorn: 5 s), else a request meets a connection just being closed.
UPSTREAM_IDLE_TIMEOUT = "3s"
REQUEST_TIMEOUT = "60s"  # an ALB's idle timeout
UNLIMITED = 1_000_000
# Bounds of the latency histogram's buckets, in ms.
LATENCY_BOUNDS_MS = (
    0.5, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 120, 150, 200, 250, 300, 400, 500, 600,
    800, 1000, 1200, 1500, 2000, 2500, 3000, 4000, 5000, 7500, 10_000, 15_000, 30_000, 60_000,
)  # fmt: skip
_TYPE = "type.googleapis.com/envoy."
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_UNWANTED_REQUEST_HEADERS = ["x-envoy-external-address", "x-envoy-internal"]


def bootstrap(node_id: str, folder: Path, admin: tuple[str, int]) -> Json:
    """What Envoy starts with: its admin address and where it finds the rest."""
    return {
        "node": {"id": node_id, "cluster": "local-cloud"},
        "admin": {"address": _address(*admin)},
        "dynamic_resources": {
            "lds_config": _from_file(folder / "lds.json"),
            "cds_config": _from_file(folder / "cds.json"),
        },
        # Latencies are collected when they are asked for, so that no reading is up to a flush interval old.
        "stats_flush_on_admin": True,
        "stats_config": {
            "histogram_bucket_settings": [
                {"match": {"suffix": "upstream_rq_time"}, "buckets": list(LATENCY_BOUNDS_MS)},
            ],
        },
        # Envoy asks to be told how many connections it may take; without it, it warns at each start.
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": _TYPE
                        + "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                        "max_active_downstream_connections": UNLIMITED,
                    },
                },
            ],
        },
    }


def clusters(groups: Sequence[TargetGroupSpec], folder: Path) -> Json:
    """CDS: one cluster per target group; its targets come from a file of their own (EDS).

    A group becomes routable when each of its first targets was checked once, or the check timed out (until then
    503). New settings of a group that serves take effect when all its targets were checked by them, without a gap.
    """
    return {"resources": [_cluster(group, folder) for group in groups]}


def endpoints(group: TargetGroupSpec) -> Json:
    """EDS of one target group: a draining target gets no new request and finishes what it has."""
    targets = [
        {
            "endpoint": {"address": _address(target.address, target.port), "hostname": target.instance_id},
            "health_status": "DRAINING" if target.is_draining else "UNKNOWN",
        }
        for target in group.targets
    ]
    assignment = {
        "@type": _TYPE + "config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": group.name,
        "endpoints": [{"lb_endpoints": targets}],
    }
    return {"resources": [assignment]}


def listeners(specs: Sequence[ListenerSpec], folder: Path) -> Json:
    """LDS: weights are not in it, so that changing them never touches a connection."""
    return {"resources": [_listener(spec, folder) for spec in specs]}


def routes(spec: ListenerSpec) -> Json:
    """RDS of one listener: its weights, or 503 when they come to nothing."""
    configuration = {
        "@type": _TYPE + "config.route.v3.RouteConfiguration",
        "name": route_name(spec.name),
        "virtual_hosts": [
            {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, **_action(spec.weights)}]}
        ],
        "request_headers_to_remove": _UNWANTED_REQUEST_HEADERS,
        "validate_clusters": False,
    }
    return {"resources": [configuration]}


def endpoints_file(folder: Path, group_name: str) -> Path:
    return folder / f"eds-{group_name}.json"


def routes_file(folder: Path, listener_name: str) -> Path:
    return folder / f"rds-{route_name(listener_name)}.json"


def route_name(listener_name: str) -> str:
    """The name as it can stand in a file's and a statistic's name (an ARN could not)."""
    safe = re.sub(r"[^A-Za-z0-9-]", "-", listener_name)
    return safe if safe == listener_name else f"{safe[-60:]}-{zlib.crc32(listener_name.encode()):08x}"


def _action(weights: Mapping[str, int]) -> Json:
    shares = [{"name": name, "weight": weight} for name, weight in sorted(weights.items()) if weight > 0]
    if not shares:
        return {"direct_response": {"status": 503}}
    return {"route": {"weighted_clusters": {"clusters": shares}, "timeout": REQUEST_TIMEOUT}}


def _cluster(group: TargetGroupSpec, folder: Path) -> Json:
    return {
        "@type": _TYPE + "config.cluster.v3.Cluster",
        "name": group.name,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": _from_file(endpoints_file(folder, group.name))},
        "connect_timeout": CONNECT_TIMEOUT,
        "lb_policy": "ROUND_ROBIN",
        "ignore_health_on_host_removal": True,
        # Without its merge window, as Envoy would else take up to 1 s to send traffic where it reports health.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}, "update_merge_window": "0s"},
        "health_checks": [_health_check(group)],
        "circuit_breakers": {"thresholds": [_no_limits("DEFAULT"), _no_limits("HIGH")]},
        "typed_extension_protocol_options": {
            _HTTP_OPTIONS: {
                "@type": f"type.googleapis.com/{_HTTP_OPTIONS}",
                "common_http_protocol_options": {"idle_timeout": UPSTREAM_IDLE_TIMEOUT},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }


def _health_check(group: TargetGroupSpec) -> Json:
    interval = _seconds(group.interval_seconds)
    return {
        "timeout": _seconds(group.timeout_seconds),
        "interval": interval,
        "no_traffic_interval": interval,  # Envoy's own default is 60 s, for groups that wait for their first request
        "healthy_threshold": group.healthy_threshold,
        "unhealthy_threshold": group.unhealthy_threshold,
        "reuse_connection": False,  # as ELBv2: each check is a new connection
        "http_health_check": {
            "path": group.health_path,
            "expected_statuses": [{"start": 200, "end": 201}],
            # Any other answer counts towards the threshold; otherwise Envoy calls it unhealthy at the first one.
            "retriable_statuses": [{"start": 100, "end": 200}, {"start": 201, "end": 600}],
            "request_headers_to_add": [
                {
                    "header": {"key": "user-agent", "value": "ELB-HealthChecker/2.0"},
                    "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                }
            ],
        },
    }


def _listener(spec: ListenerSpec, folder: Path) -> Json:
    connection_manager = {
        "@type": _TYPE + "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": route_name(spec.name),
        "rds": {
            "route_config_name": route_name(spec.name),
            "config_source": _from_file(routes_file(folder, spec.name)),
        },
        "use_remote_address": True,
        "generate_request_id": False,
        "server_header_transformation": "PASS_THROUGH",
        "stream_idle_timeout": REQUEST_TIMEOUT,
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {
                    "@type": _TYPE + "extensions.filters.http.router.v3.Router",
                    "suppress_envoy_headers": True,
                },
            }
        ],
    }
    return {
        "@type": _TYPE + "config.listener.v3.Listener",
        "name": route_name(spec.name),
        "address": _address(spec.address, spec.port),
        # With port sharing a second Envoy could take half of the connections without anybody being told.
        "enable_reuse_port": False,
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": connection_manager}]}
        ],
    }


def _no_limits(priority: str) -> Json:
    names = ("max_connections", "max_pending_requests", "max_requests")
    return {"priority": priority, "max_retries": 0, **dict.fromkeys(names, UNLIMITED)}


def _from_file(path: Path) -> Json:
    return {"path_config_source": {"path": str(path)}, "resource_api_version": "V3"}


def _address(address: str, port: int) -> Json:
    return {"socket_address": {"address": address, "port_value": port}}


def _seconds(value: float) -> str:
    return f"{value:.3f}s"
