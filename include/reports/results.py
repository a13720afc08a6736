"""What a run of tests found, as values; and when it counts as passed. No evidence is never a pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

SCHEMA = 1
MOST_NAMED = 10
MESSAGE_LENGTH = 200
Outcome = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class TestCase:
    """One test. `message` is the first line of why it failed or was skipped; `details` and `output` are clipped."""

    __test__: ClassVar[bool] = False  # nothing for pytest to collect

    name: str
    outcome: Outcome
    seconds: float = 0.0
    message: str = ""
    details: str = ""
    output: str = ""

    @property
    def words(self) -> str:
        """Name and, in brackets, why."""
        return f"{self.name} ({self.message})" if self.message else self.name


@dataclass(frozen=True)
class TestResults:
    """All tests of a run, in the order of the file. `unnamed`: failures that a suite counts and no test shows;
    `missing`: tests that a suite declares and does not show, in none of the other numbers."""

    __test__: ClassVar[bool] = False

    cases: tuple[TestCase, ...] = ()
    unnamed: int = 0
    missing: int = 0

    @cached_property
    def failures(self) -> tuple[TestCase, ...]:
        return tuple(case for case in self.cases if case.outcome == "failed")

    @property
    def total(self) -> int:
        return len(self.cases) + self.unnamed

    @property
    def failed(self) -> int:
        return len(self.failures) + self.unnamed

    @cached_property
    def skipped(self) -> int:
        return sum(case.outcome == "skipped" for case in self.cases)

    @property
    def passed(self) -> int:
        return self.total - self.failed - self.skipped

    @cached_property
    def seconds(self) -> float:
        """Of all tests together, which is longer than the clock's where they ran side by side."""
        return sum(case.seconds for case in self.cases)

    def words(self) -> str:
        """How it went, in a sentence without its full stop; failures by name, the first 10 of them."""
        if not self.failed:
            skipped = f" ({self.skipped} skipped)" if self.skipped else ""
            return f"{count(self.passed)} passed{skipped}"
        named = [case.words for case in self.failures[:MOST_NAMED]]
        if more := self.failed - len(named):
            named.append(f"and {more} more" if named else f"{more} that the results do not name")
        return f"{self.failed} of {count(self.total)} failed: {', '.join(named)}"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values under a schema number."""
        cases = [{key: value for key, value in vars_of(case).items() if value not in ("", 0.0)} for case in self.cases]
        counts = {"total": self.total, "failed": self.failed, "skipped": self.skipped, "unnamed": self.unnamed}
        counts["missing"] = self.missing
        return {"schema": SCHEMA, **counts, "seconds": round(self.seconds, 3), "tests": cases}


def vars_of(case: TestCase) -> Mapping[str, Any]:
    return {
        "name": case.name,
        "outcome": case.outcome,
        "seconds": round(case.seconds, 3),
        "message": case.message,
        "details": case.details,
        "output": case.output,
    }


def count(number: int) -> str:
    return f"{number} test" if number == 1 else f"{number} tests"


def why_not_passed(results: TestResults, status: int) -> str | None:
    """Why tests whose command ended with `status` did not pass, or None where they did.

    Passed means: at least one test ran, none failed, none is missing, and the command says so too.
    """
    if results.failed:
        odd = ", although the command ended with status 0" if status == 0 else ""
        return f"{results.words()}{odd}."
    if results.missing:
        declared = results.total + results.missing
        return (
            f"The results name {results.total} of the {count(declared)} that they declare: the others did not come to "
            f"an end; the command ended with status {status}."
        )
    if not results.total:
        return f"The command ended with status {status}, and its results have no test in them: nothing was tested."
    if status:
        return f"The command ended with status {status}, although no test failed: {results.words()}."
    if not results.passed:
        return f"All of {count(results.total)} were skipped: nothing was tested."
    return None
