"""What people do on a commit's journey: developers with git by hand, and whoever starts the weekly push by its form."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.adapters.ledger_store import SqlLedger
from include.apps.delivery import flow_key
from include.fleet.tags import PINNED
from include.ledger import Event, Kind, Place
from include.services.airflow_env import airflow_environment
from redstart.cli import fleet_view
from redstart.cli.airflow_api import RunState, TaskState
from redstart.cli.commit import AUTHOR
from redstart.cli.regions import order_of
from tests.support.stack import wait_for

if TYPE_CHECKING:
    from redstart.cli.demo import Demo


class Developer:
    """Has a clone of the application's repository, and no other means."""

    def __init__(self, demo: Demo) -> None:
        self.origin, self.folder = demo.settings.git_root / "api", demo.settings.home / "developer"
        _git(demo.settings.home, "clone", "--quiet", str(self.origin), str(self.folder))

    def commit(self, branch: str, file: str, old: str, new: str, message: str) -> str:
        """Replace a text that is once in the file, commit, push; the commit's id."""
        self._take(branch)
        path = self.folder / file
        text = path.read_text("utf-8")
        assert text.count(old) == 1, f"{file}: {old!r}"
        path.write_text(text.replace(old, new), "utf-8")
        _git(self.folder, "commit", "--quiet", "--all", "--message", message)
        return self._push(branch)

    def merge(self, source: str, into: str) -> str:
        """As a developer releases what was tested; the head of `into` after it."""
        self._take(into)
        _git(self.folder, "merge", "--quiet", "--no-edit", f"origin/{source}")
        return self._push(into)

    def head(self, branch: str) -> str:
        return _git(self.origin, "rev-parse", f"refs/heads/{branch}").strip()

    def has(self, branch: str, commit: str) -> bool:
        """Whether the branch contains the commit."""
        return bool(_git(self.origin, "branch", "--list", branch, "--contains", commit).strip())

    def tags_of(self, commit: str) -> list[str]:
        return _git(self.origin, "tag", "--points-at", commit).split()

    def _take(self, branch: str) -> None:
        _git(self.folder, "fetch", "--quiet", "origin")
        _git(self.folder, "checkout", "--quiet", "-B", branch, f"origin/{branch}")

    def _push(self, branch: str) -> str:
        _git(self.folder, "push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
        return _git(self.folder, "rev-parse", "HEAD").strip()


def _git(folder: Path, *arguments: str) -> str:
    who = [word for key, value in AUTHOR.items() for word in ("-c", f"user.{key.lower()}={value}")]
    done = subprocess.run(
        ["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, f"git {arguments[0]}: {done.stderr}"
    return done.stdout


class Journey:
    """What the tests look at: runs, tasks, the ledger, what serves."""

    def __init__(self, demo: Demo) -> None:
        self.demo, self.api = demo, demo.api
        self.developer = Developer(demo)
        self.ledger = SqlLedger(demo.settings.ledger_url)
        self.regions = demo.app.prod.region_names

    def run_of(self, dag_id: str, sha: str, seconds: float = 180) -> RunState:
        """The run that took a commit, as soon as there is one."""
        what = f"{dag_id} takes {sha[:10]}"
        return wait_for(lambda: self.demo.runs.of_commit(dag_id, sha), seconds, what)  # type: ignore[no-any-return]

    def await_end(self, dag_id: str, run_id: str, seconds: float) -> str:
        """The state in which the run ended; the stack's own end fails the test at once."""

        def ended() -> str:
            self.demo.stack.check()
            state = self.api.run(dag_id, run_id).state
            return state if state in {"success", "failed"} else ""

        return str(wait_for(ended, seconds, f"{run_id} of {dag_id} ends", 1.0))

    def await_success(self, dag_id: str, run: RunState, seconds: float) -> None:
        state = self.await_end(dag_id, run.run_id, seconds)
        assert state == "success", self.demo.reason(run, dag_id)

    def task(self, dag_id: str, run: RunState, task_id: str) -> TaskState:
        return next(task for task in self.api.tasks(dag_id, run.run_id) if task.task_id == task_id)

    def order(self, dag_id: str, run: RunState) -> list[str]:
        """Regions in the order in which the run pushes them; none while that is not known."""
        return order_of(self.api.result(dag_id, run.run_id, "order_regions"))

    def went_back(self, dag_id: str, run_id: str) -> list[str]:
        """Regions of the run in the order in which they were back where they had been."""
        key = flow_key(dag_id, run_id)
        return [one.place.region for one in self.events(Kind.ROLLBACK_FINISHED) if one.run.startswith(key)]

    def said(self, dag_id: str, run: RunState, task_id: str) -> str:
        """All that a task's last try told."""
        return "\n".join(self.api.log(dag_id, run.run_id, self.task(dag_id, run, task_id)))

    def passed(self, dag_id: str, run: RunState, environment: str) -> int:
        """How many of the application's own tests passed against the environment; none failed."""
        result: Any = self.api.result(dag_id, run.run_id, f"{environment}.run_tests")
        assert result["failed"] == 0, result
        return int(result["total"]) - int(result["skipped"])

    def live(self, environment: str = "prod") -> dict[str, Any]:
        """Region -> commits of what takes traffic in the environment."""
        connections = airflow_environment(self.demo.settings)
        return fleet_view.live_commits(fleet_view.view_environment(connections, self.demo.app, environment))

    def events(self, kind: Kind) -> list[Event]:
        return [one.event for one in self.ledger.events(app="api", kinds={kind})]

    def await_idle(self) -> None:
        """No run is under way: what comes next is not disturbed by what was before."""

        def is_idle() -> bool:
            flows = [self.demo.app.dag_id(flow) for flow in self.demo.app.flows]
            return not any(run.state in {"queued", "running"} for dag_id in flows for run in self.api.runs(dag_id))

        wait_for(is_idle, 240, "every run has ended", 1.0)

    def check_nothing_is_left(self) -> None:
        """No lock, no pinned minimum, nothing suspended on what serves, no canary."""
        places = [Place("api", "main", region) for region in self.regions]
        wait_for(lambda: not any(self.ledger.lease(place) for place in places), 30, "every lock is free")
        for view in self.demo.views():
            assert not [group.name for group in view.groups if group.tags.get(PINNED)]
            assert {group.tags.get("redstart:role") for group in view.groups} == {"main"}
            (serving,) = [group for group in view.groups if group.weight]
            assert not serving.suspended
