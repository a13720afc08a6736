"""The sample application's own build and tests, run as a delivery runs them: as processes, in a clean place."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from include.apps import load_app
from include.reports.junit import parse_junit
from include.reports.results import TestResults
from tests.support.processes import answers, wait_until
from tests.support.sample_application import copy_source, run_python
from tests.support.stack import free_port


def build(folder: Path, name: str, **environment: str) -> bytes:
    done = run_python(folder, "build.py", "--out", name, **environment)
    assert done.returncode == 0, done.stderr
    return (folder / name).read_bytes()


def test_the_same_files_and_version_give_the_same_archive(tmp_path: Path) -> None:
    first, second = copy_source(tmp_path / "1"), copy_source(tmp_path / "2")
    (second / "build.py").touch()
    version = {"BUILD_VERSION": "20260101.1", "BUILD_COMMIT": "c0ffee"}
    assert build(first, "a.tar.gz", **version) == build(second, "b.tar.gz", **version)
    assert build(first, "c.tar.gz", BUILD_VERSION="2") != build(first, "d.tar.gz", BUILD_VERSION="3")


def test_what_cannot_be_compiled_is_not_packed(tmp_path: Path) -> None:
    folder = copy_source(tmp_path / "1")
    (folder / "opt/app/api/pages.py").write_text("def")
    done = run_python(folder, "build.py", "--out", "a.tar.gz")
    assert done.returncode != 0 and "pages.py" in done.stderr
    assert not (folder / "a.tar.gz").exists()


def test_its_own_unit_tests_pass(tmp_path: Path) -> None:
    done = run_python(copy_source(tmp_path / "1"), "-m", "unittest")
    assert done.returncode == 0, done.stderr


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """The application of the work tree, alone; its address."""
    port = free_port()
    env = {"PATH": os.environ["PATH"], "API_ADDRESS": "127.0.0.1", "API_PORT": str(port)}
    with (folder / "console.log").open("wb") as console:
        process = subprocess.Popen([sys.executable, "opt/app"], cwd=folder, env=env, stdout=console, stderr=console)
    try:
        wait_until(lambda: answers("127.0.0.1", port) == 404, what="the application answers")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def run_functional(folder: Path, address: str) -> TestResults:
    """By the command of the settings."""
    tests = load_app("api").environment("staging").tests
    assert tests is not None
    words = [word.format(address=address, junit=folder / "junit.xml") for word in tests.command]
    began = time.monotonic()
    run_python(folder, *words[1:])
    assert time.monotonic() - began < 5
    return parse_junit((folder / "junit.xml").read_bytes())


@pytest.mark.parametrize("variant", ["", "slow", "errors", "leak", "heat"])
def test_its_functional_tests_pass_what_only_traffic_shows(tmp_path: Path, variant: str) -> None:
    folder = copy_source(tmp_path / "1", variant)
    with running(folder) as address:
        found = run_functional(folder, address)
    assert (found.failed, found.skipped) == (0, 0), found.words()
    assert found.total >= 15


def test_a_broken_contract_passes_the_unit_tests_and_fails_the_functional_ones(tmp_path: Path) -> None:
    folder = copy_source(tmp_path / "1", "contract")
    unit = run_python(folder, "-m", "pytest", "-q", "tests")
    assert unit.returncode == 0, unit.stdout
    with running(folder) as address:
        found = run_functional(folder, address)
    assert {case.name.partition("[")[0] for case in found.failures} == {
        "functional/test_pages.py::test_the_head_of_a_title_says_what_players_and_apps_show"
    }
    assert "the head of /titles/42/play lacks genre" in found.words()


def test_unit_tests_alone_do_not_ask_for_an_address(tmp_path: Path) -> None:
    folder = copy_source(tmp_path / "1")
    done = run_python(folder, "-m", "pytest", "-q", "tests", "--junit-xml", "junit.xml")
    assert done.returncode == 0, done.stdout
    found = parse_junit((folder / "junit.xml").read_bytes())
    assert found.skipped == 0 and not [case for case in found.cases if "functional" in case.name]
