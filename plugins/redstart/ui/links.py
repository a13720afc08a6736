"""Buttons on a task: what it made. Pure functions of the run's id, stored when the task process ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperatorLink

from include.apps.delivery import flow_key

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey

URL_PREFIX = "/redstart"


def canary_file(app: str, key: str, name: str) -> str:
    """Where a canary's files are kept: pair.npz, verdict.json, report.html."""
    return f"canaries/{app}/{key}/{name}"


def build_file(app: str, key: str, name: str) -> str:
    """Where a run's build and test logs are kept."""
    return f"builds/{app}/{key}/{name}"


def push_file(app: str, key: str, region: str, environment: str = "prod") -> str:
    """Where the account of a region's push is kept."""
    return f"pushes/{app}/{key}/{region if environment == 'prod' else f'{environment}-{region}'}.log"


def station_file(app: str, key: str, task_id: str) -> str:
    """Where the account of what a task did is kept."""
    return f"stations/{app}/{key}/{task_id}.log"


def region_file(app: str, key: str, task_id: str, region: str) -> str:
    """The same, of a task that there is once for each region."""
    return station_file(app, key, f"{task_id}-{region}")


def report_url(file: str) -> str:
    """The page, below Airflow's own address, that shows a kept file."""
    return f"{URL_PREFIX}/reports/{file}"


def approval_url(app: str, key: str) -> str:
    """The page on which an operator lets a refused canary go on."""
    return f"{URL_PREFIX}/approve/{app}/{key}"


def tests_file(app: str, key: str, task_id: str, ending: str) -> str:
    """Where what a task's tests found is kept: html, json, log."""
    return f"tests/{app}/{key}/{task_id}.{ending}"


def candidates_url(app: str) -> str:
    """The page of an application's release candidates."""
    return f"{URL_PREFIX}/candidates/{app}"


def windows_url(app: str) -> str:
    """The page of when each region of an application may be pushed."""
    return f"{URL_PREFIX}/windows/{app}"


def override_url(app: str) -> str:
    """The DAG whose form lets pushes begin outside of their windows."""
    return f"/dags/{app}_override"


def key_of(ti_key: TaskInstanceKey) -> str:
    return flow_key(ti_key.dag_id, ti_key.run_id)


class CanaryReportLink(BaseOperatorLink):
    """The canary's report."""

    name = "Canary report"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        return report_url(canary_file(operator.app, key_of(ti_key), "report.html"))


class ApprovalLink(BaseOperatorLink):
    """Where a person takes a no-go upon them."""

    name = "Approve below threshold"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        return approval_url(operator.app, key_of(ti_key))


class BuildLogLink(BaseOperatorLink):
    """The build's output."""

    name = "Build log"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        return report_url(build_file(operator.app, key_of(ti_key), "build.log"))


class UnitTestLogLink(BaseOperatorLink):
    """The unit tests' output."""

    name = "Unit test log"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        return report_url(build_file(operator.app, key_of(ti_key), "unit-tests.log"))


class PushLogLink(BaseOperatorLink):
    """What the push did, step by step."""

    name = "Push log"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        region, environment = str(getattr(operator, "region", "")), str(getattr(operator, "environment", "prod"))
        return report_url(push_file(operator.app, key_of(ti_key), region, environment))


class RollbackLogLink(BaseOperatorLink):
    """What the rollback did, step by step."""

    name = "Rollback log"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        return report_url(push_file(operator.app, key_of(ti_key), str(getattr(operator, "region", ""))))


class StationLink(BaseOperatorLink):
    """The account of a task. Each button is a class of its own: Airflow stores what it leads to by the class's name."""

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        return report_url(station_file(operator.app, key_of(ti_key), ti_key.task_id))


class CommitLink(StationLink):
    """Which commit, and what was live."""

    name = "Commit"


class MergeLink(StationLink):
    """What became of the merge into release."""

    name = "Merge"


class ImagesLink(StationLink):
    """The image ids, and how they were made."""

    name = "Images"


class BaselineLink(StationLink):
    """The group that the new version is compared with."""

    name = "Baseline"


class CanaryGroupsLink(StationLink):
    """Canary and baseline, and how they were launched."""

    name = "Canary groups"


class TeardownLogLink(StationLink):
    """How canary and baseline were taken away."""

    name = "Teardown log"


class RegionsLink(StationLink):
    """The regions in the order of the push."""

    name = "Regions"


class LineLink(StationLink):
    """Which delivery was waited for, and until when production is this one's."""

    name = "Turn"


class SweepLink(BaseOperatorLink):
    """What is out of traffic, what it has cost, and what was deleted."""

    name = "Swept groups"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        place = f"{getattr(operator, 'environment', '')}-{getattr(operator, 'region', '')}"
        return report_url(region_file(operator.app, key_of(ti_key), ti_key.task_id, place))


class SweptImagesLink(StationLink):
    """Images and builders: which went, which stay, and why."""

    name = "Swept images"


class LocksLink(StationLink):
    """Who has which lock, and which were freed."""

    name = "Locks"


class LiveLink(StationLink):
    """What takes traffic in every region."""

    name = "What runs where"


class CandidateLink(StationLink):
    """Which candidate, what it passed, and its images."""

    name = "Candidate"


class CandidatesLink(BaseOperatorLink):
    """All release candidates of the application."""

    name = "All candidates"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        return candidates_url(operator.app)


class TestReportLink(BaseOperatorLink):
    """Every test, the failures first."""

    __test__ = False  # nothing for pytest to collect
    name = "Test report"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        return report_url(tests_file(operator.app, key_of(ti_key), ti_key.task_id, "html"))


class EnvironmentTestLogLink(BaseOperatorLink):
    """What the tests printed."""

    name = "Test log"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        return report_url(tests_file(operator.app, key_of(ti_key), ti_key.task_id, "log"))


class WindowsLink(BaseOperatorLink):
    """When each region may be pushed, and why then."""

    name = "Windows"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        return windows_url(operator.app)


class LearnedLink(BaseOperatorLink):
    """What was learned of a region's traffic."""

    name = "What was learned"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        region = str(getattr(operator, "region", ""))
        return report_url(region_file(operator.app, key_of(ti_key), ti_key.task_id, region))


class OverrideLink(BaseOperatorLink):
    """Where on-call lets the waiting push begin at once."""

    name = "Push now"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        return override_url(operator.app)


class OverrideLogLink(StationLink):
    """What was overridden, until when, and who may begin there."""

    name = "Override"


ALL_LINKS = (
    CanaryReportLink(),
    ApprovalLink(),
    BuildLogLink(),
    UnitTestLogLink(),
    PushLogLink(),
    RollbackLogLink(),
    CommitLink(),
    MergeLink(),
    ImagesLink(),
    BaselineLink(),
    CanaryGroupsLink(),
    TeardownLogLink(),
    RegionsLink(),
    LineLink(),
    LiveLink(),
    SweepLink(),
    SweptImagesLink(),
    LocksLink(),
    CandidateLink(),
    CandidatesLink(),
    TestReportLink(),
    EnvironmentTestLogLink(),
    WindowsLink(),
    LearnedLink(),
    OverrideLink(),
    OverrideLogLink(),
)
"""For the plugin: the pages show only links that are registered."""
