"""JUnit XML as pytest, Maven Surefire, Go's and JavaScript's runners write it, read without trusting it.

A document type is refused: no entity is ever defined, so none can be fetched or blown up.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from xml.parsers import expat

from include.errors import RefusedError
from include.reports.results import MESSAGE_LENGTH, Outcome, TestCase, TestResults

MOST_BYTES = 32 * 1024 * 1024
MOST_CASES = 100_000
DETAILS_LENGTH = 6_000
OUTPUT_LENGTH = 3_000
NAME_LENGTH = 400
SUITES = {"testsuites", "testsuite"}
PYTEST = {"pytest", "pytest tests"}  # its suite, unless that is given a name, and what is around it
# Surefire's flakyFailure and rerunFailure are tries of a test that says itself how it ended.
TRIES = {"flakyFailure", "flakyError", "rerunFailure", "rerunError"}
NOT_RUN = {"notrun", "disabled", "suppressed", "skipped"}  # GoogleTest's `status` and `result`
ENDS: dict[str, Outcome] = {"failure": "failed", "error": "failed", "skipped": "skipped"}
OUTPUTS = {"system-out", "system-err"}


def parse_junit(*documents: bytes) -> TestResults:
    """The tests of one file, or of several (Surefire writes one for each class).

    RefusedError, in a sentence, for what is no JUnit XML, is cut off, too large or has a document type.
    """
    if sum(map(len, documents)) > MOST_BYTES:
        raise RefusedError(f"The test results are over {MOST_BYTES // 2**20} MB: too much to read.")
    cases: list[TestCase] = []
    unnamed = missing = 0
    for document in documents:
        reader = _Reader(cases)
        reader.read(document)
        unnamed, missing = unnamed + reader.unnamed, missing + reader.missing
    return TestResults(tuple(cases), unnamed, missing)


@dataclass
class _Suite:
    """`declared` failures by its own attributes, `shown` by its tests; `unnamed`: those of its inner suites.

    The same of tests: `tests` and `idle` (not run) by its attributes, `ran` and `skipped` by what it shows, and
    `missing` within.
    """

    name: str
    declared: int
    tests: int = 0
    idle: int = 0
    shown: int = 0
    unnamed: int = 0
    ran: int = 0
    skipped: int = 0
    missing: int = 0

    def add(self, inner: _Suite) -> None:
        self.shown += inner.shown
        self.unnamed += inner.all_unnamed
        self.ran += inner.ran
        self.skipped += inner.skipped
        self.missing += inner.all_missing

    @property
    def all_unnamed(self) -> int:
        return max(self.declared - self.shown, self.unnamed)

    @property
    def all_missing(self) -> int:
        return max(self.tests - max(self.idle, self.skipped) - self.ran, self.missing)


@dataclass
class _Case:
    name: str
    seconds: float
    outcome: Outcome = "passed"
    message: str = ""
    details: list[str] = field(default_factory=list)
    output: list[str] = field(default_factory=list)


class _Reader:
    """Reads one document into `cases`."""

    def __init__(self, cases: list[TestCase]) -> None:
        self.cases, self.unnamed, self.missing = cases, 0, 0
        self._path: list[str] = []
        self._suites: list[_Suite] = []
        self._case: _Case | None = None
        self._text: list[str] | None = None
        self._room = 0

    def read(self, document: bytes) -> None:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._hear
        try:
            parser.Parse(document, True)
        except expat.ExpatError as error:
            said = expat.ErrorString(error.code)
            raise RefusedError(
                f"The test results are not whole XML (line {error.lineno}: {said}): "
                "the command was cut off while it wrote them, or something else wrote into its file."
            ) from error
        except (LookupError, ValueError) as error:  # an encoding that this parser does not have
            raise RefusedError(f"The test results cannot be read: {error}; UTF-8 can.") from error

    def _refuse_doctype(self, *_: Any) -> None:
        raise RefusedError("The test results have a document type (<!DOCTYPE>), which is not read: leave it out.")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        tag = tag.rpartition(":")[2]
        if not self._path and tag not in SUITES:
            raise RefusedError(f"The test results are not JUnit XML: they begin with <{tag[:40]}>.")
        parent = self._path[-1] if self._path else ""
        self._path.append(tag)
        if tag in SUITES:
            self._begin_suite(attributes)
        elif tag == "testcase" and parent in SUITES:
            self._begin_case(attributes)
        elif self._case is not None and parent == "testcase":
            self._begin_part(self._case, tag, attributes)

    def _begin_suite(self, attributes: dict[str, str]) -> None:
        def sum_of(*names: str) -> int:
            return sum(_whole(attributes.get(name)) for name in names)

        suite = _Suite(attributes.get("name", ""), sum_of("failures", "errors"))
        # pytest counts each subtest, and shows the test that they are in.
        if not any(one.name in PYTEST for one in [*self._suites, suite]):
            suite.tests, suite.idle = sum_of("tests"), sum_of("skipped", "disabled")
        self._suites.append(suite)

    def _begin_case(self, attributes: dict[str, str]) -> None:
        if len(self.cases) >= MOST_CASES:
            raise RefusedError(f"The test results name over {MOST_CASES} tests: too many to read.")
        self._case = _Case(_name_of(attributes, self._suites[-1].name), _seconds(attributes.get("time")))
        if NOT_RUN & {attributes.get("status"), attributes.get("result")}:
            self._case.outcome = "skipped"

    def _begin_part(self, case: _Case, tag: str, attributes: dict[str, str]) -> None:
        if tag in OUTPUTS:
            self._text, self._room = case.output, OUTPUT_LENGTH
            return
        if tag in TRIES:
            self._suites[-1].ran += 1  # some count each try
        if tag not in ENDS:
            return
        if case.outcome != "failed":  # the first failure says why; an error in the clean-up after it says less
            case.outcome = ENDS[tag]
            case.message = _first_line(attributes.get("message", "")) or ""
            if not case.message and attributes.get("type"):
                case.details.append(f"{attributes['type'][:MESSAGE_LENGTH]}: ")
        self._text, self._room = case.details, DETAILS_LENGTH

    def _hear(self, text: str) -> None:
        if self._text is not None and self._room > 0:
            self._text.append(text[: self._room])
            self._room -= len(text)
            if self._room <= 0:
                self._text.append("…")

    def _end(self, tag: str) -> None:
        tag = self._path.pop()
        if tag == "testcase" and self._case is not None and self._path and self._path[-1] in SUITES:
            self._end_case(self._case)
        elif self._path and self._path[-1] == "testcase":
            self._text = None
        elif tag in SUITES:
            self._end_suite(self._suites.pop())

    def _end_case(self, case: _Case) -> None:
        details = "".join(case.details).strip()
        message = case.message or (_first_line(details) if case.outcome != "passed" else "")
        output = "".join(case.output).strip()
        self.cases.append(TestCase(case.name, case.outcome, case.seconds, message, details, output))
        suite = self._suites[-1]
        suite.shown += case.outcome == "failed"
        suite.skipped += case.outcome == "skipped"
        suite.ran += case.outcome != "skipped"
        self._case = self._text = None

    def _end_suite(self, suite: _Suite) -> None:
        if self._suites:
            self._suites[-1].add(suite)
        else:
            self.unnamed, self.missing = suite.all_unnamed, suite.all_missing


def _name_of(attributes: dict[str, str], suite: str) -> str:
    """As the runner itself would be asked for it, as far as the file tells."""
    name, within = _line(attributes.get("name", "")), _line(attributes.get("classname", ""))
    if suite == "pytest":
        found = _pytest_id(within, name)
    elif not within or name.startswith(within):
        found = name  # jest says the whole title in both
    else:
        found = f"{within}.{name}" if name else within
    return found[:NAME_LENGTH] or "a test without a name"


def _pytest_id(within: str, name: str) -> str:
    """`tests.test_pages.TestHome` and `test_a[1]` -> `tests/test_pages.py::TestHome::test_a[1]`."""
    parts = within.split(".") if within else []
    modules = [place for place, part in enumerate(parts) if re.match(r"test_|.*_test$", part)]
    if not modules:
        return f"{within}::{name}" if within else name
    end = modules[-1] + 1
    return "::".join([str(PurePosixPath(*parts[:end])) + ".py", *parts[end:], name])


def _first_line(text: str) -> str:
    """The first line that says something, fit for a log."""
    line = next((line for line in text.splitlines() if line.strip()), "")
    return _line(line, MESSAGE_LENGTH)


def _line(text: str, most: int = NAME_LENGTH) -> str:
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else " " for letter in text)
    clean = text.strip()
    return clean if len(clean) <= most else f"{clean[: most - 1]}…"


def _seconds(text: str | None) -> float:
    """0 for what is no duration; older Surefires write `1,234.5`."""
    try:
        found = float((text or "0").replace(",", ""))
    except ValueError:
        return 0.0
    return found if math.isfinite(found) and found > 0 else 0.0


def _whole(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else 0
