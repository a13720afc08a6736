"""ELBv2's words in Envoy's: what is said to Envoy, without an Envoy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from include.localcloud import envoy_config
from include.localcloud.envoy_files import EnvoyFiles
from include.localcloud.seams import ListenerSpec, TargetGroupSpec, TargetSpec

FOLDER = Path("/nowhere")
GROUP = TargetGroupSpec("api-main-v000", "/health", 5, 2.5, 3, 2, (TargetSpec("i-1", "127.10.1.4", 8080),))


def only(document: dict[str, Any]) -> dict[str, Any]:
    (resource,) = document["resources"]
    return dict(resource)


def action(**weights: int) -> dict[str, Any]:
    routes = only(envoy_config.routes(ListenerSpec("api-main", "127.10.0.10", 8080, weights)))
    return dict(routes["virtual_hosts"][0]["routes"][0])


def test_weights_become_shares_and_zero_is_left_out() -> None:
    assert action(red=90, black=10, old=0)["route"]["weighted_clusters"]["clusters"] == [
        {"name": "black", "weight": 10},
        {"name": "red", "weight": 90},
    ]


def test_no_weight_at_all_answers_503() -> None:
    for weights in ({}, {"red": 0, "black": 0}):
        assert action(**weights)["direct_response"] == {"status": 503}
        assert "route" not in action(**weights)


def test_health_settings_are_the_target_group_s() -> None:
    (check,) = only(envoy_config.clusters([GROUP], FOLDER))["health_checks"]
    assert (check["interval"], check["no_traffic_interval"], check["timeout"]) == ("5.000s", "5.000s", "2.500s")
    assert (check["healthy_threshold"], check["unhealthy_threshold"]) == (3, 2)
    assert check["http_health_check"]["path"] == "/health"
    assert "initial_jitter" not in check, "the first check is made at once"


def test_nothing_is_retried_and_nothing_dead_gets_traffic() -> None:
    cluster = only(envoy_config.clusters([GROUP], FOLDER))
    assert cluster["common_lb_config"]["healthy_panic_threshold"] == {"value": 0}
    assert all(limit["max_retries"] == 0 for limit in cluster["circuit_breakers"]["thresholds"])
    assert "retry_policy" not in action(red=1)["route"]


def test_draining_is_said_per_target() -> None:
    group = replace(GROUP, targets=(*GROUP.targets, TargetSpec("i-2", "127.10.2.4", 8080, is_draining=True)))
    targets = only(envoy_config.endpoints(group))["endpoints"][0]["lb_endpoints"]
    assert [target["health_status"] for target in targets] == ["UNKNOWN", "DRAINING"]


def test_a_listener_s_weights_are_not_in_the_listener() -> None:
    heavy = ListenerSpec("api-main", "127.10.0.10", 8080, {"red": 900})
    assert envoy_config.listeners([heavy], FOLDER) == envoy_config.listeners([replace(heavy, weights={})], FOLDER)


def test_an_arn_can_name_a_listener() -> None:
    arns = [f"arn:aws:elasticloadbalancing:us-east-1:1:listener/app/api-main/50dc/{number}" for number in (1, 2)]
    names = {envoy_config.route_name(arn) for arn in arns}
    assert len(names) == 2
    assert all(name.replace("-", "").isalnum() for name in names)


def test_files_are_rewritten_only_for_what_changed(tmp_path: Path) -> None:
    files = EnvoyFiles(tmp_path)
    listener = ListenerSpec("api-main", "127.10.0.10", 8080, {"api-main-v000": 1})
    files.write_bootstrap("test", ("127.10.0.11", 9901))
    files.write_groups([GROUP])
    groups_file = tmp_path / "cds.json"
    first = groups_file.read_text()
    assert list(files.write_listeners([listener])) == ["api-main"]
    more_targets = replace(GROUP, targets=())
    files.write_groups([more_targets])
    assert groups_file.read_text() == first, "targets are not the group"
    assert '"lb_endpoints": []' in (tmp_path / "eds-api-main-v000.json").read_text()
    assert files.write_listeners([listener]) == {}
    files.write_groups([replace(more_targets, health_path="/ready")])
    assert groups_file.read_text() != first
    files.write_groups([])
    assert not (tmp_path / "eds-api-main-v000.json").exists()
    assert list(tmp_path.glob("*.draft")) == []
