"""What takes longer than CI has, on the shipped settings: every bad commit, ten good ones in a row, killed pushes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from redstart.cli.demo import DEMO_SOAK_SECONDS, Demo
from tests.support.killer import Killer
from tests.support.stack import running_demo, stack_environment

pytestmark = [pytest.mark.soak, pytest.mark.timeout(7200)]
GOOD_COMMITS = 10
LEAST_KILLS = 20


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    home = tmp_path_factory.mktemp("soak")
    environment = stack_environment(home, octet=150, soak_seconds=DEMO_SOAK_SECONDS, evidence="shipped")
    with running_demo(environment) as demo:
        yield demo


def test_ten_good_commits_in_a_row_arrive(demo: Demo) -> None:
    outcomes = [demo.deliver("good", number) for number in range(1, GOOD_COMMITS + 1)]
    assert [outcome.problems for outcome in outcomes] == [()] * GOOD_COMMITS


def test_a_push_arrives_however_often_it_is_killed(demo: Demo) -> None:
    killed: list[str] = []
    for number in (1, 2):  # at other deeds each time
        with Killer(demo, number) as killer:
            assert demo.deliver("good", GOOD_COMMITS + number).problems == ()
        killed += killer.killed
    print(f"{len(killed)} kills: {', '.join(killed)}")
    assert len(killed) >= LEAST_KILLS
    assert {one.partition(":")[0] for one in killed} == set(demo.app.prod.region_names)


@pytest.mark.parametrize("variant", ["slow", "errors", "leak", "heat"])
def test_a_bad_commit_is_stopped(demo: Demo, variant: str) -> None:
    assert demo.deliver(variant, 100).problems == ()
