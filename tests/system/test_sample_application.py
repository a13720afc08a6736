"""The sample application as instances run it: what it publishes, how it ends, and what each bad commit does to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pytest

from include.loadgen import Counters, Plan
from tests.support import sample_application as sample

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

VARIANTS = ("current", "good", "slow", "errors", "leak", "heat")
RPS = 45.0
SECONDS = 17.0


@dataclass(frozen=True)
class Soak:
    """All variants side by side under the same traffic; the instances have been ended by SIGTERM."""

    cloud: sample.SmallCloud
    counters: dict[str, Counters]
    memory_mb: dict[str, float]
    statuses: dict[str, int]

    def total(self, group: str, name: str) -> float:
        return self.cloud.total(group, name)

    def mean(self, group: str, kind: str, counts: str) -> float:
        """A mean latency over all periods, each weighted by its number."""
        dimensions = {"AutoScalingGroupName": group}
        means = self.cloud.values("Api", [f"{kind}.latency_mean_ms"], dimensions, "Average")
        numbers = self.cloud.values("Api", [f"{kind}.{counts}"], dimensions, "Sum")
        pairs = [
            (value, numbers[f"{kind}.{counts}"][moment]) for moment, value in means[f"{kind}.latency_mean_ms"].items()
        ]
        return sum(value * number for value, number in pairs) / sum(number for _, number in pairs)


@pytest.fixture(scope="module")
def soak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Soak]:
    folder = tmp_path_factory.mktemp("soak")
    with sample.small_cloud() as cloud, ExitStack() as stack:
        running = {}
        for place, variant in enumerate(VARIANTS):
            tree = sample.copy_source(folder / f"{variant}-tree", "" if variant == "current" else variant)
            sample.unpack(tree, folder / variant, f"1.{place}")
            entry = sample.instance(folder / variant, cloud, f"127.80.1.{10 + place}", variant)
            running[variant] = stack.enter_context(entry)
        plans = {name: Plan((one.target,), RPS, sample.mix(), seed=5) for name, one in running.items()}
        generators = sample.send_load(plans, SECONDS)
        memory = {name: one.memory_mb for name, one in running.items()}
        statuses = {name: one.end() for name, one in running.items()}
        yield Soak(cloud, {name: one.counters() for name, one in generators.items()}, memory, statuses)


def test_over_a_thousand_series_with_one_dimension(soak: Soak) -> None:
    names = {
        name for name, dimensions in soak.cloud.names("Api") if dimensions == (("AutoScalingGroupName", "current"),)
    }
    assert len(names) > 1000
    assert {len(dimensions) for _, dimensions in soak.cloud.names("Api")} == {1}
    endpoints = {name.split(".")[1] for name in names if name.startswith("endpoint.")}
    assert len(endpoints) == 64
    for endpoint in endpoints:
        assert {
            f"endpoint.{endpoint}.{one}" for one in ("requests", "2xx", "latency_p99_ms", "response_bytes")
        } <= names


def test_timestamps_are_on_the_grid_and_every_request_is_in_them(soak: Soak) -> None:
    dimensions = {"AutoScalingGroupName": "current", "InstanceId": "i-12780110"}
    points = soak.cloud.values("Redstart/Instance", ["RequestCount"], dimensions, "Sum")["RequestCount"]
    assert all(moment % 5 == 0 for moment in points)
    # One request more than the generator's: the look whether it answers.
    assert sum(points.values()) == pytest.approx(soak.counters["current"].sent, abs=10)
    assert soak.total("current", "http.requests") == sum(points.values())


def test_answers_say_who_made_them(soak: Soak) -> None:
    assert set(soak.counters["slow"].served_by) == {"slow/i-12780112/1.2"}


def test_sigterm_ends_every_instance_with_status_0(soak: Soak) -> None:
    assert set(soak.statuses.values()) == {0}


def test_a_good_commit_changes_nothing_that_matters(soak: Soak) -> None:
    assert soak.counters["good"].failed == soak.counters["current"].failed == 0
    assert soak.mean("good", "http", "requests") == pytest.approx(soak.mean("current", "http", "requests"), rel=0.12)
    assert soak.memory_mb["good"] == pytest.approx(soak.memory_mb["current"], abs=3)
    assert soak.memory_mb["current"] < 30


def test_the_slow_commit_makes_most_endpoints_slower(soak: Soak) -> None:
    ratio = soak.mean("slow", "http", "requests") / soak.mean("current", "http", "requests")
    assert 1.2 < ratio < 1.6
    names = [name for name, dimensions in soak.cloud.names("Api") if dimensions[0][1] == "slow" and "endpoint." in name]
    endpoints = {name.split(".")[1] for name in names}
    ratios = [
        soak.mean("slow", f"endpoint.{one}", "requests") / soak.mean("current", f"endpoint.{one}", "requests")
        for one in sorted(endpoints)
    ]
    assert median(ratios) > 1.2
    assert soak.counters["slow"].failed == 0


def test_the_errors_commit_fails_some_requests_of_some_endpoints(soak: Soak) -> None:
    exceptions = soak.total("errors", "http.exceptions")
    assert exceptions == soak.total("errors", "http.5xx") == soak.counters["errors"].failed
    assert 0.002 < exceptions / soak.total("errors", "http.requests") < 0.03
    assert soak.total("errors", "endpoint.home.exceptions") == 0
    assert soak.total("current", "http.exceptions") == 0


def test_the_leak_grows_with_requests(soak: Soak) -> None:
    grown_mb = soak.memory_mb["leak"] - soak.memory_mb["current"]
    assert grown_mb == pytest.approx(soak.counters["leak"].ok * 32_000 / 2**20, rel=0.25)


def test_the_heat_commit_heats_one_dependency(soak: Soak) -> None:
    calls = soak.total("heat", "dependency.ratings.calls") / soak.total("current", "dependency.ratings.calls")
    assert calls > 2.5
    now, before = (soak.mean(group, "dependency.ratings", "calls") for group in ("heat", "current"))
    assert now / before > 1.4
    others = soak.mean("heat", "dependency.artwork", "calls") / soak.mean("current", "dependency.artwork", "calls")
    assert others == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("variant", VARIANTS[1:])
def test_its_own_unit_tests_let_every_variant_pass(tmp_path: Path, variant: str) -> None:
    done = sample.run_python(sample.copy_source(tmp_path / "tree", variant), "-m", "unittest")
    assert done.returncode == 0, done.stderr


def test_a_dead_metric_store_does_not_disturb_serving(tmp_path: Path) -> None:
    sample.unpack(sample.copy_source(tmp_path / "tree"), tmp_path / "root", "1")
    with (
        sample.small_cloud() as cloud,
        sample.instance(tmp_path / "root", cloud, "127.80.1.30", "g", metrics_url="http://127.0.0.1:9") as running,
    ):
        plans = {"g": Plan((running.target,), 60.0, sample.mix(), seed=1)}
        assert not sample.failed(sample.send_load(plans, 7.0))
        assert running.end() == 0
        assert running.console.read_text().count("metrics are not delivered") == 1


def test_sigterm_under_load_finishes_what_was_asked(tmp_path: Path) -> None:
    """What is sent on kept connections while it drains is answered; after that, new connections are refused."""
    sample.unpack(sample.copy_source(tmp_path / "tree"), tmp_path / "root", "1")
    with sample.small_cloud() as cloud, sample.instance(tmp_path / "root", cloud, "127.80.1.31", "g") as running:
        ending = threading.Timer(2.0, running.process.terminate)
        ending.start()
        began = time.monotonic()
        generators = sample.send_load({"g": Plan((running.target,), 150.0, sample.mix(), seed=1)}, 3.0)
        assert set(generators["g"].counters().errors) <= {"refused"}
        assert running.process.wait(10) == 0
        assert time.monotonic() - began < 8
