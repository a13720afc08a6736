"""The Prometheus adapter against Debian's Prometheus, filled with samples whose statistics are known."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from include.adapters.prometheus_metrics import PrometheusMetrics
from include.adapters.prometheus_query import KayentaScope, kayenta_query
from include.canary.series import pair_scopes
from include.errors import ConfigError, RefusedError, RetryableError
from tests.support.prometheus_server import ABSENT, IS_HERE, Answer, Family, Request, door, serve_prometheus

pytestmark = pytest.mark.skipif(not IS_HERE, reason=ABSENT)

NOON = datetime(2026, 5, 6, 12, 0, tzinfo=UTC)
STEP, POINTS = 60, 480
END = NOON + timedelta(seconds=STEP * POINTS)
CLUSTERS = ("api-main-baseline-v002", "api-main-canary-v002")
SCOPES = {cluster: {"cluster": cluster} for cluster in CLUSTERS}
INSTANCES = 2
# Three samples a step, none on a step's border.
OFFSETS = (7.0, 27.0, 47.0)
GAUGES = tuple(f"endpoint_e{n}_latency_ms" for n in range(40))
COUNTERS = tuple(f"endpoint_e{n}_errors_total" for n in range(20))
GAP = slice(100, 110)
ODD = 'a "quoted" \\ name\nof .* two|lines'


def level(name: int, cluster: int, instance: int) -> np.ndarray:
    """float64 [points, samples of a step]: what an instance's gauge showed."""
    dice = np.random.default_rng([name, cluster, instance])
    return 100.0 * (1 + name) + 3.7 * cluster + dice.normal(size=(POINTS, len(OFFSETS)))


def at(point: int, sample: int) -> float:
    return NOON.timestamp() + point * STEP + OFFSETS[sample]


def gauge(name: str, number: int) -> Family:
    def samples() -> Iterator[tuple[dict[str, str], list[tuple[float, float]]]]:
        for cluster, label in enumerate(CLUSTERS):
            for instance in range(INSTANCES):
                values = level(number, cluster, instance)
                kept = [n for n in range(POINTS) if number != 3 or cluster == 0 or n not in range(GAP.start, GAP.stop)]
                points = [(at(n, k), float(values[n, k])) for n in kept for k in range(len(OFFSETS))]
                yield {"cluster": label, "instance": f"i-{instance}", "app": "api"}, points

    return Family(name, "gauge", samples())


def counter(name: str, number: int) -> Family:
    """Grows by number + 1 + cluster at every sample: increases are known exactly. One instance starts anew at 200."""

    def samples() -> Iterator[tuple[dict[str, str], list[tuple[float, float]]]]:
        for cluster, label in enumerate(CLUSTERS):
            for instance in range(INSTANCES):
                rate, value, points = number + 1 + cluster, 50_000.0, []
                for n in range(POINTS):
                    for k in range(len(OFFSETS)):
                        value = 0.0 if (n, k, instance, number) == (200, 1, 1, 7) else value
                        value += rate
                        points.append((at(n, k), value))
                yield {"cluster": label, "instance": f"i-{instance}", "app": "api"}, points

    return Family(name, "counter", samples())


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    families = [gauge(name, number) for number, name in enumerate(GAUGES)]
    families += [counter(name, number) for number, name in enumerate(COUNTERS)]
    families.append(
        Family("odd", "gauge", [({"cluster": ODD}, [(at(0, 0), 7.0)]), ({"cluster": "of"}, [(at(0, 0), 1.0)])])
    )
    families.append(
        Family(
            "limits",
            "gauge",
            [({"cluster": "x"}, [(at(n, 0), v) for n, v in enumerate((np.inf, -np.inf, np.nan, 1.0))])],
        )
    )
    families.append(Family("edge", "gauge", [({"cluster": "x"}, [(NOON.timestamp() + 60 * n, n) for n in range(4)])]))
    fine = [(NOON.timestamp() + second + 0.5, float(second)) for second in range(12_500)]
    families.append(Family("fine", "gauge", [({"cluster": "x"}, fine)]))
    with serve_prometheus(tmp_path_factory.mktemp("prometheus"), families) as address:
        yield address


@pytest.fixture
def store(url: str) -> Iterator[PrometheusMetrics]:
    with PrometheusMetrics(url) as metrics:
        yield metrics


class TestReading:
    def test_sixty_names_of_two_groups_come_on_one_grid_to_the_last_bit(self, store: PrometheusMetrics) -> None:
        names = [*GAUGES, *COUNTERS]
        grid = store.fetch(names, SCOPES, NOON, END, STEP, lambda name: "Sum" if name in COUNTERS else "Average")
        assert (grid.names, grid.scopes, grid.start) == (tuple(names), CLUSTERS, NOON)
        assert grid.errors == {}
        assert store.health.describe() == ""
        for number in range(len(GAUGES)):
            for cluster in range(2):
                expected = np.mean([level(number, cluster, n).mean(axis=1) for n in range(INSTANCES)], axis=0)
                if (number, cluster) == (3, 1):
                    expected[GAP] = np.nan
                np.testing.assert_allclose(grid.values[cluster, number], expected, rtol=1e-12)
        for number in range(len(COUNTERS)):
            for cluster in range(2):
                # 40 s apart lie the samples of a step: Prometheus extrapolates their two increments to 60 s.
                expected = np.full(POINTS, 3.0 * (number + 1 + cluster) * INSTANCES)
                found = grid.values[cluster, len(GAUGES) + number]
                np.testing.assert_allclose(found, expected, rtol=1e-12)

    def test_a_point_holds_the_samples_from_its_moment_on_but_none_of_the_next(self, store: PrometheusMetrics) -> None:
        scopes = {"x": {"cluster": "x"}}
        start = NOON + timedelta(seconds=3)
        grid = store.fetch(["fine"], scopes, start, NOON + timedelta(seconds=48), 10, "Minimum")
        assert grid.start == NOON + timedelta(seconds=10)
        np.testing.assert_array_equal(grid.values[0, 0], [10.0, 20.0, 30.0])
        highest = store.fetch(["fine"], scopes, start, NOON + timedelta(seconds=48), 10, "Maximum")
        np.testing.assert_array_equal(highest.values[0, 0], [19.0, 29.0, 39.0])
        assert store.fetch(["fine"], scopes, NOON, NOON, 10).values.shape == (1, 1, 0)

    def test_a_sample_on_the_border_of_two_steps_counts_once(self, store: PrometheusMetrics) -> None:
        grid = store.fetch(["edge"], {"x": {"cluster": "x"}}, NOON, NOON + timedelta(minutes=3), STEP, "Maximum")
        np.testing.assert_array_equal(grid.values[0, 0], [0.0, 1.0, 2.0])

    def test_more_steps_than_one_call_may_have_are_read_in_pieces(self, store: PrometheusMetrics) -> None:
        grid = store.fetch(["fine"], {"x": {"cluster": "x"}}, NOON, NOON + timedelta(seconds=12_500), 1)
        np.testing.assert_array_equal(grid.values[0, 0], np.arange(12_500.0))

    def test_what_is_no_finite_number_arrives_as_it_was_written(self, store: PrometheusMetrics) -> None:
        grid = store.fetch(["limits"], {"x": {"cluster": "x"}}, NOON, NOON + timedelta(minutes=5), STEP)
        np.testing.assert_array_equal(grid.values[0, 0], [np.inf, -np.inf, np.nan, 1.0, np.nan])

    def test_a_group_or_name_without_data_is_a_gap_and_no_error(self, store: PrometheusMetrics) -> None:
        scopes = {**SCOPES, "gone": {"cluster": "gone"}}
        grid = store.fetch([GAUGES[0], "unknown"], scopes, NOON, END, STEP)
        assert not np.isnan(grid.values[:2, 0]).any()
        assert np.isnan(grid.values[2]).all()
        assert np.isnan(grid.values[:, 1]).all()
        assert grid.errors == {}

    def test_several_labels_tell_groups_apart(self, store: PrometheusMetrics) -> None:
        scopes = {
            f"{cluster}/{n}": {"cluster": cluster, "instance": f"i-{n}"} for cluster in CLUSTERS for n in range(2)
        }
        grid = store.fetch([GAUGES[5]], scopes, NOON, END, STEP)
        expected = [level(5, cluster, instance).mean(axis=1) for cluster in range(2) for instance in range(2)]
        np.testing.assert_allclose(grid.values[:, 0], expected, rtol=1e-12)

    def test_names_are_those_of_the_group_and_hostile_labels_stay_labels(self, store: PrometheusMetrics) -> None:
        assert store.discover(SCOPES[CLUSTERS[0]], NOON, END) == sorted([*GAUGES, *COUNTERS])
        assert store.discover({"cluster": ODD}, NOON, END) == ["odd"]
        assert store.discover({"cluster": 'x"} or up{a="'}, NOON, END) == []
        grid = store.fetch(["odd"], {"odd": {"cluster": ODD}, "none": {"cluster": "o."}}, NOON, END, STEP)
        assert grid.values[:, 0, 0].tolist() == pytest.approx([7.0, np.nan], nan_ok=True)

    def test_a_kayenta_query_runs_as_it_is_built(self, store: PrometheusMetrics) -> None:
        scope = KayentaScope(scope=CLUSTERS[1], parameters={"quantile": "0.5"})
        template = f'PromQL:quantile(${{quantile}}, {GAUGES[0]}{{cluster="${{scope}}"}})'
        promql = kayenta_query({"customInlineTemplate": template}, scope, {})
        (series,) = store.query(promql, NOON + timedelta(seconds=30), NOON + timedelta(seconds=270), STEP)
        expected = [np.mean([level(0, 1, n)[point, 1] for n in range(INSTANCES)]) for point in range(5)]
        np.testing.assert_allclose(series.values, expected, rtol=1e-12)
        assert (series.step_seconds, series.tags) == (STEP, {})


class TestTrouble:
    def test_one_wrong_query_fails_one_metric_with_the_servers_words(self, url: str) -> None:
        def spoil(request: Request) -> Request:
            """One name's query gets a bracket too many on its way."""
            return replace(request, body=request.body.replace(f"{GAUGES[2]}%22", f"{GAUGES[2]}%22%7B"))

        with door(lambda _: None, url, spoil) as through, PrometheusMetrics(through) as store:
            grid = store.fetch(GAUGES[:5], SCOPES, NOON, END, STEP)
        assert list(grid.errors) == [GAUGES[2]]
        assert "400" in grid.errors[GAUGES[2]] and "parse error" in grid.errors[GAUGES[2]]
        assert np.isnan(grid.values[:, 2]).all()
        assert not np.isnan(np.delete(grid.values, [2, 3], axis=1)).any()
        assert pair_scopes(grid, baseline=CLUSTERS[0], canary=CLUSTERS[1]).errors == grid.errors

    def test_a_query_of_its_own_that_is_wrong_is_refused(self, store: PrometheusMetrics) -> None:
        with pytest.raises(RefusedError, match="parse error"):
            store.query("avg(", NOON, END, STEP)

    def test_a_store_that_throttles_is_asked_again_and_nothing_is_lost(self, url: str) -> None:
        lock, seen = threading.Lock(), list[str]()

        def answer(request: Request) -> Answer | None:
            if not request.path.endswith("query_range"):
                return None
            with lock:
                seen.append(request.body)
                first_time = seen.count(request.body) == 1 and len(set(seen)) % 10 == 0
            return Answer(429, "slow down", {"Retry-After": "1"}) if first_time else None

        with PrometheusMetrics(url) as store:
            undisturbed = store.fetch(GAUGES, SCOPES, NOON, END, STEP)
        with door(answer, url) as through, PrometheusMetrics(through) as store:
            grid = store.fetch(GAUGES, SCOPES, NOON, END, STEP, patience_seconds=60)
            assert (store.health.failed, store.health.throttled, store.health.unanswered) == (4, 4, {})
            assert "4 were throttled" in store.health.describe()
        np.testing.assert_array_equal(grid.values, undisturbed.values)
        assert grid.errors == {}

    def test_a_name_that_stays_unanswered_is_an_error_and_counted_apart(self, url: str) -> None:
        def answer(request: Request) -> Answer | None:
            return Answer(503, "query timed out") if GAUGES[1] + "%22" in request.body else None

        with door(answer, url) as through, PrometheusMetrics(through) as store:
            grid = store.fetch(GAUGES[:4], SCOPES, NOON, END, STEP, patience_seconds=0)
            assert list(store.health.unanswered) == [GAUGES[1]]
            assert store.health.failed == 1
        assert grid.errors == {GAUGES[1]: "503 query timed out"}
        assert not np.isnan(grid.values[:, [0, 2]]).any()

    def test_a_server_that_is_not_there_is_worth_another_try_later(self) -> None:
        with door(lambda _: None) as gone:
            pass
        with PrometheusMetrics(gone) as store:
            with pytest.raises(RetryableError, match=r"left 40 of 40 metrics unanswered for 0.3 s: ConnectError"):
                store.fetch(GAUGES, SCOPES, NOON, END, STEP, patience_seconds=0.3)
            with pytest.raises(RetryableError, match="label/__name__/values unanswered"):
                store.discover(SCOPES[CLUSTERS[0]], NOON, END, patience_seconds=0)

    def test_who_may_not_read_is_refused_at_once_and_who_may_is_known_by_its_header(self, url: str) -> None:
        def answer(request: Request) -> Answer | None:
            allowed = {"Bearer open sesame", "Basic dTpw"}
            return None if request.headers.get("Authorization") in allowed else Answer(401, "who are you?")

        with door(answer, url) as through:
            with PrometheusMetrics(through) as store, pytest.raises(RefusedError, match="401 who are you"):
                store.fetch(GAUGES[:2], SCOPES, NOON, END, STEP)
            for known in (
                PrometheusMetrics(through, token="open sesame"),
                PrometheusMetrics(through, login=("u", "p")),
            ):
                with known as store:
                    assert not np.isnan(store.fetch(GAUGES[:2], SCOPES, NOON, END, STEP).values).any()


def test_a_statistic_that_prometheus_does_not_know_is_a_config_error(url: str) -> None:
    with PrometheusMetrics(url) as store, pytest.raises(ConfigError, match="p99"):
        store.fetch(GAUGES[:2], SCOPES, NOON, END, STEP, "p99")
