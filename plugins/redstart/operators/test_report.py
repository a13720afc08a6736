"""What a task's tests found, kept as a page and as JSON where the task's link leads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from redstart.ui.links import report_url, tests_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.apps.delivery import Delivery
    from include.reports.tests import TestRun
    from redstart.hooks.build import Check
    from redstart.hooks.installation import ResultStore


class TestReport:
    """The tests of one task of the run `key`; `add` what each command found, then `keep`."""

    __test__ = False  # nothing for pytest to collect

    def __init__(self, results: ResultStore, delivery: Delivery, key: str, task_id: str) -> None:
        self._results, self._delivery = results, delivery
        self._key, self._task_id = key, task_id
        self.runs: list[TestRun] = []

    def add(self, check: Check, where: str = "", address: str = "") -> None:
        from include.reports.tests import TestRun

        self.runs.append(TestRun(where, address, check.seconds, check.results, check.problem))

    def keep(self, title: str, facts: Mapping[str, str]) -> None:
        """Over any earlier ones of this task."""
        from include.reports.tests import render_tests, runs_json

        delivery = self._delivery
        about = {
            **facts,
            "Version": delivery.version,
            "Commit": delivery.commit,
            "Subject": delivery.subject,
            "Author": delivery.author,
            "Branch": delivery.branch,
            "Run": self._key,
        }
        self._results.write(self._name("json"), json.dumps(runs_json(about, self.runs), indent=1).encode())
        self._results.write(self._name("html"), render_tests(title, about, self.runs).encode())

    @property
    def problems(self) -> list[str]:
        """Why not all passed, where there is more than one place with the place's name before it."""
        return [f"{run.where}: {run.problem}" if run.where else run.problem for run in self.runs if run.problem]

    def words(self) -> str:
        found = [run.results.words() for run in self.runs if run.results is not None]
        return "; ".join(found) or "passed by the command's own word"

    def summary(self) -> dict[str, Any]:
        """What goes into XCom: small, with the way to the rest."""
        found = [run.results for run in self.runs if run.results is not None]
        return {
            "total": sum(one.total for one in found),
            "failed": sum(one.failed for one in found),
            "skipped": sum(one.skipped for one in found),
            "report": report_url(self._name("html")),
        }

    def _name(self, ending: str) -> str:
        return tests_file(self._delivery.app, self._key, self._task_id, ending)
