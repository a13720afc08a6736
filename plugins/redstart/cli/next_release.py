"""The demo's second commit: a feature on release, which becomes the candidate of the next weekly push."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from include.errors import RedstartError
from redstart.cli.airflow_api import RunState, TaskState
from redstart.cli.following import about
from redstart.cli.releasing import release_flow
from redstart.cli.screen import Screen
from redstart.cli.story import RunStory, note_of_tests

if TYPE_CHECKING:
    from redstart.cli.commit import Commit
    from redstart.cli.demo import Demo

FLOW, BRANCH = "release", "release"
FEATURE = 12
"""Number of the good change: far from those that the demo commits to prod."""
LIMIT_SECONDS = 600
ENDED = ("success", "failed")


class NextRelease:
    """A feature is committed as soon as the patch is merged into release: the candidate contains both."""

    def __init__(self, demo: Demo) -> None:
        self.demo, self.dag_id = demo, demo.app.dag_id(FLOW)
        self.commit: Commit | None = None
        self.candidate: str | None = None

    def look(self, tasks: list[TaskState]) -> list[RunStory]:
        """What there is to show beside the patch's run, whose tasks are given."""
        if self.commit is None and _is_merged(tasks):
            self.commit = self.demo.commit("good", FEATURE, BRANCH)
        if self.commit is None or (run := self.run) is None:
            return []
        return [self.demo.runs.story(self.dag_id, run, about(self.commit))]

    @property
    def run(self) -> RunState | None:
        return None if self.commit is None else self.demo.run_of(self.commit, self.dag_id)

    def finish(self) -> list[str]:
        """Show the run to its end; what went wrong."""
        if self.commit is None:
            return ["prod was not merged into release: there is no next release"]
        self.demo.wait_until(lambda: self.run is not None, LIMIT_SECONDS, f"no run of {self.dag_id} took the feature")
        run = self.run
        assert run is not None
        if run.state not in ENDED:  # else it was seen to its end beside the patch
            run = self._show()
        if run.state != "success":
            return [f"{self.dag_id} ended as {run.state}: {self.demo.reason(run, self.dag_id)}"]
        candidate = self.demo.api.result(self.dag_id, run.run_id, "mark_candidate")
        if not isinstance(candidate, dict):
            return [f"{self.dag_id} made no release candidate"]
        self.candidate = f"{candidate['version']} ({self._tests(run)})"
        return []

    def say_next(self) -> None:
        """What a person may start now."""
        if self.candidate is None:
            return
        demo, app = self.demo, self.demo.app
        demo.say(f"\nRelease candidate {self.candidate}.")
        demo.say("The weekly push is yours to start, by the button Trigger or from a terminal:")
        demo.say(f"  {demo.settings.airflow_url}/dags/{app.dag_id(release_flow(app))}")
        demo.say(f"  ./redstart release {app.name} --reason 'the weekly push'")

    def _show(self) -> RunState:
        assert self.commit is not None
        deadline = time.monotonic() + LIMIT_SECONDS
        self.demo.say(f"\nThe next release: {about(self.commit)}")
        with Screen(self.demo.console) as screen:
            while time.monotonic() < deadline:
                self.demo.stack.check()
                run = self.run
                assert run is not None
                screen.show([self.demo.runs.story(self.dag_id, run, about(self.commit))], self.demo.counters())
                if run.state in ENDED:
                    return run
                time.sleep(1)
        raise RedstartError(f"{self.dag_id} did not end within {LIMIT_SECONDS} s")

    def _tests(self, run: RunState) -> str:
        names: tuple[str, ...] = getattr(self.demo.app.flows[FLOW], "environments", ())
        tests: dict[str, Any] = {
            name: self.demo.api.result(self.dag_id, run.run_id, f"{name}.run_tests") for name in names
        }
        return ", ".join(f"{name}: {note_of_tests(result)}" for name, result in tests.items())


def _is_merged(tasks: list[TaskState]) -> bool:
    return any(task.task_id == "build.merge_back" and task.state == "success" for task in tasks)
