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
    "push": "red/black push",
    "finish": "say what runs where",
}
PUSH_NOTES: Mapping[str, str] = {
    "push.claim_cluster": "waits for its turn",
    "push.push_red_black": "new group up, traffic over",
    "push.watch_red": "the new group alone, watched",
    "push.roll_back": "goes back",
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
    """Lines in the order of the flow; the tasks of a region's push are one line, in the order of the regions."""
    tasks = list(tasks)
    order = list(TITLES)
    lines = [(order.index(task.task_id), 0, stage_of(task, notes, now)) for task in tasks if task.task_id in TITLES]
    for index in sorted({task.map_index for task in tasks if task.task_id in PUSH_NOTES}):
        of_region = [task for task in tasks if task.task_id in PUSH_NOTES and task.map_index == index]
        lines.append((order.index("push"), index, push_stage(of_region, now)))
    return [stage for _, _, stage in sorted(lines, key=lambda line: line[:2])]


def stage_of(task: TaskState, notes: Mapping[str, str], now: datetime) -> Stage:
    word = WORDS.get(task.state, task.state)
    if word == "soaking" and task.task_id != "canary.analyze_canary":
        word = "waiting"
    return Stage(TITLES[task.task_id], word, elapsed(task, now), notes.get(task.task_id, ""))


def push_stage(tasks: Sequence[TaskState], now: datetime) -> Stage:
    """A region's push as one line: what its last task that has begun does; done when the watch is over."""
    order = list(PUSH_NOTES)
    begun = [task for task in tasks if task.state not in {"none", "scheduled", "skipped", "upstream_failed"}]
    last = max(begun or tasks, key=lambda task: order.index(task.task_id) if begun else -order.index(task.task_id))
    label = next((task.label for task in tasks if task.label), "")
    title = f"{TITLES['push']} {label}".rstrip()
    word, note = WORDS.get(last.state, last.state), PUSH_NOTES[last.task_id]
    if word == "soaking":
        word = "waiting" if last.task_id == "push.claim_cluster" else "watching"
    if any(task.state == "failed" for task in tasks):
        word, note = "failed", "went back" if last.task_id == "push.roll_back" and word == "done" else note
    elif word == "done" and last.task_id != "push.watch_red":
        word = "running"
    return Stage(title, word, _push_seconds(tasks, now), "" if word in {"done", "skipped", "not reached"} else note)


def _push_seconds(tasks: Sequence[TaskState], now: datetime) -> float | None:
    """From the begin of the push itself: waiting for one's turn is no work."""
    begins = [task.started_at for task in tasks if task.task_id == "push.push_red_black" and task.started_at]
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
