"""From commit to artifact, and its unit tests."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from include.apps import load_app
from include.errors import RefusedError
from redstart.hooks.build import BuildHook
from redstart.operators.station import DRY, StationOperator, key_of_run
from redstart.operators.test_report import TestReport
from redstart.ui.links import BuildLogLink, TestReportLink, UnitTestLogLink, build_file

if TYPE_CHECKING:
    from airflow.sdk import Context


HUNG_SECONDS = 300


def hung_after(seconds: float) -> timedelta:
    """For a call that hangs: a command is ended at its own limit, with a reason."""
    return timedelta(seconds=seconds + HUNG_SECONDS)


class BuildArtifactOperator(StationOperator):
    """Build the commit with the application's own command, in a clean copy with a clean environment.

    The artifact is kept in the artifact bucket under the commit and its SHA-256.

    **Retry and clear**: a commit that has an artifact is not built again; to force that, delete the object.
    """

    operator_extra_links = (BuildLogLink(),)

    def __init__(self, *, app: str, **kwargs: Any) -> None:
        kwargs.setdefault("execution_timeout", hung_after(load_app(app).build.build_timeout_seconds))
        super().__init__(app=app, **kwargs)

    def deliver(self, context: Context) -> dict[str, Any]:
        delivery, settings = self.selected(context), self.application.build
        store = self.artifacts
        artifact = store.find(delivery.app, delivery.commit)
        is_reused = artifact is not None
        results, log = self.installation.results(), build_file(self.app, key_of_run(context), "build.log")
        if artifact is None:
            artifact = BuildHook(self.repository).build(
                delivery.app,
                delivery.commit,
                settings.command,
                store,
                timeout_seconds=settings.build_timeout_seconds,
                keep=partial(results.write, log),
            )
        word = "built before" if is_reused else "artifact"
        place = f"s3://{artifact.bucket}/{artifact.key}"
        results.append(log, f"{word}: {place}\n{artifact.size} bytes, SHA-256 {artifact.sha256}\n".encode())
        self.log.info("%s: %d bytes%s", artifact.key, artifact.size, ", built before" if is_reused else "")
        return {"schema": 1, **asdict(artifact), "is_reused": is_reused}

    def rehearse(self, context: Context) -> dict[str, Any]:
        delivery = self.selected(context)
        artifact = self.artifacts.find(delivery.app, delivery.commit)
        with self.told(context, build_file(self.app, key_of_run(context), "build.log")) as account:
            if artifact is None:
                account.note(f"Dry run: would build {delivery.commit[:10]}: {' '.join(self.application.build.command)}")
            else:
                account.note(f"Dry run: built before: s3://{artifact.bucket}/{artifact.key}")
        return {**DRY, "is_reused": artifact is not None}


class RunUnitTestsOperator(StationOperator):
    """Run the application's own unit tests on a clean copy of the commit.

    A failure ends the run before any machine starts, and names the tests that failed. Where the command writes results
    (`{junit}`), they must say so too: without results nothing has passed.

    **Retry and clear**: runs them again.
    """

    operator_extra_links = (TestReportLink(), UnitTestLogLink())

    def __init__(self, *, app: str, **kwargs: Any) -> None:
        kwargs.setdefault("execution_timeout", hung_after(load_app(app).build.test_timeout_seconds))
        super().__init__(app=app, **kwargs)

    def deliver(self, context: Context) -> dict[str, Any]:
        delivery, settings = self.selected(context), self.application.build
        results, log = self.installation.results(), build_file(self.app, key_of_run(context), "unit-tests.log")
        check = BuildHook(self.repository).check(
            delivery.commit,
            settings.test_command,
            timeout_seconds=settings.test_timeout_seconds,
            keep=partial(results.write, log),
        )
        report = TestReport(results, delivery, key_of_run(context), context["ti"].task_id)
        report.add(check)
        report.keep(f"Unit tests of {self.app}", {"Command": " ".join(settings.test_command)})
        if check.problem:
            raise RefusedError(check.problem)
        self.log.info("%s in %.1f s; output: %s", report.words(), check.seconds, log)
        return {"schema": 1, "seconds": round(check.seconds, 1), "log": log, **report.summary()}

    def rehearse(self, context: Context) -> dict[str, Any]:
        command = " ".join(self.application.build.test_command)
        with self.told(context, build_file(self.app, key_of_run(context), "unit-tests.log")) as account:
            account.note(f"Dry run: would test {self.selected(context).commit[:10]}: {command}")
        return dict(DRY)
