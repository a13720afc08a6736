"""What the demo tells of a run of any flow: stages, environments and regions from task states (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from redstart.cli.airflow_api import TaskState
from redstart.cli.regions import Regions, clock

TITLES: Mapping[str, str] = {
    "build.select_commit": "select the commit",
    "build.merge_back": "merge prod back into release",
    "build.build_artifact": "build the artifact",
    "build.run_unit_tests": "run the unit tests",
    "build.bake_image": "bake the image, copy it to every region",
    "select_candidate": "select the release candidate",
    "environments": "",  # <environment>.push and <environment>.run_tests, side by side
    "mark_candidate": "write down the release candidate",
    "claim_production": "wait for the way into production",
    "canary.choose_baseline": "choose the baseline",
    "canary.launch_canary": "launch canary and baseline",
    "canary.analyze_canary": "soak and judge",
    "canary.stop_canary": "end canary and baseline",
    "gate_score": "gate",
    "order_regions": "order the regions",
    "push": "red/black push",
    "halt.take_back": "take back",
    "finish": "say what runs where",
    "merge_release": "merge release into prod, tag it",
}
PUSH_NOTES: Mapping[str, str] = {
    "await_quiet_window": "waits for its turn",
    "claim_cluster": "waits for its turn",
    "push_red_black": "new group up, traffic over",
    "watch_red": "the new group alone, watched",
    "roll_back": "goes back",
}
_PUSH = re.compile(rf"(?:(?P<environment>\w+)\.)?push\.(?P<deed>{'|'.join(PUSH_NOTES)})")
TAKE_BACK = "halt.take_back"
_WAITS = ("await_quiet_window", "claim_cluster")
_UNTOLD = frozenset({"none", "scheduled", "skipped", "upstream_failed"})
_TESTS = re.compile(r"(?P<environment>\w+)\.run_tests")
_IN_PUSH, _IN_TESTS = 0, 1
WORDS = {
    "none": "waiting",
    "scheduled": "waiting",
    "queued": "queued",
    "running": "running",
    "deferred": "soaking",
    "success": "done",
    "failed": "failed",
    "up_for_retry": "retrying",
    "upstream_failed": "not reached",
    "skipped": "skipped",
    "restarting": "restarting",
}
BUSY = frozenset({"running", "soaking", "watching", "retrying", "queued"})


@dataclass(frozen=True)
class Stage:
    """One line of the picture; `seconds` is how long it has taken so far, `why` what it waits for, in a sentence."""

    title: str
    state: str
    seconds: float | None
    note: str = ""
    why: str = ""


@dataclass(frozen=True)
class RunStory:
    """A run as it is shown: what it is about, and its stages in their order."""

    dag_id: str
    about: str
    run_id: str
    stages: Sequence[Stage]

    @property
    def now(self) -> str:
        """What is being done at the moment, in a few words."""
        failed = [stage.title for stage in self.stages if stage.state == "failed"]
        busy = [stage.title for stage in self.stages if stage.state in BUSY]
        if failed:
            return f"failed: {', '.join(failed)}"
        if busy:
            return ", ".join(busy)
        return "done" if self.stages and all(stage.state in {"done", "skipped"} for stage in self.stages) else "waiting"


def stages(
    tasks: Iterable[TaskState], notes: Mapping[str, str], now: datetime, regions: Regions | None = None
) -> list[Stage]:
    """Lines in the order of the flow; the tasks of a region's push are one line, in the order of the regions."""
    order, regions = list(TITLES), regions or Regions()
    lines: list[tuple[tuple[int, str, int, int], Stage]] = []
    pushes: dict[tuple[str, int], list[TaskState]] = {}
    for task in tasks:
        if push := _PUSH.fullmatch(task.task_id):
            pushes.setdefault((push["environment"] or "", task.map_index), []).append(task)
        elif tests := _TESTS.fullmatch(task.task_id):
            environment = tests["environment"]
            key = (order.index("environments"), environment, _IN_TESTS, task.map_index)
            lines.append((key, stage_of(task, f"test {environment}", notes, now)))
        elif task.task_id in TITLES and not (task.task_id == TAKE_BACK and task.state in _UNTOLD):
            place = -regions.place(task.map_index) if task.task_id == TAKE_BACK else task.map_index
            key = (order.index(task.task_id), "", 0, place)
            lines.append((key, stage_of(task, _title(task, regions), notes, now)))
    for (environment, index), of_region in pushes.items():
        where = Regions() if environment else regions
        key = (order.index("environments" if environment else "push"), environment, _IN_PUSH, where.place(index))
        lines.append((key, push_stage(of_region, now, environment, where)))
    return [stage for _, stage in sorted(lines, key=lambda line: line[0])]


def _title(task: TaskState, regions: Regions) -> str:
    region = (_label([task]) or regions.name(task.map_index)) if task.task_id == TAKE_BACK else ""
    return f"{TITLES[task.task_id]} {region}".rstrip()


def stage_of(task: TaskState, title: str, notes: Mapping[str, str], now: datetime) -> Stage:
    word = WORDS.get(task.state, task.state)
    if word == "soaking" and task.task_id != "canary.analyze_canary":
        word = "waiting"
    return Stage(title, word, elapsed(task, now), notes.get(task.task_id, ""))


def push_stage(
    tasks: Sequence[TaskState], now: datetime, environment: str = "", regions: Regions | None = None
) -> Stage:
    """A region's push as one line: what its last task that has begun does; done when the watch is over."""
    order, regions, index = list(PUSH_NOTES), regions or Regions(), tasks[0].map_index
    begun = [task for task in tasks if task.state not in _UNTOLD]
    last = max(begun or tasks, key=lambda task: order.index(_deed(task)) if begun else -order.index(_deed(task)))
    title = " ".join(filter(None, (TITLES["push"], environment, _label(tasks) or regions.name(index))))
    word, note, wait = WORDS.get(last.state, last.state), PUSH_NOTES[_deed(last)], None
    if word == "soaking":
        word = "waiting" if _deed(last) in _WAITS else "watching"
        wait = regions.waits.get(index) if word == "waiting" else None
    if failed := [_deed(task) for task in tasks if task.state == "failed"]:
        word, note = "failed", "went back" if _deed(last) == "roll_back" and word == "done" else note
        note = "not begun" if set(failed) <= set(_WAITS) else note
    elif word == "done" and _deed(last) != "watch_red":
        word = "running"
    if wait is not None:
        return Stage(title, word, None, wait.note(now), wait.why)
    has_note = bool(begun) and word not in {"done", "skipped", "not reached"}
    return Stage(title, word, _push_seconds(tasks, now), note if has_note else "")


def _label(tasks: Sequence[TaskState]) -> str:
    """Until a task of a region has begun, Airflow names it by its number."""
    return next((task.label for task in tasks if task.label and not task.label.isdecimal()), "")


def _deed(task: TaskState) -> str:
    return task.task_id.rpartition(".")[2]


def _push_seconds(tasks: Sequence[TaskState], now: datetime) -> float | None:
    """From the begin of the push itself: waiting for one's turn is no work."""
    begins = [task.started_at for task in tasks if _deed(task) == "push_red_black" and task.started_at]
    if not begins:
        return None
    is_over = all(task.is_ended for task in tasks)
    end = max((task.ended_at for task in tasks if task.ended_at), default=now) if is_over else now
    return max(0.0, (end - begins[0]).total_seconds())


def elapsed(task: TaskState, now: datetime) -> float | None:
    if task.started_at is None or task.state in {"skipped", "upstream_failed"}:
        return None
    return max(0.0, ((task.ended_at or now) - task.started_at).total_seconds())


def soak_note(soak: Mapping[str, Any] | None, now: datetime) -> str:
    """Time left in the soak, from the launch task's result (`soak_end`, ISO time)."""
    if not soak or not soak.get("soak_end"):
        return ""
    left = (datetime.fromisoformat(str(soak["soak_end"])) - now).total_seconds()
    return f"{clock(left)} left" if left > 0 else "judging"


def score_note(verdict: Mapping[str, Any] | None) -> str:
    if not verdict:
        return ""
    judged = verdict.get("judged")
    return f"score {float(verdict['score']):.1f}" + (f", {judged} metrics" if judged else "")


def note_of_tests(result: Mapping[str, Any] | None) -> str:
    """What a station's tests found, from run_tests' result."""
    if not result or result.get("total") is None:
        return ""
    passed = int(result["total"]) - int(result.get("skipped", 0))
    return f"{passed} tests passed"


def now_utc() -> datetime:
    return datetime.now(UTC)


def last_word(lines: Sequence[str]) -> str:
    """The last message of a task's log, without Airflow's own (`Task ...`) and its marks of groups (`::...`)."""
    own = (line for line in reversed(lines) if line.strip() and not line.startswith(("Task ", "::")))
    return next(own, "no word in its log")
