"""The page of a run of tests: what failed first, and everything else. One HTML file, and the same as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from markupsafe import Markup

from include.reports.assets import TEMPLATES, environment
from include.reports.facts import say_span
from include.reports.results import TestCase, TestResults, count

SCHEMA = 1
MOST_SHOWN = 2_000
MOST_FAILURES_SHOWN = 300


@dataclass(frozen=True)
class TestRun:
    """One run of the tests: `where` ("" where there is but one place), against which `address` ("" for unit tests).

    `problem` says why it did not pass, "" where it did; `results` are None where the command left none that could be
    read, or was not asked for any.
    """

    __test__: ClassVar[bool] = False  # nothing for pytest to collect

    where: str
    address: str
    seconds: float
    results: TestResults | None
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        found = None if self.results is None else self.results.to_json()
        about = {"where": self.where, "address": self.address, "seconds": round(self.seconds, 1)}
        return {**about, "passed": not self.problem, "problem": self.problem, "results": found}


def runs_json(facts: Mapping[str, str], runs: Sequence[TestRun]) -> dict[str, Any]:
    """Plain JSON values under a schema number."""
    return {
        "schema": SCHEMA,
        "passed": not any(run.problem for run in runs),
        "about": dict(facts),
        "runs": [run.to_json() for run in runs],
    }


def render_tests(title: str, facts: Mapping[str, str], runs: Sequence[TestRun]) -> str:
    """The page as text. `facts`: name -> value, in their order; an empty value is left out.

    Names, messages and facts are data, never markup. Everything shows without script; the search needs it.
    """
    has_passed = not any(run.problem for run in runs)
    return (
        environment()
        .get_template("tests.html.j2")
        .render(
            title=title,
            has_passed=has_passed,
            badge="Passed" if has_passed else "Failed",
            headline=_headline(runs),
            facts=[(name, value) for name, value in facts.items() if value],
            runs=[_section(run, number) for number, run in enumerate(runs)],
            is_one=len(runs) == 1,
            styles=_styles(),
        )
    )


def _headline(runs: Sequence[TestRun]) -> str:
    found = [run.results for run in runs if run.results is not None]
    total, failed = sum(one.total for one in found), sum(one.failed for one in found)
    if failed:
        silent = ", ".join(run.where for run in runs if run.results is None)
        return f"{failed} of {count(total)} failed" + (f"; no results of {silent}" if silent else "")
    if any(run.problem for run in runs):
        return "not all that was wanted was tested"
    if not total:
        return "by the command's own word: it was not asked for results"
    skipped = sum(one.skipped for one in found)
    return f"{count(total - skipped)}{f', {skipped} skipped' if skipped else ''}"


def _section(run: TestRun, number: int) -> dict[str, Any]:
    results = run.results or TestResults()
    rest = [case for case in results.cases if case.outcome != "failed"]
    rest.sort(key=lambda case: case.outcome == "passed")  # skipped ones first: somebody chose not to run them
    failures = results.failures
    return {
        "number": number,
        "where": run.where,
        "address": run.address,
        "took": say_span(run.seconds),
        "problem": run.problem,
        "has_results": run.results is not None,
        "counts": [
            ("failed", results.failed, "bad"),
            ("passed", results.passed, "good"),
            ("skipped", results.skipped, "wait"),
        ],
        "failures": [_row(case) for case in failures[:MOST_FAILURES_SHOWN]],
        "more_failures": max(len(failures) - MOST_FAILURES_SHOWN, 0),
        "unnamed": results.unnamed,
        "rest_words": f"{len(rest)} that did not fail" if failures else count(len(rest)),
        "rest": [_row(case) for case in rest[:MOST_SHOWN]],
        "more": max(len(rest) - MOST_SHOWN, 0),
    }


def _row(case: TestCase) -> dict[str, Any]:
    return {
        "name": case.name,
        "outcome": case.outcome,
        "took": _took(case.seconds),
        "message": case.message,
        "details": case.details if case.details != case.message else "",
        "output": case.output,
    }


def _took(seconds: float) -> str:
    if seconds >= 60:
        return say_span(seconds)
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


@cache
def _styles() -> Markup:
    names = ("canary.css", "tests.css")
    return Markup("\n".join(Path(TEMPLATES, name).read_text(encoding="utf-8").rstrip() for name in names))
