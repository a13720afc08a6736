"""JUnit XML of four runners, and of nobody who means well: what is named, and what is never a pass."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from include.errors import RefusedError
from include.reports.junit import MOST_BYTES, parse_junit
from include.reports.results import TestCase, TestResults, why_not_passed
from tests.unit.reports.verdicts import HOSTILE

PYTEST = b"""<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite name="pytest" errors="1"
failures="1" skipped="1" tests="4" time="0.045" hostname="h"><testcase classname="tests.test_x.TestPages"
name="test_a[1-two]" time="0.002"><failure message="AssertionError: assert 1 == 2&#10;  +  where 1 = f()">def test_a():
&gt;  assert 1 == 2</failure><system-out>said before</system-out></testcase>
<testcase classname="tests.test_x" name="test_b" time="0.001">
<error message="failed on setup with &quot;KeyError: 'x'&quot;">E KeyError</error></testcase>
<testcase classname="tests.test_x" name="test_c" time="0.000"><skipped type="pytest.skip" message="not here">x.py:3: not
here</skipped></testcase><testcase classname="tests.test_x" name="test_d" time="0.040" /></testsuite></testsuites>"""
SUREFIRE = b"""<?xml version="1.0" encoding="UTF-8"?>
<testsuite xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="https://x/y.xsd"
 version="3.0" name="com.example.FooTest" time="1,234.5" tests="2" errors="0" skipped="0" failures="1">
  <properties><property name="java.version" value="21"/></properties>
  <testcase name="adds" classname="com.example.FooTest" time="0.1"/>
  <testcase name="divides" classname="com.example.FooTest" time="1,234.4">
    <failure message="expected: &lt;2&gt; but was: &lt;1&gt;" type="org.opentest4j.AssertionFailedError">
    <![CDATA[trace]]></failure>
    <rerunFailure message="again" type="x"/><system-out><![CDATA[out]]></system-out></testcase>
  <testcase name="wobbles" classname="com.example.FooTest"><flakyFailure message="once" type="x"/></testcase>
</testsuite>"""
GO = b"""<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="3" failures="1" errors="0" time="2.5">
\t<testsuite tests="3" failures="1" time="2.500000" name="example.org/cd/judge" timestamp="2026-11-05T00:00:00Z">
\t\t<properties><property name="go.version" value="go1.25"></property></properties>
\t\t<testcase classname="example.org/cd/judge" name="TestRank/ties" time="0.010000">
\t\t\t<failure message="Failed" type="">    rank_test.go:14: 3 != 4&#xA;</failure></testcase>
\t\t<testcase classname="example.org/cd/judge" name="TestRank" time="0.020000"></testcase>
\t\t<testcase classname="example.org/cd/judge" name="TestSlow" time="0"><skipped message="-short"></skipped></testcase>
\t</testsuite>
</testsuites>"""
JEST = b"""<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="jest tests" tests="2" failures="1" errors="0" time="1.2">
  <testsuite name="Login" errors="0" failures="1" skipped="0" tests="2" time="0.9">
    <testcase classname="Login greets" name="Login greets" time="0.01"></testcase>
    <testcase classname="Login refuses" name="Login refuses" time="0.02">
      <failure>Error: expect(received).toBe(expected)
    at x.js:3</failure></testcase>
  </testsuite></testsuites>"""


def named(document: bytes) -> list[str]:
    return [case.name for case in parse_junit(document).cases]


def test_pytest_names_are_what_pytest_would_be_asked_for() -> None:
    found = parse_junit(PYTEST)
    assert (found.total, found.failed, found.skipped, found.passed) == (4, 2, 1, 1)
    assert found.seconds == pytest.approx(0.043)
    assert found.failures[0].name == "tests/test_x.py::TestPages::test_a[1-two]"
    assert found.failures[0].output == "said before"
    assert found.words() == (
        "2 of 4 tests failed: tests/test_x.py::TestPages::test_a[1-two] (AssertionError: assert 1 == 2), "
        "tests/test_x.py::test_b (failed on setup with \"KeyError: 'x'\")"
    )


def test_surefire_reruns_are_tries_of_one_test() -> None:
    found = parse_junit(SUREFIRE)
    assert [(case.name, case.outcome) for case in found.cases] == [
        ("com.example.FooTest.adds", "passed"),
        ("com.example.FooTest.divides", "failed"),
        ("com.example.FooTest.wobbles", "passed"),
    ]
    assert found.failures[0].message == "expected: <2> but was: <1>"
    assert found.seconds == pytest.approx(1234.5)


def test_go_subtests_and_jest_titles_keep_their_names() -> None:
    assert named(GO)[0] == "example.org/cd/judge.TestRank/ties"
    assert named(JEST) == ["Login greets", "Login refuses"]
    assert parse_junit(JEST).failures[0].message == "Error: expect(received).toBe(expected)"
    assert "rank_test.go:14" in parse_junit(GO).failures[0].details


def test_what_pytest_itself_writes_is_read(tmp_path: Path) -> None:
    tmp_path.joinpath("test_one.py").write_text(
        "import pytest\ndef test_good(): pass\ndef test_bad(): assert {'a': 1} == {'a': 2}\n"
        "class TestIn:\n    @pytest.mark.xfail\n    def test_known(self): assert 0\n"
        "@pytest.fixture\ndef broken(): raise OSError('no disk')\ndef test_fixture(broken): pass\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junit-xml", "out.xml"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    found = parse_junit((tmp_path / "out.xml").read_bytes())
    assert {case.name: case.outcome for case in found.cases} == {
        "test_one.py::test_good": "passed",
        "test_one.py::test_bad": "failed",
        "test_one.py::TestIn::test_known": "skipped",
        "test_one.py::test_fixture": "failed",
    }
    assert "AssertionError: assert {'a': 1} == {'a': 2}" in found.words()


def test_several_files_are_one_result() -> None:
    assert (parse_junit(PYTEST, SUREFIRE).total, parse_junit(PYTEST, SUREFIRE).failed) == (7, 3)


def test_failures_that_a_suite_counts_without_a_test_are_failures() -> None:
    broken = b'<testsuite name="s" errors="1" tests="0"><system-err>boom</system-err></testsuite>'
    found = parse_junit(b'<testsuites errors="1">' + broken + b"</testsuites>")
    assert (found.failed, found.total, found.cases) == (1, 1, ())
    assert found.words() == "1 of 1 test failed: 1 that the results do not name"
    inner = b'<testsuite failures="2"><testcase name="a"><failure/></testcase></testsuite>'
    assert parse_junit(b'<testsuite failures="2">' + inner + b"</testsuite>").failed == 2, (
        "an outer suite repeats what the inner one counts"
    )


@pytest.mark.parametrize(
    ("document", "missing"),
    [
        (b'<testsuite tests="5"><testcase name="a"/></testsuite>', 4),
        (b'<testsuite tests="5" skipped="3"><testcase name="a"/></testsuite>', 1),
        (b'<testsuite tests="2"><testcase name="a"/><testcase name="b"><skipped/></testcase></testsuite>', 0),
        (b'<testsuites tests="5"><testsuite tests="2"><testcase name="a"/></testsuite></testsuites>', 4),
        (b'<testsuites><testsuite tests="2"><testcase name="a"/></testsuite><testsuite tests="1"/></testsuites>', 2),
        (b'<testsuite tests="2"><testcase name="a"><flakyFailure/></testcase></testsuite>', 0),
        (b'<testsuite tests="1"><testcase name="a"/><testcase name="b"/></testsuite>', 0),
        (b'<testsuite tests="x"><testcase name="a"/></testsuite>', 0),
    ],
)
def test_tests_that_are_declared_and_not_shown_have_not_passed(document: bytes, missing: int) -> None:
    found = parse_junit(document)
    assert found.missing == found.to_json()["missing"] == missing
    problem = why_not_passed(found, 0)
    assert (problem is None) == (missing == 0)
    if missing:
        assert f"name {found.total} of the {found.total + missing} tests that they declare" in str(problem)


def test_pytest_declares_its_subtests_and_shows_them_as_one(tmp_path: Path) -> None:
    tmp_path.joinpath("test_one.py").write_text(
        "import unittest\nclass TestIn(unittest.TestCase):\n    def test_all(self):\n"
        "        for i in range(3):\n            with self.subTest(i=i): pass\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junit-xml", "out.xml"]
    subprocess.run([*command, "-o", "junit_suite_name=mine"], cwd=tmp_path, capture_output=True, check=True)
    document = (tmp_path / "out.xml").read_bytes()
    assert b'tests="4"' in document and b'name="mine"' in document
    assert why_not_passed(parse_junit(document), 0) is None


@pytest.mark.parametrize("words", ['status="notrun"', 'status="notrun" result="suppressed"', 'status="disabled"'])
def test_what_the_runner_says_it_did_not_run_is_skipped(words: str) -> None:
    shown = f'<testsuite><testcase name="a" {words}/><testcase name="b" status="run" result="completed"/></testsuite>'
    assert [case.outcome for case in parse_junit(shown.encode()).cases] == ["skipped", "passed"]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (PYTEST[:600], "not whole XML"),
        (b"", "not whole XML"),
        (b"\x00\xff\xfe garbage", "not whole XML"),
        (b"<testsuite><testcase name='a'></testsuite>", "mismatched tag"),
        (b"<testsuites/><testsuites/>", "junk after document element"),
        (b"<?xml version='1.0' encoding='made-up'?><testsuites/>", "unknown encoding"),
        (b"<html><body>502</body></html>", "they begin with <html>"),
        (b"<testcase name='a'/>", "they begin with <testcase>"),
        (b"<testsuite>&lol;</testsuite>", "undefined entity"),
    ],
)
def test_what_is_no_whole_junit_xml_is_refused_in_a_sentence(document: bytes, words: str) -> None:
    with pytest.raises(RefusedError, match=words) as caught:
        parse_junit(document)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("document", [PYTEST, SUREFIRE, GO, JEST])
def test_every_cut_and_many_a_damaged_byte_is_refused_or_read_but_nothing_else(document: bytes) -> None:
    chance = Random(5)
    whole = parse_junit(document)
    for end in range(0, len(document.rstrip()), 3):
        with pytest.raises(RefusedError):
            parse_junit(document[:end])
    for _ in range(300):
        damaged = bytearray(document)
        damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        with suppress(RefusedError):
            assert parse_junit(bytes(damaged)).total <= whole.total + 10


@pytest.mark.parametrize(
    "doctype",
    [
        b'<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>',
        b'<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd">',
        b'<!DOCTYPE x [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]>',
    ],
)
def test_no_entity_is_ever_defined(doctype: bytes) -> None:
    with pytest.raises(RefusedError, match="document type"):
        parse_junit(doctype + b'<testsuite><testcase name="&a;&f;"/></testsuite>')


def test_too_much_is_not_read() -> None:
    with pytest.raises(RefusedError, match="over 32 MB"):
        parse_junit(b" " * MOST_BYTES, b"<testsuites/>")


def test_long_texts_are_clipped_and_odd_numbers_are_nothing() -> None:
    document = (
        b'<testsuite failures="-1" errors="1e3"><testcase name="a" time="nan"><failure message="'
        + b"m" * 5000
        + b'">'
        + b"d" * 50_000
        + b'</failure></testcase><testcase name="b" time="-3"/><testcase time="x"/></testsuite>'
    )
    found = parse_junit(document)
    assert (found.failed, found.seconds) == (1, 0.0)
    assert len(found.failures[0].message) == 200
    assert len(found.failures[0].details) < 6_100
    assert found.cases[2].name == "a test without a name"


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_in_their_line(name: str) -> None:
    from xml.sax.saxutils import quoteattr

    quoted = quoteattr(name, {"\t": "&#9;"})
    document = f"<testsuite><testcase name={quoted}><failure message={quoted}/></testcase></testsuite>".encode()
    words = parse_junit(document).words()
    assert words.isprintable()
    assert words.startswith("1 of 1 test failed: ")


def results(passed: int = 0, failed: int = 0, skipped: int = 0) -> TestResults:
    rows = [("passed", passed), ("failed", failed), ("skipped", skipped)]
    return TestResults(tuple(TestCase(f"{word}_{n}", word) for word, number in rows for n in range(number)))  # type: ignore[arg-type]


def test_the_first_ten_failures_are_named() -> None:
    assert results(3, 12).words().endswith("failed_8, failed_9, and 2 more")
    assert results(0, 10).words().endswith("failed_9")
    assert results(120, 0, 3).words() == "120 tests passed (3 skipped)"
    assert results(1).words() == "1 test passed"


@pytest.mark.parametrize(
    ("found", "status", "words"),
    [
        (results(5), 0, None),
        (results(5, 0, 2), 0, None),
        (results(), 0, "nothing was tested"),
        (results(), 5, "status 5, and its results have no test"),
        (results(0, 0, 4), 0, "All of 4 tests were skipped: nothing was tested."),
        (results(5), 2, "ended with status 2, although no test failed"),
        (results(5, 1), 1, "1 of 6 tests failed: failed_0."),
        (results(5, 1), 0, "although the command ended with status 0"),
    ],
)
def test_passed_is_what_ran_and_what_the_command_says_too(found: TestResults, status: int, words: str | None) -> None:
    said = why_not_passed(found, status)
    assert said is None if words is None else said is not None and words in said


def test_json_has_every_test_and_no_empty_fields() -> None:
    body = parse_junit(PYTEST).to_json()
    assert (body["schema"], body["total"], body["failed"]) == (1, 4, 2)
    assert body["tests"][3] == {"name": "tests/test_x.py::test_d", "outcome": "passed", "seconds": 0.04}
