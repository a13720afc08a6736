"""The application's own tests on a real commit: what they found is told, and what they did not say is no pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.adapters.git_repository import GitRepository
from redstart.hooks.build import BuildHook, Check
from tests.support.git import make_origin

GOOD = '<testsuite name="s"><testcase name="a"/><testcase name="b"/></testsuite>'
BAD = '<testsuite name="s"><testcase name="a"/><testcase name="b"><failure message="1 != 2"/></testcase></testsuite>'
TESTS = {
    "good.xml": GOOD,
    "bad.xml": BAD,
    "test_two.py": "def test_a(): pass\ndef test_b(): assert 1 == 2, 'not yet'\n",
    "told.py": "import os; print({k: v for k, v in os.environ.items() if k.startswith(('REDSTART_', 'BUILD_'))})",
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> GitRepository:
    root = tmp_path_factory.mktemp("git")
    origin = make_origin(root, TESTS)
    found = GitRepository(origin.url, root / "mirror.git")
    found.fetch()
    return found


class Tests:
    """`check` a shell command on the newest commit; its log is in `said`."""

    __test__ = False

    def __init__(self, repository: GitRepository) -> None:
        self.repository, self.said = repository, ""

    def check(self, command: str, *, seconds: float = 20, address: str = "") -> Check:
        def keep(log: bytes) -> None:
            self.said = log.decode()

        commit = self.repository.head("prod")
        told = {"REDSTART_ENVIRONMENT": "staging"}
        words = ["sh", "-c", command, "x", "{junit}", "{address}"] if "$1" in command else ["sh", "-c", command]
        return BuildHook(self.repository).check(
            commit, words, timeout_seconds=seconds, keep=keep, address=address, environment=told
        )


@pytest.fixture
def tests(repository: GitRepository) -> Tests:
    return Tests(repository)


def test_failures_are_named_as_pytest_names_them(tests: Tests) -> None:
    found = tests.check('python3 -m pytest -q -p no:cacheprovider --junit-xml "$1"')
    assert found.problem == "1 of 2 tests failed: test_two.py::test_b (AssertionError: not yet)."
    assert "1 failed, 1 passed" in tests.said


def test_passed_is_what_was_seen_to_pass(tests: Tests) -> None:
    found = tests.check('cp good.xml "$1"')
    assert (found.problem, found.results and found.results.total) == ("", 2)


def test_a_folder_of_results_is_one_result(tests: Tests) -> None:
    found = tests.check(
        'mkdir -p "$1/deep"; cp good.xml "$1/TEST-a.xml"; cp bad.xml "$1/deep/TEST-b.xml"; echo > "$1/x"'
    )
    assert found.problem == "1 of 4 tests failed: b (1 != 2), although the command ended with status 0."


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ('true "$1"', "wrote no results to {junit}: without results nothing has passed"),
        ('echo oops; exit 3 "$1"', "ended with status 3. Its last line: oops"),
        ('mkdir "$1"', "wrote no results"),
        ('head -c 30 good.xml > "$1"', "not whole XML"),
        ('echo "<testsuites/>" > "$1"', "no test in them: nothing was tested"),
        ('cp good.xml "$1"; exit 4', "ended with status 4, although no test failed: 2 tests passed"),
        ('cp bad.xml "$1"', "although the command ended with status 0"),
        ('ln -s /etc/hostname "$1"', "wrote no results"),
        ('mkfifo "$1"', "wrote no results"),
        ('truncate -s 40M "$1"', "over 32 MB"),
        ('chmod 0 . ; mkdir "$1"', "wrote no results"),
    ],
)
def test_no_evidence_is_never_a_pass(tests: Tests, command: str, words: str) -> None:
    found = tests.check(command)
    assert words in found.problem
    assert "\n" not in found.problem


def test_one_that_never_ends_is_ended_and_says_its_last_word(tests: Tests) -> None:
    found = tests.check('cp good.xml "$1"; echo waiting for the moon; sleep 600', seconds=1)
    assert found.results is None, "what was written by then is not all"
    assert "was ended after 1 s, its time limit. Its last line: waiting for the moon" in found.problem
    assert found.seconds < 5


@pytest.mark.parametrize("swap", ["mkfifo log", "ln -s /dev/zero log", "ln -s /etc/passwd log", "mkdir log", "true"])
def test_log_is_what_was_printed_whatever_is_put_beside_the_source(tests: Tests, swap: str) -> None:
    assert tests.check(f"echo mine; cd ..; rm -f log; {swap}").problem == ""
    assert tests.said == "mine\n"
    assert "its last word" in tests.check(f"cd ..; rm -f log; {swap}; echo its last word; exit 1").problem


def test_without_results_the_command_decides(tests: Tests) -> None:
    assert tests.check("true") == Check(pytest.approx(0, abs=5), None, "")
    assert "status 1" in tests.check("false").problem


def test_command_is_told_where_and_what(tests: Tests) -> None:
    tests.check('python3 told.py; echo "$1 $2"', address="http://127.0.0.1:8080")
    assert "'REDSTART_ENVIRONMENT': 'staging'" in tests.said
    assert "'BUILD_COMMIT'" in tests.said
    assert "junit.xml http://127.0.0.1:8080" in tests.said


def test_nothing_of_it_stays(tests: Tests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    tests.check('cp good.xml "$1"; mkdir kept; touch kept/x')
    assert list(tmp_path.iterdir()) == []
