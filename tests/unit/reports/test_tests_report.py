"""The page of a run of tests: failures first, everything a reader needs, and nothing that was made up elsewhere."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from include.reports.results import TestCase, TestResults
from include.reports.tests import MOST_SHOWN, TestRun, render_tests, runs_json
from tests.unit.reports.verdicts import HOSTILE

FACTS = {"Environment": "staging", "Commit": "1a2b3c4", "Image": ""}
BAD = TestCase("test_b", "failed", 1.5, "AssertionError: 1 != 2", "def test_b(): ...", "printed")
MIXED = TestResults((TestCase("test_a", "passed", 0.01), BAD, TestCase("test_c", "skipped", message="not here")))


class Page(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def run(results: TestResults | None = MIXED, problem: str = "1 of 3 tests failed: test_b.") -> TestRun:
    return TestRun("us-east-1", "http://127.0.0.1:8080", 3.2, results, problem)


def test_failures_come_first_with_why_and_what_they_printed() -> None:
    page = render_tests("api in staging", FACTS, [run()])
    text = Page(page).text
    assert text.index("test_b") < text.index("test_c") < text.index("test_a")
    for words in ("Failed api in staging", "1 of 3 tests failed", "http://127.0.0.1:8080", "AssertionError: 1 != 2"):
        assert words in text
    for words in ("def test_b(): ...", "printed", "not here", "Environment staging", "1.5 s", "10 ms"):
        assert words in text
    assert "Image" not in text, "what is not known is left out"


def test_passed_is_told_with_every_test() -> None:
    page = render_tests("Unit tests", {}, [run(TestResults(MIXED.cases[::2]), "")])
    assert "Passed Unit tests 1 test, 1 skipped" in Page(page).text


def test_a_place_without_results_says_why() -> None:
    text = Page(render_tests("api", {}, [run(), TestRun("eu-west-1", "", 600, None, "It was ended after 600 s.")])).text
    assert "1 of 3 tests failed; no results of eu-west-1" in text
    assert "It was ended after 600 s." in text
    assert "10 min" in text


def test_very_many_tests_are_a_page_that_can_still_be_opened() -> None:
    many = TestResults(tuple(TestCase(f"test_{n}", "passed") for n in range(50_000)))
    page = render_tests("api", {}, [run(many, "")])
    assert f"and {50_000 - MOST_SHOWN} more" in Page(page).text
    assert len(page) < 1_000_000


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_data(name: str) -> None:
    def page_full_of(words: str) -> str:
        case = TestCase(words, "failed", 1.0, words, f"{words}.", words)
        found = TestResults((case, TestCase(words, "skipped", message=words)))
        return render_tests(words, {words: words}, [TestRun(words, words, 1.0, found, words), run(None, words)])

    hostile, tame = Page(page_full_of(name)), Page(page_full_of("tame"))
    assert hostile.tags == tame.tags
    assert " ".join(name.split()) in hostile.text
    assert "49" not in hostile.text


def test_the_page_needs_nothing_from_outside() -> None:
    page = render_tests("api", FACTS, [run()])
    assert not re.search(r"""<[^>]*\s(?:src|href)\s*=|@import|url\(""", page)
    assert "default-src 'none'" in page


def test_json_says_the_same() -> None:
    body = json.loads(json.dumps(runs_json(FACTS, [run(), run(None, "why")])))
    assert (body["schema"], body["passed"], body["about"]["Commit"]) == (1, False, "1a2b3c4")
    assert body["runs"][0]["results"]["failed"] == 1
    assert body["runs"][1] == {
        "where": "us-east-1",
        "address": "http://127.0.0.1:8080",
        "seconds": 3.2,
        "passed": False,
        "problem": "why",
        "results": None,
    }
