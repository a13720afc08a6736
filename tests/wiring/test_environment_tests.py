"""Tests in an environment: only of what it serves, named when they fail, ended when they do not end."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.apps import load_app
from include.apps.model import Tests
from redstart.operators.build import RunUnitTestsOperator
from redstart.ui import links
from tests.support.delivery_world import DeliveryWorld, make_world
from tests.support.git import git
from tests.support.release_run import VerifyRun


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeliveryWorld:
    return make_world(tmp_path, monkeypatch)


@pytest.fixture
def run(world: DeliveryWorld) -> VerifyRun:
    started = VerifyRun(world)
    started.serve("staging")
    return started


def kept(run: VerifyRun, task: str, ending: str) -> str:
    return (run.world.storage / links.tests_file("api", run.key, task, ending)).read_text()


def with_tests(monkeypatch: pytest.MonkeyPatch, tests: Tests | None) -> None:
    """The same application, with other tests in staging."""
    app = load_app("api")
    site = app.environment("staging").model_copy(update={"tests": tests})
    environments = app.environments.model_copy()
    environments.__pydantic_extra__ = {**(app.environments.__pydantic_extra__ or {}), "staging": site}
    other = app.model_copy(update={"environments": environments})
    for module in ("station", "environment_tests"):
        monkeypatch.setattr(f"redstart.operators.{module}.load_app", lambda name: other)


def test_what_serves_is_tested_at_its_address_and_all_is_kept(run: VerifyRun) -> None:
    result = run.test("staging")
    assert (result["total"], result["failed"], result["commit"]) == (1, 0, run.commit)
    assert result["regions"] == {"us-east-1": run.world.fleet("api-staging", "us-east-1").address()}
    body = json.loads(kept(run, "staging.run_tests", "json"))
    assert body["runs"][0]["results"]["tests"][0]["name"] == "functional/test_environment.py::test_environment"
    assert body["about"]["Commit"] == run.commit
    page = kept(run, "staging.run_tests", "html")
    assert "api in staging" in page and run.delivery.version in page and result["regions"]["us-east-1"] in page
    log = kept(run, "staging.run_tests", "log")
    assert "1 passed in" in log and "staging: 1 test passed" in log


def test_failures_are_named_in_the_error_and_first_in_the_report(world: DeliveryWorld) -> None:
    world.origin.commit("release", {"app.py": "VALUE = 13\n"})
    run = VerifyRun(world)
    run.serve("staging")
    name = "functional/test_environment.py::test_environment"
    words = rf"^us-east-1: 1 of 1 test failed: {name} \(.*it does not work there.*\)\.$"
    with pytest.raises(AirflowFailException, match=words):
        run.test("staging")
    assert "it does not work there" in kept(run, "staging.run_tests", "html")
    assert not json.loads(kept(run, "staging.run_tests", "json"))["passed"]


def test_an_environment_that_serves_something_else_is_not_tested(run: VerifyRun) -> None:
    git(run.world.origin.work, "fetch", "--quiet")
    run.world.origin.commit("test", {"app.py": "VALUE = 5\n"})
    run.serve("staging", run.world.origin.head("test"))
    with pytest.raises(AirflowFailException) as caught:
        run.test("staging")
    assert str(caught.value) == (
        f"us-east-1: staging serves api-staging-v001 (1.0), not this run's {run.delivery.version}. "
        "Clear staging.push and what comes after it."
    )
    with pytest.raises(AirflowFailException, match="integration serves nothing"):
        run.test("integration")


def test_the_same_content_of_another_commit_will_do(run: VerifyRun) -> None:
    twin = run.world.origin.commit("test", {"x": ""}) and git(
        run.world.origin.work, "commit-tree", run.delivery.tree, "-m", "the same", "-p", run.commit
    )
    git(run.world.origin.work, "push", "--quiet", "--force", "origin", f"{twin}:test")
    run.serve("staging", twin)
    assert run.test("staging")["total"] == 1


def test_what_changed_while_the_tests_ran_makes_them_worthless(run: VerifyRun, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = run.world.fleet("api-staging", "us-east-1")
    address = fleet.address

    def swapped() -> str:
        fleet.read_hook = lambda: setattr(fleet, "read_hook", lambda: run.serve("staging", "0" * 40))
        return address()

    monkeypatch.setattr(fleet, "address", swapped)
    with pytest.raises(AirflowFailException, match="That came while the tests ran, so they say nothing: clear this"):
        run.test("staging")


def test_a_task_that_hangs_is_ended_some_time_after_its_command_would_have_been() -> None:
    from redstart.operators.build import BuildArtifactOperator
    from redstart.operators.environment_tests import RunEnvironmentTestsOperator

    app = load_app("api")
    tests = RunEnvironmentTestsOperator(task_id="a", app="api", environment="staging")
    site = app.environment("staging")
    assert site.tests is not None
    found = {
        BuildArtifactOperator(task_id="b", app="api"): app.build.build_timeout_seconds,
        RunUnitTestsOperator(task_id="c", app="api"): app.build.test_timeout_seconds,
        tests: site.tests.timeout_seconds * len(site.regions),
    }
    for task, seconds in found.items():
        assert task.execution_timeout is not None
        assert task.execution_timeout.total_seconds() == seconds + 300


def test_tests_that_never_end_are_ended_with_one_sentence(run: VerifyRun, monkeypatch: pytest.MonkeyPatch) -> None:
    with_tests(monkeypatch, Tests(command=("sh", "-c", "echo at {address}; sleep 600", "{junit}"), timeout_seconds=1))
    began = time.monotonic()
    with pytest.raises(AirflowFailException) as caught:
        run.test("staging")
    assert time.monotonic() - began < 10
    said = str(caught.value)
    assert "was ended after 1 s, its time limit. Its last line: at http://" in said and "\n" not in said
    assert "was ended after 1 s" in kept(run, "staging.run_tests", "html")


def test_a_retry_runs_them_again(run: VerifyRun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    once = f"test -e {tmp_path}/again || {{ touch {tmp_path}/again; exit 1; }}; echo {{address}}"
    with_tests(monkeypatch, Tests(command=("sh", "-c", once), timeout_seconds=20))
    with pytest.raises(AirflowFailException, match="status 1"):
        run.test("staging")
    assert run.test("staging")["failed"] == 0
    assert kept(run, "staging.run_tests", "log").count("testing ") == 2, "what the first told stays above"


def test_no_tests_are_said_and_pass(run: VerifyRun, monkeypatch: pytest.MonkeyPatch) -> None:
    with_tests(monkeypatch, None)
    assert run.test("staging")["total"] == 0
    assert "no tests are configured for staging" in kept(run, "staging.run_tests", "log")


def test_unit_tests_are_named_and_kept_too(world: DeliveryWorld) -> None:
    run = VerifyRun(world)
    assert run.do("build.run_unit_tests", RunUnitTestsOperator)["total"] == 1
    world.origin.commit("release", {"app.py": "VALUE = -1\n"})
    run = VerifyRun(world)
    with pytest.raises(AirflowFailException) as caught:
        run.do("build.run_unit_tests", RunUnitTestsOperator)
    assert str(caught.value) == "1 of 1 test failed: tests/test_app.py::test_value (assert -1 > 0)."
    assert "Unit tests of api" in kept(run, "build.run_unit_tests", "html")


def test_links_lead_to_what_is_kept(run: VerifyRun, pages: Any, login: Any) -> None:
    from types import SimpleNamespace

    from redstart.operators.environment_tests import RunEnvironmentTestsOperator

    run.test("staging")
    task = RunEnvironmentTestsOperator(task_id="run_tests", app="api", environment="staging")
    key: Any = SimpleNamespace(dag_id=run.dag_id, run_id=run.run_id, task_id="staging.run_tests")
    for link in task.operator_extra_links:
        answer = pages.get(link.get_link(task, ti_key=key), headers=login("viewer"))
        assert answer.status_code == 200, link.name
