"""The router of the local cloud: a real Envoy, real servers behind it, real load through it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from include.errors import RefusedError
from include.localcloud.envoy import EnvoyRouter, EnvoyRouters
from include.localcloud.envoy_stats import AdminApi
from include.localcloud.seams import ListenerSpec, TargetGroupSpec, TargetSpec
from tests.support import processes

pytestmark = [pytest.mark.system, pytest.mark.timeout(60)]

ADDRESS, PORT = "127.70.0.10", 28320
ADMIN = ("127.70.0.11", 28321)
BACKEND_PORT = 28330


def group(name: str, *numbers: int, draining: tuple[int, ...] = ()) -> TargetGroupSpec:
    targets = tuple(
        TargetSpec(f"i-{number}", f"127.70.1.{number}", BACKEND_PORT, is_draining=number in draining)
        for number in numbers
    )
    return TargetGroupSpec(name, "/health", 0.3, 0.3, 2, 2, targets)


def listener(**weights: int) -> list[ListenerSpec]:
    return [ListenerSpec("api-main", ADDRESS, PORT, {name.replace("_", "-"): value for name, value in weights.items()})]


@pytest.fixture
def router(tmp_path: Path) -> Iterator[EnvoyRouter]:
    router = EnvoyRouter("test", tmp_path / "envoy", ADMIN)
    yield router
    router.close()


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def start(servers: ExitStack, *numbers: int) -> list[subprocess.Popen[bytes]]:
    return [
        servers.enter_context(processes.backend(f"i-{number}", f"127.70.1.{number}", BACKEND_PORT))
        for number in numbers
    ]


def await_health(router: EnvoyRouter, state: str, *names: tuple[str, int], seconds: float = 8.0) -> None:
    keys = [(name, f"i-{number}") for name, number in names]
    processes.wait_until(
        lambda: all(router.health().get(key) == state for key in keys), seconds=seconds, what=f"{keys} {state}"
    )


def envoy_pid() -> int:
    """The only child of this process that listens on the admin address."""
    found = [pid for pid in processes.children_of(os.getpid()) if is_envoy(pid)]
    return found[0] if found else 0


def is_envoy(pid: int) -> bool:
    try:
        return ADMIN in processes.listening_addresses(pid)
    except OSError:
        return False


def test_traffic_is_shared_by_weights(router: EnvoyRouter, servers: ExitStack) -> None:
    start(servers, 1, 2)
    router.apply([group("red", 1), group("black", 2)], listener(red=90, black=10))
    await_health(router, "healthy", ("red", 1), ("black", 2))
    processes.wait_until(lambda: processes.answers(ADDRESS, PORT) == 200)
    seen = processes.send(ADDRESS, PORT, 12_000)
    assert seen.total() == 12_000
    assert seen["i-1"] / 12_000 == pytest.approx(0.9, abs=0.01)
    assert seen["i-2"] / 12_000 == pytest.approx(0.1, abs=0.01)


def test_moving_weights_and_groups_under_load_loses_no_request(router: EnvoyRouter, servers: ExitStack) -> None:
    start(servers, 1, 2, 3)
    router.apply([group("v000", 1)], listener(v000=100))
    await_health(router, "healthy", ("v000", 1))
    with processes.load(ADDRESS, PORT) as seen:
        for turn in range(6):
            new = f"v{turn + 1:03}"
            both = [group("v000", 1), group(new, 2, 3)]
            router.apply(both, listener(v000=100))
            await_health(router, "healthy", (new, 2), (new, 3))
            for weight in (10, 50, 100):
                router.apply(both, listener(**{"v000": 100 - weight, new: weight}))
                time.sleep(0.05)
            before = seen["i-2"] + seen["i-3"]
            processes.wait_until(lambda before=before: seen["i-2"] + seen["i-3"] > before, what="the new group serves")
            router.apply([group("v000", 1)], listener(v000=100))  # back, and the new group is gone, in one step
    assert processes.failures(seen) == {}
    assert seen["i-1"] > 100
    assert seen["i-2"] > 20
    totals = router.counts()
    assert totals["v001"].requests > 0, "counts of groups that are gone are kept"


def test_new_health_settings_under_load_lose_no_request(router: EnvoyRouter, servers: ExitStack) -> None:
    start(servers, 1)
    router.apply([group("v000", 1)], listener(v000=1))
    await_health(router, "healthy", ("v000", 1))
    with processes.load(ADDRESS, PORT) as seen:
        for path in ("/wait/0.2", "/wait/0.21"):  # so slow that the time until the first new check would show
            router.apply([replace(group("v000", 1), health_path=path, timeout_seconds=1)], listener(v000=1))
            before = _stat("health_check.success$")
            processes.wait_until(lambda before=before: _stat("health_check.success$") >= before + 3)
            assert router.health()["v000", "i-1"] == "healthy"
    assert processes.failures(seen) == {}


def test_a_draining_target_finishes_its_requests_and_gets_no_new_ones(router: EnvoyRouter, servers: ExitStack) -> None:
    start(servers, 1, 2)
    router.apply([group("v000", 1, 2)], listener(v000=1))
    await_health(router, "healthy", ("v000", 1), ("v000", 2))
    slow: list[tuple[int, str]] = []
    asking = [threading.Thread(target=lambda: slow.append(processes.get(ADDRESS, PORT, "/wait/1.5"))) for _ in range(8)]
    for thread in asking:
        thread.start()
    processes.wait_until(lambda: _stat("upstream_rq_active$") >= 8, what="the slow requests are in flight")
    router.apply([group("v000", 1, 2, draining=(2,))], listener(v000=1))
    processes.wait_until(lambda: set(processes.send(ADDRESS, PORT, 20)) == {"i-1"}, seconds=2)
    assert set(processes.send(ADDRESS, PORT, 200)) == {"i-1"}
    router.apply([group("v000", 1)], listener(v000=1))  # removed while its requests are still in flight
    for thread in asking:
        thread.join(10)
    assert sorted({body for _, body in slow}) == ["i-1", "i-2"]
    assert [status for status, _ in slow] == [200] * 8


def _stat(pattern: str) -> int:
    """Sum of the router's statistics whose name fits."""
    stats = AdminApi(ADMIN).get(f"/stats?format=json&filter={pattern}")
    return sum(int(entry["value"]) for entry in stats["stats"] if "name" in entry)


def test_health_goes_from_initial_to_healthy_to_unhealthy(router: EnvoyRouter, servers: ExitStack) -> None:
    router.apply([group("v000", 1, 2)], listener(v000=1))
    await_health(router, "initial", ("v000", 1), ("v000", 2))
    assert processes.answers(ADDRESS, PORT) == 503, "nothing passed: no panic routing"
    first, second = start(servers, 1, 2)
    await_health(router, "healthy", ("v000", 1), ("v000", 2))
    killed_at = time.monotonic()
    first.kill()
    await_health(router, "unhealthy", ("v000", 1), seconds=3)
    assert time.monotonic() - killed_at < 2.0
    assert router.health()["v000", "i-2"] == "healthy"
    assert set(processes.send(ADDRESS, PORT, 100)) == {"i-2"}
    second.kill()
    await_health(router, "unhealthy", ("v000", 2))
    assert processes.answers(ADDRESS, PORT) == 503


def test_a_target_gets_traffic_as_soon_as_it_is_called_healthy(router: EnvoyRouter, servers: ExitStack) -> None:
    router.apply([group("v000", 1, 2, 3)], listener(v000=1))
    for number in (1, 2, 3):  # in quick succession: Envoy likes to gather such changes for a second
        start(servers, number)
        await_health(router, "healthy", ("v000", number))
        assert set(processes.send(ADDRESS, PORT, 60)) == {f"i-{up}" for up in range(1, number + 1)}


def test_no_request_reaches_targets_that_fail_their_checks(router: EnvoyRouter, servers: ExitStack) -> None:
    start(servers, 1)
    router.apply([replace(group("v000", 1), health_path="/status/500")], listener(v000=1))
    await_health(router, "initial", ("v000", 1))
    assert processes.send(ADDRESS, PORT, 50) == {"failed with 503": 50}
    time.sleep(1)
    assert router.health()["v000", "i-1"] == "initial", "it never passed"


def test_no_weight_answers_503(router: EnvoyRouter, servers: ExitStack) -> None:
    start(servers, 1)
    router.apply([group("v000", 1)], listener(v000=0))
    await_health(router, "healthy", ("v000", 1))
    assert processes.answers(ADDRESS, PORT) == 503
    router.apply([group("v000", 1)], listener(v000=1))
    processes.wait_until(lambda: processes.answers(ADDRESS, PORT) == 200, seconds=2)
    router.apply([group("v000", 1)], listener())
    processes.wait_until(lambda: processes.answers(ADDRESS, PORT) == 503, seconds=2)


def test_counts_are_what_targets_answered(router: EnvoyRouter, servers: ExitStack) -> None:
    (server,) = start(servers, 1)
    router.apply([group("v000", 1)], listener(v000=1))
    await_health(router, "healthy", ("v000", 1))
    processes.send(ADDRESS, PORT, 300)
    processes.send(ADDRESS, PORT, 20, path="/status/302")
    processes.send(ADDRESS, PORT, 30, path="/status/404")
    processes.send(ADDRESS, PORT, 40, path="/status/500")
    processes.send(ADDRESS, PORT, 10, path="/wait/0.11")
    processes.wait_until(lambda: sum(router.counts()["v000"].latency_buckets.values()) == 400, what="all counted")
    counts = router.counts()["v000"]
    assert (counts.requests, counts.responses_2xx, counts.responses_3xx) == (400, 310, 20)
    assert (counts.responses_4xx, counts.responses_5xx, counts.connection_errors) == (30, 40, 0)
    assert sum(count for bound, count in counts.latency_buckets.items() if bound > 100) == 10
    server.kill()
    server.wait()
    # More than the connections that Envoy kept: those answer with a reset, the rest find nobody to connect to.
    refused = processes.send(ADDRESS, PORT, 60, connections=1)
    assert refused.total() == 60
    assert all(answer.startswith("failed") for answer in refused), refused
    processes.wait_until(lambda: router.counts()["v000"].connection_errors > 0, what="connection errors counted")
    await_health(router, "unhealthy", ("v000", 1))
    processes.send(ADDRESS, PORT, 1)
    assert router.counts()["v000"].responses_5xx == 40, "Envoy's own 503s are not the targets'"


def test_no_needless_header_reaches_target_or_caller(router: EnvoyRouter, servers: ExitStack) -> None:
    start(servers, 1)
    router.apply([group("v000", 1)], listener(v000=1))
    await_health(router, "healthy", ("v000", 1))
    _, head = processes.get(ADDRESS, PORT, "/echo")
    names = {line.partition(":")[0].lower() for line in head.split("\r\n")[1:] if line}
    assert names == {"host", "x-forwarded-for", "x-forwarded-proto"}


def test_a_killed_envoy_is_back_within_a_second_and_forgets_nothing(
    router: EnvoyRouter, servers: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("include.localcloud.envoy.SHORT_LIFE_SECONDS", 0)  # else one that just began is held back
    start(servers, 1)
    slow_check = replace(group("v000", 1), health_path="/wait/0.2", timeout_seconds=1)
    router.apply([slow_check], listener(v000=1))
    await_health(router, "healthy", ("v000", 1))
    processes.send(ADDRESS, PORT, 50)
    processes.wait_until(lambda: sum(router.counts()["v000"].latency_buckets.values()) == 50)
    states = set()
    os.kill(envoy_pid(), signal.SIGKILL)
    killed_at = time.monotonic()

    def is_back() -> bool:
        states.add(router.health().get(("v000", "i-1")))
        return processes.answers(ADDRESS, PORT) == 200

    processes.wait_until(is_back, seconds=3)
    assert time.monotonic() - killed_at < 1.2, "of which 0.2 s are the first check"
    processes.send(ADDRESS, PORT, 9)
    processes.wait_until(lambda: router.counts()["v000"].requests >= 60)
    assert states == {"healthy"}, "a restart of the router must not look like the death of all targets"


def test_all_listeners_are_on_loopback_only(router: EnvoyRouter) -> None:
    router.apply([group("v000", 1)], listener(v000=1))
    processes.wait_until(lambda: processes.answers(ADDRESS, PORT) == 503)
    assert processes.listening_addresses(envoy_pid()) == {(ADDRESS, PORT), ADMIN}
    with pytest.raises(RefusedError, match="127.0.0.0/8"):
        router.apply([], [ListenerSpec("open", "0.0.0.0", PORT + 9)])


def test_an_address_in_use_is_refused_and_changes_nothing(router: EnvoyRouter, servers: ExitStack) -> None:
    start(servers, 1)
    taken = [ListenerSpec("api-main", "127.70.1.1", BACKEND_PORT)]
    with pytest.raises(RefusedError, match="in use"):
        router.apply([group("v000", 1)], taken)
    assert router.health() == {}
    assert envoy_pid() == 0


def test_nothing_runs_before_the_first_listener(router: EnvoyRouter) -> None:
    router.apply([group("v000", 1)], [])
    assert router.health() == {}
    assert router._thread is None


def test_no_envoy_outlives_its_owner(tmp_path: Path) -> None:
    owner = (
        "import sys, time; from pathlib import Path; from include.localcloud.envoy import EnvoyRouters;"
        "from include.localcloud.seams import ListenerSpec;"
        f"EnvoyRouters(Path({str(tmp_path)!r}), lambda a, r: {ADMIN!r})('1', 'r')"
        f".apply([], [ListenerSpec('l', {ADDRESS!r}, {PORT})]); time.sleep(60)"
    )
    marker = f"ROUTER_TEST={tmp_path}"
    environment = {**os.environ, "ROUTER_TEST": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", owner], env=environment)
    try:
        processes.wait_until(lambda: processes.answers(ADDRESS, PORT) == 503)
        assert len(processes.pids_with(marker)) == 2
    finally:
        process.kill()
        process.wait()
    processes.wait_until(lambda: not processes.pids_with(marker), seconds=2)


def test_one_router_per_account_and_region(tmp_path: Path) -> None:
    routers = EnvoyRouters(tmp_path, lambda account, region: ADMIN)
    assert routers("1", "us-east-1") is routers("1", "us-east-1")
    assert routers("1", "us-east-1") is not routers("2", "us-east-1")
    routers.close()
