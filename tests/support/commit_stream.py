"""Commits that come to a branch of a running stack, and what became of each: when it had a run, and which."""

from __future__ import annotations

import json
import subprocess
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import httpx

from include.adapters.ledger_store import SqlLedger
from include.apps.webhook import sign
from include.ledger import Kind
from include.services.airflow_env import airflow_environment
from redstart.cli.commit import AUTHOR
from tests.support.stack import wait_for

if TYPE_CHECKING:
    from redstart.cli.demo import Demo

ENDED = {"success", "failed"}


@dataclass(frozen=True)
class Started:
    """Seconds from before the push until Airflow had the run, and until it ran."""

    run_id: str
    to_run: float
    to_running: float


class CommitStream:
    """One flow of a demo's stack and its branch. Its commits do not build, so that their runs end in seconds."""

    def __init__(self, demo: Demo, flow: str = "test") -> None:
        self.demo, self.api, self.flow = demo, demo.api, flow
        self.dag_id = demo.app.dag_id(flow)
        self.branch: str = demo.app.flows[flow].branch  # type: ignore[union-attr]
        self.ledger = SqlLedger(demo.settings.ledger_url)
        self.folder = demo.settings.home / f"stream-{flow}"
        self._git("clone", "--quiet", "--branch", self.branch, str(demo.settings.git_root / "api"), str(self.folder))
        self._count = 0

    def commit(self) -> str:
        """A small commit, pushed; its id."""
        self._count += 1
        (self.folder / "build.py").write_text(f"raise SystemExit('commit {self._count} of a stream builds nothing')\n")
        here = ("-C", str(self.folder))
        self._git(*here, "add", "--all")
        self._git(*here, "commit", "--quiet", "--message", f"Commit {self._count} of a stream")
        self._git(*here, "push", "--quiet", "origin", f"HEAD:refs/heads/{self.branch}")
        return self._git(*here, "rev-parse", "HEAD").strip()

    def nudge(self, commit: str) -> int:
        """Tell the webhook as GitHub does; the status of its answer."""
        connection = json.loads(airflow_environment(self.demo.settings)["AIRFLOW_CONN_REDSTART_WEBHOOK"])
        told = {"ref": f"refs/heads/{self.branch}", "after": commit, "repository": {"full_name": "acme/api"}}
        body = json.dumps(told).encode()
        headers = {"X-GitHub-Event": "push", "X-Hub-Signature-256": sign(body, connection["password"])}
        url = f"{self.demo.settings.airflow_url}/redstart/webhook"
        return httpx.post(url, content=body, headers=headers, timeout=30).status_code

    def time_commit(self, *, is_nudged: bool) -> Started:
        """Push a commit and wait for its run, and that run's end."""
        known = {run["dag_run_id"] for run in self.runs()}
        began = time.time()
        commit = self.commit()
        if is_nudged:
            assert self.nudge(commit) == 202
        (run_id,) = wait_for(lambda: {run["dag_run_id"] for run in self.runs()} - known, 60, "a run", every=0.1)
        self.await_end(run_id)
        return self._started(run_id, began)

    def time_by_hand(self) -> Started:
        """The same for a run that is started by Airflow's API."""
        began = time.time()
        run_id = self.api.start(self.dag_id, {"reason": "to compare with"})
        self.await_end(run_id)
        return self._started(run_id, began)

    def runs(self) -> list[dict[str, Any]]:
        response = self.api.ask("GET", f"{self._path}?order_by=-run_after&limit=100")
        response.raise_for_status()
        return list(response.json()["dag_runs"])

    def await_end(self, run_id: str) -> None:
        wait_for(lambda: self._run(run_id)["state"] in ENDED, 120, f"{run_id} ends", every=0.3)

    def await_idle(self) -> None:
        """There was a run, and none is under way."""

        def is_idle() -> bool:
            states = {run["state"] for run in self.runs()}
            return bool(states) and states <= ENDED

        wait_for(is_idle, 300, f"every run of {self.dag_id} ends", every=1)

    def accounts(self) -> dict[str, list[str]]:
        """Commit -> the runs that it is the subject of, or named in as superseded."""
        found: dict[str, list[str]] = defaultdict(list)
        for one in self.ledger.events(app="api", kinds={Kind.COMMIT_SELECTED, Kind.COMMIT_SUPERSEDED}):
            if one.event.data["flow"] == self.flow:
                found[str(one.event.data["commit"])].append(f"{one.event.kind} {one.event.run}")
        return found

    @property
    def _path(self) -> str:
        return f"/api/v2/dags/{self.dag_id}/dagRuns"

    def _run(self, run_id: str) -> dict[str, Any]:
        return dict(self.api.ask("GET", f"{self._path}/{run_id}").json())

    def _started(self, run_id: str, began: float) -> Started:
        run = self._run(run_id)
        queued, started = (
            datetime.fromisoformat(run[key].replace("Z", "+00:00")) for key in ("queued_at", "start_date")
        )
        return Started(run_id, queued.timestamp() - began, started.timestamp() - began)

    def _git(self, *arguments: str) -> str:
        who = ["-c", f"user.name={AUTHOR['NAME']}", "-c", f"user.email={AUTHOR['EMAIL']}"]
        done = subprocess.run(["git", *who, *arguments], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, f"git {arguments}: {done.stderr}"
        return done.stdout
