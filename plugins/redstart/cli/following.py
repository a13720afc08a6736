"""Runs of flows as Airflow's API tells of them: which one took a commit, how it stands, why it stopped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redstart.cli import story
from redstart.cli.airflow_api import AirflowApi, RunState, TaskState
from redstart.cli.commit import Commit
from redstart.cli.regions import Regions, Wait, order_of, wait_of

SELECTS = ("build.select_commit", "select_candidate")
ANALYZE = "canary.analyze_canary"
ORDER = "order_regions"
WAITS = ("push.await_quiet_window", "push.claim_cluster")


class Runs:
    """Asks `api`; `httpx.HTTPError` where that does not answer. `regions`: production's, as they are listed."""

    def __init__(self, api: AirflowApi, regions: Sequence[str] = ()) -> None:
        self.api, self.regions = api, regions
        self._found: dict[tuple[str, str], str] = {}

    def of_commit(self, dag_id: str, sha: str) -> RunState | None:
        """The newest run that selected this commit."""
        if known := self._found.get((dag_id, sha)):
            return self.api.run(dag_id, known)
        for run in self.api.runs(dag_id):
            if self.selected(dag_id, run) == sha:
                self._found[dag_id, sha] = run.run_id
                return run
        return None

    def selected(self, dag_id: str, run: RunState) -> str | None:
        """The commit that a run is about, None while it has none, or found nothing to do."""
        for task in SELECTS:
            result = self.api.result(dag_id, run.run_id, task)
            if isinstance(result, dict) and "commit" in result:
                return str(result["commit"])
        return None

    def story(self, dag_id: str, run: RunState, about: str, tasks: list[TaskState] | None = None) -> story.RunStory:
        tasks = self.api.tasks(dag_id, run.run_id) if tasks is None else tasks
        regions = Regions(self.regions, self.order(dag_id, run, tasks), self.waits(dag_id, run, tasks))
        stages = story.stages(tasks, self.notes(dag_id, run, tasks), story.now_utc(), regions)
        return story.RunStory(dag_id, about, run.run_id, stages)

    def notes(self, dag_id: str, run: RunState, tasks: list[TaskState]) -> dict[str, str]:
        """Task id -> what there is to say beside its state."""
        notes = {}
        for task in tasks:
            if task.task_id == ANALYZE and task.state in {"running", "deferred"}:
                launched = self.api.result(dag_id, run.run_id, "canary.launch_canary")
                notes[ANALYZE] = story.soak_note(launched, story.now_utc())
            if task.task_id == ANALYZE and task.state == "success":
                notes[ANALYZE] = story.score_note(self.verdict(dag_id, run))
            if task.task_id.endswith(".run_tests") and task.state == "success":
                notes[task.task_id] = story.note_of_tests(self.api.result(dag_id, run.run_id, task.task_id))
        return notes

    def order(self, dag_id: str, run: RunState, tasks: list[TaskState]) -> list[str]:
        """Regions in the order in which the run pushes them; none while that is not known."""
        is_known = any(task.task_id == ORDER and task.state == "success" for task in tasks)
        return order_of(self.api.result(dag_id, run.run_id, ORDER)) if is_known else []

    def waits(self, dag_id: str, run: RunState, tasks: list[TaskState]) -> dict[int, Wait]:
        """Map index -> what the region's push waits for at the moment."""
        found = {}
        for task in tasks:
            if task.task_id in WAITS and task.state == "deferred":
                value = self.api.result(dag_id, run.run_id, task.task_id, task.map_index, key="wait")
                if wait := wait_of(value):
                    found[task.map_index] = wait
        return found

    def verdict(self, dag_id: str, run: RunState) -> dict[str, Any] | None:
        value = self.api.result(dag_id, run.run_id, ANALYZE)
        return value if isinstance(value, dict) else None

    def reason(self, dag_id: str, run: RunState) -> str:
        """The message of the first task that failed, as its log has it; a conflict with release fails no delivery."""
        for task in self.api.tasks(dag_id, run.run_id):
            if task.state == "failed" and task.task_id != "build.merge_back":
                return f"{task.task_id}: {story.last_word(self.api.log(dag_id, run.run_id, task))[:1500]}"
        return "no task failed"


def about(commit: Commit) -> str:
    """A commit in a line."""
    return f"{commit.sha[:10]} {commit.subject}"
