"""Reading what Envoy says: health with ELBv2's `initial`, counts that go on across its restarts."""

from __future__ import annotations

from typing import Any

from include.localcloud.envoy_stats import CountLog, HealthLog, read_counts
from include.localcloud.seams import TargetGroupSpec, TargetSpec

GROUP = TargetGroupSpec("red", "/health", 1, 1, 2, 2, (TargetSpec("i-1", "127.10.1.4", 8080),))
KEY = ("red", "i-1")


def clusters(*, failed: bool, address: str = "127.10.1.4") -> dict[str, Any]:
    host: dict[str, Any] = {"address": {"socket_address": {"address": address, "port_value": 8080}}}
    host["health_status"] = {"failed_active_health_check": True} if failed else {"eds_health_status": "HEALTHY"}
    return {"cluster_statuses": [{"name": "red", "host_statuses": [host]}]}


def stats(name: str = "red", buckets: dict[float, int] | None = None, **values: int) -> dict[str, Any]:
    histogram = {
        "name": f"cluster.{name}.upstream_rq_time",
        "buckets": [
            {"upper_bound": bound, "interval": 0, "cumulative": count} for bound, count in (buckets or {}).items()
        ],
    }
    counters = [{"name": f"cluster.{name}.upstream_{stat}", "value": value} for stat, value in values.items()]
    return {"stats": [*counters, {"histograms": [histogram]}]}


def test_a_target_is_initial_until_its_first_pass() -> None:
    log = HealthLog()
    log.take(clusters(failed=True), [GROUP], uptime_seconds=100)
    assert log.known == {KEY: "initial"}
    log.take(clusters(failed=False), [GROUP], uptime_seconds=101)
    assert log.known == {KEY: "healthy"}
    log.take(clusters(failed=True), [GROUP], uptime_seconds=102)
    assert log.known == {KEY: "unhealthy"}


def test_a_target_that_envoy_does_not_know_yet_is_absent() -> None:
    log = HealthLog()
    log.take({"cluster_statuses": []}, [GROUP], uptime_seconds=1)
    assert log.known == {}


def test_a_target_registered_again_begins_anew() -> None:
    log = HealthLog()
    log.take(clusters(failed=False), [GROUP], uptime_seconds=1)
    log.take(clusters(failed=False), [], uptime_seconds=2)
    log.take(clusters(failed=True), [GROUP], uptime_seconds=3)
    assert log.known == {KEY: "initial"}


def test_a_new_envoy_is_believed_only_when_it_had_time_to_check() -> None:
    log = HealthLog()
    log.take(clusters(failed=False), [GROUP], uptime_seconds=100)
    log.restarted()
    log.take(clusters(failed=True), [GROUP], uptime_seconds=0.2)
    assert log.known == {KEY: "healthy"}
    log.take(clusters(failed=True), [GROUP], uptime_seconds=3.1)
    assert log.known == {KEY: "unhealthy"}


def test_own_answers_of_envoy_are_not_the_targets() -> None:
    answer = stats(rq_total=10, rq_2xx=6, rq_5xx=9, rq_pending_failure_eject=3, cx_none_healthy=2, cx_connect_fail=3)
    counts = read_counts(answer)["red"]
    assert (counts.requests, counts.responses_2xx, counts.responses_5xx) == (13, 6, 4)
    assert counts.connection_errors == 3


def test_counts_go_on_when_envoy_begins_anew() -> None:
    log = CountLog()
    log.take(stats(rq_total=10, rq_2xx=10, buckets={5: 4, 10: 6}))
    log.restarted()
    assert log.totals()["red"].requests == 10
    log.take(stats(rq_total=2, rq_2xx=2, buckets={10: 1, 20: 1}))
    log.take(stats(rq_total=3, rq_2xx=3, buckets={10: 2, 20: 1}))
    totals = log.totals()["red"]
    assert (totals.requests, totals.responses_2xx) == (13, 13)
    assert totals.latency_buckets == {5: 4, 10: 8, 20: 1}


def test_counts_of_a_group_that_is_gone_are_kept_and_go_on_under_its_name() -> None:
    log = CountLog()
    log.take(stats(rq_total=10))
    log.take(stats("black", rq_total=1))
    log.take(stats(rq_total=4))
    assert {name: counts.requests for name, counts in log.totals().items()} == {"red": 14, "black": 1}
