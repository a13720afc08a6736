"""What the command line asks of Airflow's public REST API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from include.errors import RefusedError

ENDED = frozenset({"success", "failed", "upstream_failed", "skipped", "removed"})


@dataclass(frozen=True)
class TaskState:
    """One task instance; `label` is the mapped index in words (a region) or ''. Times are tz-aware."""

    task_id: str
    map_index: int
    label: str
    state: str
    started_at: datetime | None = None
    ended_at: datetime | None = None
    try_number: int = 0
    instance_id: str = ""

    @property
    def is_ended(self) -> bool:
        return self.state in ENDED


@dataclass(frozen=True)
class RunState:
    run_id: str
    state: str
    started_at: datetime | None


class AirflowApi:
    """A logged-in client; `httpx.HTTPError` where Airflow does not answer."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url
        self._client = httpx.Client(base_url=url, timeout=30)
        self._login = {"username": user, "password": password}

    def runs(self, dag_id: str) -> list[RunState]:
        """Newest first, at most 20."""
        body = self._get(f"/api/v2/dags/{dag_id}/dagRuns", order_by="-run_after", limit=20)
        return [RunState(run["dag_run_id"], run["state"], _moment(run["start_date"])) for run in body["dag_runs"]]

    def run(self, dag_id: str, run_id: str) -> RunState:
        run = self._get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")
        return RunState(run["dag_run_id"], run["state"], _moment(run["start_date"]))

    def start(self, dag_id: str, form: Mapping[str, Any]) -> str:
        """Start a run with the form's values; its id. RefusedError in Airflow's words where it does not take them."""
        body = {"logical_date": None, "conf": dict(form)}
        response = self._request("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body)
        if response.status_code in (400, 403, 404, 422):
            raise RefusedError(f"Airflow did not start {dag_id}: {response.status_code} {response.text[:500]}")
        response.raise_for_status()
        return str(response.json()["dag_run_id"])

    def is_dag_ready(self, dag_id: str) -> bool:
        response = self._request("GET", f"/api/v2/dags/{dag_id}")
        return response.status_code == 200 and not response.json()["is_paused"]

    def tasks(self, dag_id: str, run_id: str) -> list[TaskState]:
        body = self._get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances", limit=100)
        return [
            TaskState(
                task["task_id"],
                task["map_index"],
                str(task.get("rendered_map_index") or ""),
                task["state"] or "none",
                _moment(task["start_date"]),
                _moment(task["end_date"]),
                task["try_number"],
                str(task.get("id", "")),
            )
            for task in body["task_instances"]
        ]

    def result(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1, *, key: str = "return_value") -> Any:
        """What a task returned, or left under another key; None while there is none."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        response = self._request("GET", path, params={"map_index": map_index, "deserialize": "false"})
        if response.status_code == 404:
            return None
        response.raise_for_status()
        value = response.json()["value"]
        if isinstance(value, str):
            try:
                return json.loads(value)
            except ValueError:
                return value
        return value

    def log(self, dag_id: str, run_id: str, task: TaskState) -> list[str]:
        """The messages of a task's last try."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task.task_id}/logs/{max(task.try_number, 1)}"
        body = self._get(path, map_index=task.map_index, full_content="true")
        return [said for line in body["content"] for said in _said(line)]

    def ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Any request below Airflow's address, logged in; the answer whatever its status."""
        return self._request(method, path, **arguments)

    def _get(self, path: str, **params: Any) -> Any:
        response = self._request("GET", path, params=params)
        response.raise_for_status()
        return response.json()

    def _request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        if "Authorization" not in self._client.headers:
            self._log_in()
        response = self._client.request(method, path, **arguments)
        if response.status_code == 401:
            self._log_in()
            response = self._client.request(method, path, **arguments)
        return response

    def _log_in(self) -> None:
        response = self._client.post("/auth/token", json=self._login)
        response.raise_for_status()
        self._client.headers["Authorization"] = f"Bearer {response.json()['access_token']}"


def _said(line: Any) -> list[str]:
    """A log line's message, and the words of the error that came with it."""
    if not isinstance(line, dict):
        return [str(line)]
    errors = [str(error.get("exc_value", "")) for error in line.get("error_detail") or ()]
    return [str(line.get("event", "")), *errors]


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None
