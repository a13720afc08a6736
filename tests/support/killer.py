"""kill -9 of tasks of a push, each time at another deed, as the ledger tells of it."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from typing import TYPE_CHECKING

from include.adapters.ledger_store import SqlLedger
from include.ledger import Event, Kind
from include.services.processes import is_alive
from redstart.cli.airflow_api import TaskState
from tests.support.stack import task_process

if TYPE_CHECKING:
    from redstart.cli.demo import Demo

TASKS = ("push.push_red_black", "push.watch_red")
MOST_KILLS = 2
"""Of one task, which has more retries than that."""


class Killer:
    """kill -9 of whichever task process has just written down that it is about to do something new.

    In each region and each push at other deeds: the `number`th push's first region is let alone until its
    `number`th deed, the next ones for two deeds longer each. A hurried one kills once in each region, in turn the task
    that pushes and the one that watches.
    """

    def __init__(self, demo: Demo, number: int, dag_id: str = "api_prod", *, is_hurried: bool = False) -> None:
        self.demo, self.number, self.dag_id, self.is_hurried = demo, number, dag_id, is_hurried
        self.killed: list[str] = []
        self._ledger = SqlLedger(demo.settings.ledger_url)
        self._seen = max((one.number for one in self._ledger.events()), default=0)
        self._deeds: Counter[tuple[str, int]] = Counter()
        self._kills: Counter[tuple[str, int]] = Counter()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Killer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            if not (found := self._find_victim()):
                self._stop.wait(0.5)
                continue
            task, pid = found
            while event := self._await_deed(pid):
                if self._is_time(task):
                    os.kill(pid, signal.SIGKILL)
                    self.killed.append(f"{event.place.region}: {event.data['step']}")

    def _is_time(self, task: TaskState) -> bool:
        if self.is_hurried and task.task_id != TASKS[task.map_index % len(TASKS)]:
            return False
        key = task.task_id, task.map_index  # each try has an instance id of its own
        self._deeds[key] += 1
        patience = 2 * task.map_index + self.number if task.task_id == TASKS[0] else task.map_index + 1
        if self._deeds[key] < patience or self._kills[key] >= (1 if self.is_hurried else MOST_KILLS):
            return False
        self._kills[key] += 1
        return True

    def _find_victim(self) -> tuple[TaskState, int] | None:
        """A running task of the push, and its process."""
        for run in self.demo.api.runs(self.dag_id)[:1]:
            for task in self.demo.api.tasks(self.dag_id, run.run_id):
                is_pushing = task.task_id in TASKS and task.state == "running"
                if is_pushing and (pid := task_process(self.demo, task.instance_id)):
                    return task, pid
        return None

    def _await_deed(self, pid: int) -> Event | None:
        """The next intent that the ledger learns; None when the process ends before."""
        while is_alive(pid) and not self._stop.wait(0.02):
            events = self._ledger.events(kinds=(Kind.STEP_INTENDED,), newest=5)
            ours = [one for one in events if one.event.place.stack == "main" and one.number > self._seen]
            if ours:
                self._seen = ours[-1].number
                return ours[-1].event
        return None
