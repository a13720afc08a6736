"""Commits start runs on a real stack: by the webhook, by polls, and over a triggerer that is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import httpx
import pytest

from redstart.cli.demo import Demo
from tests.support.commit_stream import CommitStream
from tests.support.stack import CommandLine, running_demo, stack_environment, wait_for

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]
NUDGED_SECONDS = 15.0
"""Far below the poll's interval, far above what it takes (docs/triggers.md): the machine may be busy."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    quiet = {"REDSTART_TRAFFIC_RPS": "us-east-1=2,us-west-2=2,eu-west-1=2"}
    return stack_environment(tmp_path_factory.mktemp("stack"), octet=190) | quiet


@pytest.fixture(scope="module")
def demo(environment: dict[str, str]) -> Iterator[Demo]:
    with running_demo(environment) as demo:
        yield demo


@pytest.fixture(scope="module")
def stream(demo: Demo) -> CommitStream:
    stream = CommitStream(demo)
    stream.await_idle()
    return stream


def test_a_nudge_by_http_starts_the_run_at_once(stream: CommitStream) -> None:
    started = stream.time_commit(is_nudged=True)
    assert started.to_run < NUDGED_SECONDS


def test_without_a_signature_nobody_nudges(stream: CommitStream) -> None:
    url = f"{stream.demo.settings.airflow_url}/redstart/webhook"
    assert httpx.post(url, json={}).status_code == 401
    assert httpx.get(f"{stream.demo.settings.airflow_url}/redstart/reports/x").status_code == 401


def test_a_nudge_from_the_command_line_is_counted(stream: CommitStream, environment: dict[str, str]) -> None:
    before = stream.ledger.nudges().get(("api", "test"), 0)
    done = CommandLine(environment).run("nudge", "api", "test")
    assert done.returncode == 0, done.stderr
    assert stream.ledger.nudges()["api", "test"] == before + 1


def test_a_commit_is_not_lost_with_the_triggerer_and_each_is_told_of_in_one_run(stream: CommitStream) -> None:
    commits = []
    for number in range(6):
        commits.append(stream.commit())
        if number % 2:
            stream.nudge(commits[-1])
        if number in (1, 4):
            parts = stream.demo.stack.state()["parts"]
            os.kill(int(parts["triggerer"]["pid"]), signal.SIGKILL)
    wait_for(lambda: commits[-1] in stream.accounts(), 180, "the last commit is told of", 1)
    stream.await_idle()
    told = {commit: stream.accounts()[commit] for commit in commits}
    assert {commit: len(runs) for commit, runs in told.items()} == dict.fromkeys(commits, 1), told
