"""A feature's way from test through release and the weekly push to prod, a patch's way to the world and round, and a
bad one that conflicts: three branches with real git, real processes, while tasks and parts of Airflow are killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from include.ledger import Kind
from include.services.processes import is_alive, marked_pids
from redstart.cli.airflow_api import RunState
from redstart.cli.demo import Demo
from redstart.cli.releasing import form
from redstart.cli.traffic import sent_and_failed, shares
from tests.support.hands import clear, mark_failed
from tests.support.journey import Journey
from tests.support.killer import Killer
from tests.support.stack import CommandLine, listeners, running_demo, stack_environment, task_process, wait_for

pytestmark = [pytest.mark.system, pytest.mark.timeout(1800)]
SOAK_SECONDS = 60
LEAST_KILLS = 3  # each costs 20 s; `make soak` kills more
LEAST_TESTS = 5
WAVES = ["us-west-2", "eu-west-1", "us-east-1"]
"""The market with the least traffic first."""
BATCHES = ("opt/app/settings/dependencies.toml", "batch_size = 50\ncrowding = 0.4\n")
TEST, RELEASE, PUSH, PROD = "api_test", "api_release", "api_release_push", "api_prod"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return stack_environment(tmp_path_factory.mktemp("stack"), octet=120, soak_seconds=SOAK_SECONDS) | {
        "REDSTART_WATCH_SECONDS": "10"
    }


@pytest.fixture(scope="module")
def demo(environment: dict[str, str]) -> Iterator[Demo]:
    with running_demo(environment) as demo:
        demo.marks.keep("start", demo.counters())
        yield demo


@pytest.fixture(scope="module")
def journey(demo: Demo) -> Journey:
    return Journey(demo)


@pytest.fixture(scope="module")
def seen() -> SimpleNamespace:
    """What a test leaves to those after it: commits."""
    return SimpleNamespace()


def part_pid(demo: Demo, name: str) -> int:
    return int(demo.stack.state()["parts"][name]["pid"])


def kill_and_await(demo: Demo, name: str) -> None:
    """kill -9; the supervisor has a new one within 5 s."""
    first = part_pid(demo, name)
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: part_pid(demo, name) != first and is_alive(part_pid(demo, name)), 5, f"{name} is back", 0.1)


def kill_the_judging_task(demo: Demo, run: RunState) -> int:
    """kill -9 of the process that judges, once; its pid."""

    def judging() -> int:
        tasks = {task.task_id: task for task in demo.api.tasks(PROD, run.run_id)}
        task = tasks["canary.analyze_canary"]
        return task_process(demo, task.instance_id) if task.state == "running" else 0

    pid = int(wait_for(judging, SOAK_SECONDS + 90, "the task judges", 0.05))
    os.kill(pid, signal.SIGKILL)
    return pid


def check_no_request_failed(demo: Demo) -> None:
    counted = sent_and_failed(demo.marks.at("start"), demo.counters())
    assert counted is not None
    assert counted[1] == 0, (demo.counters() or {}).get("failures", [])[:3]


def test_every_listener_is_on_loopback(demo: Demo) -> None:
    found = listeners(set(marked_pids(str(demo.stack.state()["stack"]))))
    assert len(found) > 10
    assert {address for address in found if not address.startswith("127.")} == set()


def test_a_second_start_is_refused_with_one_sentence(demo: Demo, environment: dict[str, str]) -> None:
    second = CommandLine(environment).run("up")
    assert second.returncode == 2
    assert "already running here" in second.stderr
    assert len(second.stderr.strip().splitlines()) == 1


def test_a_commit_on_test_is_tested_in_the_test_environment(journey: Journey, seen: SimpleNamespace) -> None:
    seen.feature = journey.demo.commit("good", 5, "test").sha
    run = journey.run_of(TEST, seen.feature)
    journey.await_success(TEST, run, 300)
    assert journey.passed(TEST, run, "test") >= LEAST_TESTS
    assert journey.live("test") == {"us-east-1": {seen.feature}}
    assert seen.feature not in {commit for commits in journey.live().values() for commit in commits}


def test_what_a_developer_merges_into_release_becomes_a_candidate(journey: Journey, seen: SimpleNamespace) -> None:
    seen.release = journey.developer.merge("test", "release")
    run = journey.run_of(RELEASE, seen.release)
    journey.await_success(RELEASE, run, 300)
    for environment in ("integration", "staging"):
        assert journey.passed(RELEASE, run, environment) >= LEAST_TESTS
        assert journey.live(environment) == {"us-east-1": {seen.release}}
    (made,) = journey.events(Kind.CANDIDATE_MADE)
    assert made.data["commit"] == seen.release


def test_a_weekly_push_that_fails_in_its_last_region_takes_the_others_back(
    journey: Journey, seen: SimpleNamespace
) -> None:
    demo, api, before = journey.demo, journey.api, journey.live()
    seen.push = api.start(PUSH, form(demo.app, "the weekly push") | {"on_failure": "roll_back"})
    run = api.run(PUSH, seen.push)
    with Killer(demo, 1, PUSH, is_hurried=True) as killer:
        order = wait_for(lambda: journey.order(PUSH, run), 400, "the regions have their order", 1.0)
        assert order == WAVES
        last = journey.regions.index(order[-1])
        wait_for(lambda: len(demo.views()[last].weights) == 2, 600, "both groups serve in the last region")
        mark_failed(api, PUSH, seen.push, "push.push_red_black", last)
        assert journey.await_end(PUSH, seen.push, 400) == "failed"
    print(f"{len(killer.killed)} kills: {', '.join(killer.killed)}")
    assert len(killer.killed) >= LEAST_KILLS
    assert {one.partition(":")[0] for one in killer.killed} == set(journey.regions)
    assert journey.went_back(PUSH, seen.push) == list(reversed(WAVES)), "the last first"
    assert journey.live() == before
    (halted,) = journey.events(Kind.DELIVERY_HALTED)
    assert order[-1] in halted.why
    journey.check_nothing_is_left()
    check_no_request_failed(demo)
    assert not journey.developer.has("prod", seen.release), "what is not everywhere is not merged"


def test_the_weekly_push_arrives_when_on_call_clears_it(journey: Journey, seen: SimpleNamespace) -> None:
    demo, api = journey.demo, journey.api
    clear(api, PUSH, seen.push, "push.await_quiet_window", range(len(WAVES)))
    journey.await_success(PUSH, api.run(PUSH, seen.push), 900)
    assert journey.live() == {region: {seen.release} for region in journey.regions}
    journey.check_nothing_is_left()
    check_no_request_failed(demo)
    assert journey.developer.has("prod", seen.release)
    (tag,) = journey.developer.tags_of(seen.release)
    assert tag.startswith("release-")
    merged = journey.events(Kind.BRANCH_MERGED)[-1]
    assert (merged.data["target"], merged.data["source_commit"]) == ("prod", seen.release)


def test_the_merge_starts_no_second_canary(journey: Journey, seen: SimpleNamespace) -> None:
    head = journey.developer.head("prod")

    def words() -> list[str]:
        runs = [run for run in journey.api.runs(PROD) if run.state == "success"]
        found = [journey.api.result(PROD, run.run_id, "build.select_commit", key="word") for run in runs]
        return [word for word in found if word and head[:10] in word]

    (word,) = wait_for(words, 120, "a run of prod says that there is nothing new", 1.0)
    assert "already serves" in word
    launched = {event.run for event in journey.events(Kind.PUSH_STARTED) if event.place.stack == "main"}
    assert launched == {"seed", journey.events(Kind.CANDIDATE_CHOSEN)[-1].run}


def test_a_patch_arrives_though_airflow_is_killed_in_its_soak(journey: Journey, seen: SimpleNamespace) -> None:
    demo, api = journey.demo, journey.api
    journey.await_idle()
    file, old = BATCHES
    seen.tuned = journey.developer.commit(
        "release", file, old, old.replace("50", "40"), "API-201 Ask for fewer at once"
    )
    commit = demo.commit("good", 1)
    seen.patch = commit.sha
    run = journey.run_of(PROD, commit.sha)
    soaks = lambda: journey.task(PROD, run, "canary.analyze_canary").state == "deferred"  # noqa: E731
    wait_for(soaks, 300, "the soak begins")
    demo.marks.keep("soak", demo.counters())
    promised: dict[str, Any] = api.result(PROD, run.run_id, "canary.launch_canary")
    kill_and_await(demo, "triggerer")
    kill_and_await(demo, "scheduler")
    assert kill_the_judging_task(demo, run), "the judging task was never seen at work"
    demo.soak_last = demo.counters()
    followed = demo.follow(commit)
    assert demo.judge("good", commit, followed, {}).problems == ()
    journey.check_nothing_is_left()
    assert api.result(PROD, run.run_id, "canary.launch_canary")["soak_end"] == promised["soak_end"]
    judged = journey.task(PROD, run, "gate_score").started_at
    assert judged is not None
    assert (judged - datetime.fromisoformat(promised["soak_end"])).total_seconds() <= 60
    parts = shares(demo.marks.at("soak"), demo.soak_last, journey.regions[0])
    for role in ("canary", "baseline"):
        assert abs(parts[promised[role]] - 15) < 1, parts
    verdict = demo.verdict(followed)
    assert verdict is not None
    assert verdict["judged"] >= 1000


def test_the_patch_comes_round_to_release_and_is_in_the_next_candidate(journey: Journey, seen: SimpleNamespace) -> None:
    assert journey.developer.has("release", seen.patch)
    assert journey.developer.has("release", seen.tuned)

    def newest() -> bool:
        commit = str(journey.events(Kind.CANDIDATE_MADE)[-1].data["commit"])
        return commit == journey.developer.head("release")

    wait_for(newest, 240, "a candidate has the patch", 1.0)
    assert not journey.developer.has("prod", seen.tuned), "what is on release waits for the weekly push"


def test_a_bad_commit_that_conflicts_is_reported_and_stopped_by_its_canary(
    journey: Journey, seen: SimpleNamespace
) -> None:
    demo, before = journey.demo, journey.live()
    journey.await_idle()
    release = journey.developer.head("release")
    outcome = demo.deliver("heat", 3)
    assert outcome.problems == ()
    assert outcome.run_state == "failed"
    run = journey.run_of(PROD, journey.developer.head("prod"))
    assert journey.task(PROD, run, "build.merge_back").state == "failed"
    file, _ = BATCHES
    assert f"disagree in: {file}." in journey.said(PROD, run, "build.merge_back")
    assert journey.task(PROD, run, "canary.launch_canary").state == "success", "a conflict stops no delivery"
    conflict = journey.events(Kind.MERGE_CONFLICT)[-1]
    assert conflict.data["files"] == [file]
    assert journey.developer.head("release") == release, "nothing was written"
    assert journey.live() == before
    journey.check_nothing_is_left()


def test_nothing_is_left_after_a_kill_of_the_supervisor(demo: Demo) -> None:
    state = demo.stack.state()
    os.kill(int(state["pid"]), signal.SIGKILL)
    wait_for(lambda: not list(marked_pids(str(state["stack"]))), 20, "no process of the stack is left")
