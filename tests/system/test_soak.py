"""What takes longer than CI has, on the shipped settings: every bad commit, and ten good ones in a row."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from redstart.cli.demo import DEMO_SOAK_SECONDS, Demo
from tests.support.stack import running_demo, stack_environment

pytestmark = [pytest.mark.soak, pytest.mark.timeout(7200)]
GOOD_COMMITS = 10


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    home = tmp_path_factory.mktemp("soak")
    environment = stack_environment(home, octet=150, soak_seconds=DEMO_SOAK_SECONDS, evidence="shipped")
    with running_demo(environment) as demo:
        yield demo


def test_ten_good_commits_in_a_row_arrive(demo: Demo) -> None:
    outcomes = [demo.deliver("good", number) for number in range(1, GOOD_COMMITS + 1)]
    assert [outcome.problems for outcome in outcomes] == [()] * GOOD_COMMITS


@pytest.mark.parametrize("variant", ["slow", "errors", "leak", "heat"])
def test_a_bad_commit_is_stopped(demo: Demo, variant: str) -> None:
    assert demo.deliver(variant, 100).problems == ()
