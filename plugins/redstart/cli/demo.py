"""`make demo`: a commit travels to three regions, or is stopped by the canary, before one's eyes."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from rich.console import Console

from include.errors import RedstartError
from include.services.airflow_env import airflow_environment
from include.services.settings import REGIONS, Settings
from include.services.stack import read_settings
from redstart.cli import fleet_view, story
from redstart.cli.airflow_api import AirflowApi, RunState, TaskState
from redstart.cli.commit import Commit, push_variant
from redstart.cli.rolling_back import Wanted, roll_back_there
from redstart.cli.screen import Screen, fleet_table
from redstart.cli.stack_process import StackProcess
from redstart.cli.traffic import Counters, Marks, sent_and_failed, shares

DAG_ID = "api_prod"
CANARY_REGION = REGIONS[0]
RUN_LIMIT_SECONDS = 1500
DEMO_SOAK_SECONDS = 240
DEMO_WATCH_SECONDS = 20
COMMIT_TO_RUN_SECONDS = 180


@dataclass(frozen=True)
class Outcome:
    """What the demo found; `problems` is empty exactly when it succeeded."""

    run_state: str
    score: float | None
    failed_requests: int
    problems: tuple[str, ...]


class Demo:
    """One stack and the runs it is shown; `variant` is good or one of the bad ones."""

    def __init__(self, settings: Settings, console: Console) -> None:
        self.settings, self.console = settings, console
        self.stack = StackProcess(settings)
        self._api: AirflowApi | None = None
        self.marks = Marks()
        self.soak_last: Counters | None = None

    def start(self) -> None:
        self.console.print("Starting the local cloud, the application in three regions, Airflow ...", highlight=False)
        began = time.monotonic()
        self.stack.start()
        self.stack.await_up(lambda line: self.console.print(line, highlight=False))
        self._await(lambda: self.api.is_dag_ready(DAG_ID), 90, f"the DAG {DAG_ID} did not appear")
        self.console.print(f"Everything is up after {time.monotonic() - began:.0f} s.", highlight=False)

    @property
    def api(self) -> AirflowApi:
        if self._api is None:
            passwords = json.loads((self.settings.airflow_home / "passwords.json").read_text())
            self._api = AirflowApi(self.settings.airflow_url, "admin", passwords["admin"])
        return self._api

    def deliver(self, variant: str, number: int) -> Outcome:
        """Push one commit and follow its run to the end."""
        before = fleet_view.live_commits(self.views())
        self.marks = Marks()
        self.marks.keep("start", self.counters())
        commit = push_variant(self.settings.git_root / "api", self.settings.home / "worktree", variant, number)
        self.console.print(f"\nPushed {commit.sha[:10]} to prod: {commit.subject}", markup=False, highlight=False)
        run = self.follow(commit)
        problems = self.go_there_and_back(commit) if variant == "good" and run.state == "success" else []
        return self.judge(variant, commit, run, before, problems)

    def go_there_and_back(self, commit: Commit) -> list[str]:
        """The last region goes back to what it served before, as on-call would have it, and forward again."""
        region, dag_id = REGIONS[-1], "api_rollback"
        (red,) = [group.name for group in self.views()[-1].groups if group.is_enabled]
        self.console.print(f"\nThe way back: {region}, by the form of {dag_id}", highlight=False)
        problems = roll_back_there(self.api, dag_id, Wanted((region,), "The demo shows the way back."), self.say)
        if fleet_view.live_commits(self.views())[region] == {commit.sha}:
            problems.append(f"{region} did not go back")
        self.console.print(f"The way forward again: {region} to {red}", highlight=False)
        return problems + roll_back_there(self.api, dag_id, Wanted((region,), "And forward again.", red), self.say)

    def say(self, line: str) -> None:
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def follow(self, commit: Commit) -> RunState:
        """Show the run that took the commit until it ends."""
        self._await(lambda: self.run_of(commit) is not None, COMMIT_TO_RUN_SECONDS, "no run took the commit")
        deadline = time.monotonic() + RUN_LIMIT_SECONDS
        with Screen(self.console) as screen:
            while time.monotonic() < deadline:
                self.stack.check()
                try:
                    run = self.run_of(commit)
                    assert run is not None
                    tasks = self.api.tasks(DAG_ID, run.run_id)
                    stages = story.stages(tasks, self.notes(run, tasks), story.now_utc())
                except httpx.HTTPError:
                    time.sleep(1)
                    continue
                counters = self.counters()
                self.mark(tasks, counters)
                screen.show(f"{DAG_ID}  {commit.sha[:10]} {commit.subject}\n{run.run_id}", stages, counters)
                if run.state in {"success", "failed"}:
                    return run
                time.sleep(1)
        raise RedstartError(f"the run did not end within {RUN_LIMIT_SECONDS} s")

    def notes(self, run: RunState, tasks: list[TaskState]) -> dict[str, str]:
        states = {task.task_id: task.state for task in tasks}
        notes = {}
        if states.get("canary.analyze_canary") in {"running", "deferred"}:
            launched = self.api.result(DAG_ID, run.run_id, "canary.launch_canary")
            notes["canary.analyze_canary"] = story.soak_note(launched, story.now_utc())
        if states.get("canary.analyze_canary") == "success":
            notes["canary.analyze_canary"] = story.score_note(self._verdict(run))
        return notes

    def mark(self, tasks: list[TaskState], counters: Counters | None) -> None:
        """Keep the counters of the moments that are told at the end."""
        for task in tasks:
            if task.task_id == "canary.analyze_canary" and task.state == "deferred":
                self.marks.keep("soak", counters)
            if task.task_id == "canary.stop_canary" and task.started_at is None:
                self.soak_last = counters
            if task.task_id == "push.push_red_black" and task.started_at is not None:
                self.marks.keep("push", counters)

    def judge(
        self, variant: str, commit: Commit, run: RunState, before: Mapping[str, Any], found: Sequence[str] = ()
    ) -> Outcome:
        """Compare the end with what the variant should have led to."""
        views, verdict, after = self.views(), self._verdict(run), self.counters()
        live = fleet_view.live_commits(views)
        counted = sent_and_failed(self.marks.at("start"), after)
        problems = list(found) if counted else [*found, "the generator began anew: nobody counted all requests"]
        failed = counted[1] if counted else -1
        if variant == "good":
            if run.state != "success":
                problems.append(f"the run ended as {run.state}: {self.reason(run)}")
            problems += [f"{region} does not run the new commit" for region, c in live.items() if c != {commit.sha}]
            if failed:
                problems.append(f"{failed} requests failed: {(after or {}).get('failures', [])[:3]}")
        else:
            if run.state != "failed":
                problems.append(f"the canary did not stop the commit: the run ended as {run.state}")
            problems += [f"{region} no longer runs what it ran" for region, c in live.items() if c != before[region]]
        self.console.print()
        self.console.print(fleet_table(fleet_view.rows(views), self.console.width))
        self.say_traffic(after)
        score = float(verdict["score"]) if verdict else None
        if score is not None:
            self.console.print(f"Canary score: {score:.1f}", highlight=False)
        if run.state == "failed":
            self.console.print(f"Why it stopped: {self.reason(run)}", markup=False, highlight=False)
        return Outcome(run.state, score, failed, tuple(problems))

    def say_traffic(self, after: Counters | None) -> None:
        """Requests of the whole run, of the push alone, and how the soak's traffic was shared."""
        for moment, words in (("start", "the run"), ("push", "the push of all regions")):
            if counted := sent_and_failed(self.marks.at(moment), after):
                self.console.print(f"Requests during {words}: {counted[0]:,}, failed: {counted[1]:,}", highlight=False)
        shared = shares(self.marks.at("soak"), self.soak_last, CANARY_REGION)
        if shared:
            words = ", ".join(f"{group} {share:.1f} %" for group, share in shared.items())
            self.console.print(f"Traffic in {CANARY_REGION} during the soak: {words}", highlight=False)

    def reason(self, run: RunState) -> str:
        """The message of the first task that failed, as its log has it."""
        for task in self.api.tasks(DAG_ID, run.run_id):
            if task.state == "failed" and task.task_id != "build.merge_back":
                return f"{task.task_id}: {story.last_word(self.api.log(DAG_ID, run.run_id, task))[:1500]}"
        return "no task failed"

    def views(self) -> list[Any]:
        return fleet_view.view_regions(airflow_environment(self.settings), "api", "main", REGIONS)

    def counters(self) -> dict[str, Any] | None:
        try:
            return dict(httpx.get(f"{self.settings.traffic_url}/counters", timeout=2).json())
        except (httpx.HTTPError, ValueError):
            return None

    def say_where(self) -> None:
        passwords = json.loads((self.settings.airflow_home / "passwords.json").read_text())
        self.console.print(f"\nAirflow   {self.settings.airflow_url}/dags/{DAG_ID}", highlight=False)
        self.console.print(f"log in    admin / {passwords['admin']}", highlight=False)
        self.console.print(f"traffic   {self.settings.traffic_url}/counters", highlight=False)
        self.console.print(f"reports   {self.settings.storage}/canaries", highlight=False, soft_wrap=True)

    def _verdict(self, run: RunState) -> dict[str, Any] | None:
        value = self.api.result(DAG_ID, run.run_id, "canary.analyze_canary")
        return value if isinstance(value, dict) else None

    def run_of(self, commit: Commit) -> RunState | None:
        """The newest run that selected this commit."""
        for run in self.api.runs(DAG_ID):
            selected = self.api.result(DAG_ID, run.run_id, "build.select_commit")
            if isinstance(selected, dict) and selected.get("commit") == commit.sha:
                return run
        return None

    def _await(self, condition: Any, seconds: float, otherwise: str) -> None:
        deadline = time.monotonic() + seconds
        while True:
            self.stack.check()
            try:
                if condition():
                    return
            except httpx.HTTPError:
                pass
            if time.monotonic() > deadline:
                raise RedstartError(f"{otherwise} within {seconds:.0f} s")
            time.sleep(0.5)


def demo_settings() -> Settings:
    """The stack's settings with the demo's soak and watch, unless the environment says others."""
    os.environ.setdefault("REDSTART_SOAK_SECONDS", str(DEMO_SOAK_SECONDS))
    os.environ.setdefault("REDSTART_WATCH_SECONDS", str(DEMO_WATCH_SECONDS))
    return read_settings()
