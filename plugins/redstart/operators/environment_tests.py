"""The application's own tests against an environment that serves this run's commit."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from include.apps import load_app
from include.errors import RefusedError
from include.fleet.tags import VERSION
from redstart.hooks.build import BuildHook, Check
from redstart.operators.build import hung_after
from redstart.operators.live import live_commits, tree_of
from redstart.operators.station import DRY, StationOperator, images_of_run, key_of_run
from redstart.operators.test_report import TestReport
from redstart.ui.links import EnvironmentTestLogLink, TestReportLink, tests_file

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.apps.delivery import Delivery
    from include.apps.model import Tests
    from redstart.operators.drive import Account

MOST_WORDS = 4_000


class RunEnvironmentTestsOperator(StationOperator):
    """Run the application's own tests, on a clean copy of the commit, against the environment's address in each of its
    regions.

    The environment must serve this run's commit, before and after. A test that failed is named in the error, and all
    are in the report. Results that are missing, cut off or without a test are a failure; so is a command that does not
    end in its time. An environment without tests says so and passes.

    **Retry and clear**: runs them again.
    """

    operator_extra_links = (TestReportLink(), EnvironmentTestLogLink())
    ui_color = "#e3f1ea"

    def __init__(self, *, app: str, environment: str, **kwargs: Any) -> None:
        site = load_app(app).environment(environment)
        seconds = site.tests.timeout_seconds if site.tests else 0
        kwargs.setdefault("execution_timeout", hung_after(seconds * len(site.regions)))
        super().__init__(app=app, environment=environment, **kwargs)

    def deliver(self, context: Context) -> dict[str, Any]:
        delivery, tests = self.selected(context), self.site.tests
        result: dict[str, Any] = {"schema": 1, "environment": self.environment, "commit": delivery.commit}
        log = tests_file(self.app, key_of_run(context), context["ti"].task_id, "log")
        with self.told(context, log) as account:
            if tests is None:
                account.note(f"no tests are configured for {self.environment}")
                return {**result, "total": 0, "failed": 0, "skipped": 0, "report": "", "regions": {}}
            report = TestReport(self.installation.results(), delivery, key_of_run(context), context["ti"].task_id)
            addresses = {
                region: self.test(delivery, tests, region, report, account, log) for region in self.site.region_names
            }
            facts = {"Environment": self.environment, "Image": image_name(context), "Command": " ".join(tests.command)}
            report.keep(f"{self.app} in {self.environment}", facts)
            if report.problems:
                raise RefusedError(" ".join(report.problems)[:MOST_WORDS])
            account.note(f"{self.environment}: {report.words()}")
        return {**result, **report.summary(), "regions": addresses}

    def rehearse(self, context: Context) -> dict[str, Any]:
        delivery, tests = self.selected(context), self.site.tests
        with self.told(context, tests_file(self.app, key_of_run(context), context["ti"].task_id, "log")) as account:
            for region in self.site.region_names if tests is not None else ():
                where = f"{self.environment} in {region} at {self.fleet(region).address()}"
                account.note(f"Dry run: would test {delivery.version} in {where}")
            if tests is None:
                account.note(f"Dry run: no tests are configured for {self.environment}")
        return {**DRY, "environment": self.environment, "commit": delivery.commit}

    def test(
        self, delivery: Delivery, tests: Tests, region: str, report: TestReport, account: Account, log: str
    ) -> str:
        """Test one region, add what was found to the report, and say at which address."""
        address = self.fleet(region).address()
        if other := self.word_if_other(delivery, region):
            check = Check(0.0, None, f"{other} Clear {self.environment}.push and what comes after it.")
        else:
            account.note(f"{region}: testing {delivery.version} at {address}")
            check = self.check(delivery, tests, region, address, log)
            if not check.problem and (other := self.word_if_other(delivery, region)):
                check = replace(
                    check, problem=f"{other} That came while the tests ran, so they say nothing: clear this."
                )
        account.note(f"{region}: {check.problem or (check.results.words() if check.results else 'passed')}")
        report.add(check, region, address)
        return address

    def check(self, delivery: Delivery, tests: Tests, region: str, address: str, log: str) -> Check:
        told = {"REDSTART_ADDRESS": address, "REDSTART_ENVIRONMENT": self.environment, "REDSTART_REGION": region}
        return BuildHook(self.repository).check(
            delivery.commit,
            tests.command,
            timeout_seconds=tests.timeout_seconds,
            keep=partial(self.installation.results().append, log),
            address=address,
            environment=told,
        )

    def word_if_other(self, delivery: Delivery, region: str) -> str:
        """What the environment serves where that is not this run's content alone; else ""."""
        view = self.view(region)
        commits = live_commits(view)
        if commits == {delivery.commit}:
            return ""
        repository = self.repository
        repository.fetch()
        if commits and {tree_of(repository, commit) if commit else None for commit in commits} == {delivery.tree}:
            return ""
        serving = [group for group in view.groups if group.is_enabled]
        words = " and ".join(f"{one.name} ({one.tags.get(VERSION) or 'unknown version'})" for one in serving)
        return f"{self.environment} serves {words or 'nothing'}, not this run's {delivery.version}."


def image_name(context: Context) -> str:
    """The image ids of this run, for the report."""
    return ", ".join(f"{image} ({region})" for region, image in images_of_run(context).items())
