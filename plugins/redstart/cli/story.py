"""What the demo tells of a run: stages and regions from task states (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from redstart.cli.airflow_api import TaskState

TITLES: Mapping[str, str] = {
    "build.select_commit": "select the commit",
    "build.merge_back": "merge prod back into release",
    "build.build_artifact": "build the artifact",
    "build.run_unit_tests": "run the unit tests",
    "build.bake_image": "bake the image, copy it to every region",
    "canary.choose_baseline": "choose the baseline",
    "canary.launch_canary": "launch canary and baseline",
    "canary.analyze_canary": "soak and judge",
    "canary.stop_canary": "end canary and baseline",
    "gate_score": "gate",
    "order_regions": "order the regions",
    "push.push_red_black": "red/black push",
    "finish": "say what runs where",
}
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


@dataclass(frozen=True)
class Stage:
    """One line of the picture; `seconds` is how long it has taken so far."""

    title: str
    state: str
    seconds: float | None
    note: str = ""


def stages(tasks: Iterable[TaskState], notes: Mapping[str, str], now: datetime) -> list[Stage]:
    """Lines in the order of the flow; a mapped task has a line for each region, in the order it was mapped."""
    known = sorted(
        (task for task in tasks if task.task_id in TITLES),
        key=lambda task: (list(TITLES).index(task.task_id), task.map_index),
    )
    result = []
    for task in known:
        title = TITLES[task.task_id] + (f" {task.label}" if task.label else "")
        word = WORDS.get(task.state, task.state)
        if word == "soaking" and task.task_id != "canary.analyze_canary":
            word = "waiting"
        result.append(Stage(title, word, elapsed(task, now), notes.get(task.task_id, "")))
    return result


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


def clock(seconds: float) -> str:
    minutes, rest = divmod(int(max(0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def now_utc() -> datetime:
    return datetime.now(UTC)


def last_word(lines: Sequence[str]) -> str:
    """The last message of a task's log, without Airflow's own (`Task ...`) and its marks of groups (`::...`)."""
    own = (line for line in reversed(lines) if line.strip() and not line.startswith(("Task ", "::")))
    return next(own, "no word in its log")
