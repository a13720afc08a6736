"""`make demo`: a commit travels to three regions, or is stopped by the canary, before one's eyes."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import httpx
from rich.console import Console

from include.apps import load_app
from include.errors import RedstartError
from include.services.airflow_env import airflow_environment
from include.services.settings import APP, Settings
from include.services.stack import read_settings
from redstart.cli import fleet_view
from redstart.cli.airflow_api import AirflowApi, RunState, TaskState
from redstart.cli.commit import Commit, push_variant
from redstart.cli.evening import REGION, Evening
from redstart.cli.following import Runs, about
from redstart.cli.next_release import NextRelease
from redstart.cli.rolling_back import Wanted, roll_back_there
from redstart.cli.screen import Screen, fleet_table
from redstart.cli.stack_process import StackProcess
from redstart.cli.traffic import Counters, Marks, sent_and_failed, shares

DAG_ID = "api_prod"
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
        self.app = load_app(APP)
        self.stack = StackProcess(settings)
        self._api: AirflowApi | None = None
        self.marks = Marks()
        self.soak_last: Counters | None = None
        self.next_release: NextRelease | None = None
        self.evening = Evening(self)

    def start(self) -> None:
        self.say("Starting the local cloud, the application in its environments, Airflow ...")
        began = time.monotonic()
        self.stack.start()
        self.stack.await_up(self.say)
        for flow in self.app.flows:
            dag_id = self.app.dag_id(flow)
            self.wait_until(lambda dag_id=dag_id: self.api.is_dag_ready(dag_id), 90, f"the DAG {dag_id} did not appear")
        self.say(f"Everything is up after {time.monotonic() - began:.0f} s.")

    @property
    def api(self) -> AirflowApi:
        if self._api is None:
            passwords = json.loads((self.settings.airflow_home / "passwords.json").read_text())
            self._api = AirflowApi(self.settings.airflow_url, "admin", passwords["admin"])
        return self._api

    @cached_property
    def runs(self) -> Runs:
        return Runs(self.api, self.app.prod.region_names)

    def deliver(self, variant: str, number: int, *, has_feature: bool = False) -> Outcome:
        """Push one commit to prod and follow its run to the end.

        With `has_feature` somebody commits to release meanwhile; what becomes of that is in `next_release`.
        """
        before = fleet_view.live_commits(self.views())
        self.marks = Marks()
        self.marks.keep("start", self.counters())
        commit = self.commit(variant, number)
        if has_feature:
            self.next_release = NextRelease(self)
        run = self.follow(commit)
        problems = self.go_there_and_back(commit) if variant == "good" and run.state == "success" else []
        return self.judge(variant, commit, run, before, problems)

    def commit(self, variant: str, number: int, branch: str = "prod") -> Commit:
        """Commit a variant as a developer does."""
        repository, folder = self.settings.git_root / self.app.source.repository, self.settings.home / "worktree"
        commit = push_variant(repository, folder, variant, number, branch=branch)
        self.say(f"\nPushed {commit.sha[:10]} to {branch}: {commit.subject}")
        return commit

    def go_there_and_back(self, commit: Commit) -> list[str]:
        """The last region goes back to what it served before, as on-call would have it, and forward again."""
        region, dag_id = self.app.prod.region_names[-1], "api_rollback"
        (red,) = [group.name for group in self.views()[-1].groups if group.is_enabled]
        self.say(f"\nThe way back: {region}, by the form of {dag_id}")
        problems = roll_back_there(self.api, dag_id, Wanted((region,), "The demo shows the way back."), self.say)
        if fleet_view.live_commits(self.views())[region] == {commit.sha}:
            problems.append(f"{region} did not go back")
        self.say(f"The way forward again: {region} to {red}")
        return problems + roll_back_there(self.api, dag_id, Wanted((region,), "And forward again.", red), self.say)

    def say(self, line: str) -> None:
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def follow(self, commit: Commit, dag_id: str = DAG_ID) -> RunState:
        """Show the run that took the commit until it ends."""
        runs = self.runs
        self.wait_until(lambda: runs.of_commit(dag_id, commit.sha) is not None, COMMIT_TO_RUN_SECONDS, "no run took it")
        deadline = time.monotonic() + RUN_LIMIT_SECONDS
        with Screen(self.console) as screen:
            while time.monotonic() < deadline:
                self.stack.check()
                try:
                    run = runs.of_commit(dag_id, commit.sha)
                    assert run is not None
                    tasks = self.api.tasks(dag_id, run.run_id)
                    self.evening.look(tasks)
                    told = [runs.story(dag_id, run, about(commit), tasks)]
                    told += self.next_release.look(tasks) if self.next_release else []
                except httpx.HTTPError:
                    time.sleep(1)
                    continue
                counters = self.counters()
                self.mark(tasks, counters)
                screen.show(told, counters)
                if run.state in {"success", "failed"}:
                    return run
                time.sleep(1)
        raise RedstartError(f"the run did not end within {RUN_LIMIT_SECONDS} s")

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
        views, verdict, after = self.views(), self.verdict(run), self.counters()
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
        everywhere = fleet_view.view_all(airflow_environment(self.settings), [self.app])
        self.console.print(fleet_table(fleet_view.rows(everywhere), self.console.width))
        self.say_traffic(after)
        score = float(verdict["score"]) if verdict else None
        if score is not None:
            self.say(f"Canary score: {score:.1f}")
        if run.state == "failed":
            self.say(f"Why it stopped: {self.reason(run)}")
        return Outcome(run.state, score, failed, tuple(problems))

    def say_traffic(self, after: Counters | None) -> None:
        """Requests of the whole run, of the push alone, and how the soak's traffic was shared."""
        for moment, words in (("start", "the run"), ("push", "the push of all regions")):
            if counted := sent_and_failed(self.marks.at(moment), after):
                self.say(f"Requests during {words}: {counted[0]:,}, failed: {counted[1]:,}")
        region = self.app.prod.canary_region
        shared = shares(self.marks.at("soak"), self.soak_last, region)
        if shared:
            words = ", ".join(f"{group} {share:.1f} %" for group, share in shared.items())
            self.say(f"Traffic in {region} during the soak: {words}")

    def reason(self, run: RunState, dag_id: str = DAG_ID) -> str:
        return self.runs.reason(dag_id, run)

    def verdict(self, run: RunState, dag_id: str = DAG_ID) -> dict[str, Any] | None:
        return self.runs.verdict(dag_id, run)

    def views(self) -> list[Any]:
        """Production, region by region."""
        return fleet_view.view_environment(airflow_environment(self.settings), self.app)

    def counters(self) -> dict[str, Any] | None:
        try:
            return dict(httpx.get(f"{self.settings.traffic_url}/counters", timeout=2).json())
        except (httpx.HTTPError, ValueError):
            return None

    def say_where(self) -> None:
        passwords = json.loads((self.settings.airflow_home / "passwords.json").read_text())
        self.say(f"\nAirflow   {self.settings.airflow_url}/dags/{DAG_ID}")
        self.say(f"log in    admin / {passwords['admin']}")
        self.say(f"traffic   {self.settings.traffic_url}/counters")
        self.say(f"reports   {self.settings.storage}/canaries")

    def run_of(self, commit: Commit, dag_id: str = DAG_ID) -> RunState | None:
        """The newest run that selected this commit."""
        return self.runs.of_commit(dag_id, commit.sha)

    def wait_until(self, condition: Any, seconds: float, otherwise: str) -> None:
        """RedstartError where the condition does not hold in time; an Airflow that does not answer is asked again."""
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
    """The stack's settings with the demo's soak, watch and evening, unless the environment says others."""
    os.environ.setdefault("REDSTART_SOAK_SECONDS", str(DEMO_SOAK_SECONDS))
    os.environ.setdefault("REDSTART_WATCH_SECONDS", str(DEMO_WATCH_SECONDS))
    os.environ.setdefault("REDSTART_MARKETS_WITHOUT_HISTORY", REGION)
    return read_settings()
