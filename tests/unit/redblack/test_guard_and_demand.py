"""The traffic guard, and what it counts by."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from include.fleet import Capacity, ClusterRef, ClusterView, Group, Instance, TrafficHistory
from include.redblack import Demand, Need, Step, forecast
from include.redblack.guard import refuse
from include.redblack.steps import DeleteGroup, GrowRed, SetWeights, TagGroup

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
CLUSTER = ClusterRef("api", "main", "us-east-1")
NEED = Need(rps_per_instance=10.0)


def group(name: str, healthy: int, weight: int) -> Group:
    members = tuple(Instance(f"{name}-{i}", "a", "InService", target_state="healthy") for i in range(healthy))
    return Group(name, "ami", Capacity(1, healthy, 40), NOW, members, weight, is_attached=True)


def view(**groups: tuple[int, int]) -> ClusterView:
    return ClusterView(CLUSTER, NOW, tuple(group(name, *found) for name, found in groups.items()))


def change(**weights: int) -> Step:
    return SetWeights(CLUSTER, weights)


def test_a_change_that_leaves_too_little_is_refused_and_says_by_how_much() -> None:
    said = refuse(view(red=(3, 50), previous=(8, 50)), change(red=100, previous=0), Demand(70.0, 70.0), NEED)
    assert said == "3 healthy instances would serve 70 requests/s, which lacks 4.0 instances at 10 requests/s each"


@pytest.mark.parametrize(("rps", "is_refused"), [(30.0, False), (30.1, True), (0.0, False)])
def test_the_edge_is_what_the_instances_carry(rps: float, is_refused: bool) -> None:
    said = refuse(view(red=(3, 50), previous=(8, 50)), change(red=100, previous=0), Demand(rps, rps), NEED)
    assert bool(said) is is_refused


def test_each_group_must_carry_its_own_share() -> None:
    said = refuse(view(red=(1, 0), previous=(8, 100)), change(red=50, previous=50), Demand(60.0, 60.0), NEED)
    assert said is not None and "lacks 2.0" in said


def test_a_cluster_that_is_short_already_may_be_mended() -> None:
    short = view(red=(0, 100), black=(3, 0))
    assert refuse(short, change(black=100, red=0), Demand(60.0, 60.0), NEED) is None


def test_no_traffic_at_all_is_refused() -> None:
    assert refuse(view(red=(3, 100)), change(red=0), Demand(0.0, 0.0), NEED)


def test_where_the_traffic_is_not_known_a_third_must_stay() -> None:
    both = view(red=(11, 110), previous=(10, 100))
    assert refuse(both, change(previous=100, red=0), Demand(), NEED) is None
    assert refuse(view(red=(2, 10), previous=(10, 100)), change(red=100, previous=0), Demand(), NEED)


def test_a_group_in_traffic_is_neither_deleted_nor_shrunk_below_need() -> None:
    one = view(red=(5, 100))
    assert refuse(one, DeleteGroup("red"), Demand(10.0, 10.0), NEED)
    assert refuse(one, GrowRed("red", Capacity(1, 2, 40)), Demand(40.0, 40.0), NEED)
    assert refuse(one, GrowRed("red", Capacity(1, 4, 40)), Demand(40.0, 40.0), NEED) is None
    assert refuse(one, TagGroup("red", {}), Demand(400.0, 400.0), NEED) is None


def history(*rps: float, period: float = 60.0) -> TrafficHistory:
    count = len(rps)
    points = tuple((NOW + timedelta(seconds=period * (i - count + 1)), value) for i, value in enumerate(rps))
    return TrafficHistory(period, points)


def test_growing_traffic_is_expected_to_grow_on() -> None:
    demand = forecast(history(100, 110, 120, 130), ahead_seconds=120)
    assert demand.rps == 130
    assert demand.ahead_rps == pytest.approx(150)
    assert demand.instances(10.0) == 13 and demand.instances_ahead(10.0) == 15


def test_falling_traffic_is_not_believed() -> None:
    assert forecast(history(130, 120, 110), ahead_seconds=600) == Demand(130, 130)


def test_one_point_is_what_is_known_and_none_is_nothing() -> None:
    assert forecast(history(42.0), ahead_seconds=600) == Demand(42.0, 42.0)
    assert forecast(TrafficHistory(60.0), ahead_seconds=600) == Demand()
    assert Demand().instances(10.0) is None
