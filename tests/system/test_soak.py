"""What takes longer than CI has, on the shipped settings: every bad commit, and ten good ones in a row."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rich.console import Console

from include.services.settings import Settings
from redstart.cli.demo import DEMO_SOAK_SECONDS, Demo
from tests.support.stack import stack_environment

pytestmark = [pytest.mark.soak, pytest.mark.timeout(7200)]
GOOD_COMMITS = 10


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    home = tmp_path_factory.mktemp("soak")
    environment = stack_environment(home, octet=150, soak_seconds=DEMO_SOAK_SECONDS, evidence="shipped")
    with pytest.MonkeyPatch.context() as patch:
        for key, value in environment.items():
            patch.setenv(key, value)
        demo = Demo(Settings(), Console(width=160))
        demo.start()
        yield demo
        demo.stack.stop()


def test_ten_good_commits_in_a_row_arrive(demo: Demo) -> None:
    outcomes = [demo.deliver("good", number) for number in range(1, GOOD_COMMITS + 1)]
    assert [outcome.problems for outcome in outcomes] == [()] * GOOD_COMMITS


@pytest.mark.parametrize("variant", ["slow", "errors", "leak", "heat"])
def test_a_bad_commit_is_stopped(demo: Demo, variant: str) -> None:
    assert demo.deliver(variant, 100).problems == ()
