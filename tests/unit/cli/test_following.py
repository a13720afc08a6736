"""Which run took a commit, and what there is to say beside a task."""

from __future__ import annotations

from typing import Any

from redstart.cli.airflow_api import RunState, TaskState
from redstart.cli.following import Runs

FIRST, SECOND = RunState("first", "success", None), RunState("second", "running", None)


class Api:
    """Answers from a table: (run, task) -> result."""

    def __init__(self, results: dict[tuple[str, str], Any]) -> None:
        self.results, self.lists = results, 0

    def runs(self, dag_id: str) -> list[RunState]:
        self.lists += 1
        return [SECOND, FIRST]

    def run(self, dag_id: str, run_id: str) -> RunState:
        return {"first": FIRST, "second": SECOND}[run_id]

    def result(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1, *, key: str = "") -> Any:
        return self.results.get((run_id, f"{task_id}/{map_index}/{key}" if key else task_id))


def runs_of(results: dict[tuple[str, str], Any]) -> Runs:
    return Runs(Api(results))  # type: ignore[arg-type]


def test_commit_is_found_where_it_was_selected_or_chosen_as_a_candidate() -> None:
    runs = runs_of({("first", "build.select_commit"): {"commit": "a"}, ("second", "select_candidate"): {"commit": "b"}})
    assert (runs.of_commit("x", "a"), runs.of_commit("x", "b"), runs.of_commit("x", "c")) == (FIRST, SECOND, None)
    asked = runs.api.lists  # type: ignore[attr-defined]
    assert runs.of_commit("x", "a") == FIRST
    assert runs.api.lists == asked, "what is known is not looked for again"  # type: ignore[attr-defined]


def test_notes_say_the_score_and_how_many_tests_passed() -> None:
    found = {
        ("first", "canary.analyze_canary"): {"score": 98.0, "judged": 1102},
        ("first", "staging.run_tests"): {"total": 15, "skipped": 0},
    }
    tasks = [TaskState("canary.analyze_canary", -1, "", "success"), TaskState("staging.run_tests", -1, "", "success")]
    notes = runs_of(found).notes("x", FIRST, tasks)
    assert notes == {"canary.analyze_canary": "score 98.0, 1102 metrics", "staging.run_tests": "15 tests passed"}


def test_what_regions_wait_for_is_asked_while_they_wait_and_their_order_when_it_is_known() -> None:
    opens = "2026-11-23T18:57:10+00:00"
    found = {
        ("first", "push.await_quiet_window/1/wait"): {"schema": 1, "why": "at its peak", "opens": opens},
        ("first", "push.await_quiet_window/0/wait"): {"schema": 1, "why": "long ago", "opens": opens},
        ("first", "order_regions"): {"schema": 2, "waves": [["us-west-2"], ["us-east-1"]]},
    }
    runs = Runs(Api(found), ("us-east-1", "us-west-2"))  # type: ignore[arg-type]
    tasks = [
        TaskState("push.await_quiet_window", 0, "us-east-1", "success"),
        TaskState("push.await_quiet_window", 1, "us-west-2", "deferred"),
        TaskState("order_regions", -1, "", "success"),
    ]
    assert {index: wait.why for index, wait in runs.waits("x", FIRST, tasks).items()} == {1: "at its peak"}
    told = runs.story("x", FIRST, "", tasks)
    assert [stage.title for stage in told.stages][1:] == ["red/black push us-west-2", "red/black push us-east-1"]
    assert told.stages[1].why == "at its peak"
    assert runs.order("x", FIRST, [TaskState("order_regions", -1, "", "running")]) == []
