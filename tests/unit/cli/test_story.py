"""The demo's picture from task states."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from redstart.cli.airflow_api import TaskState
from redstart.cli.story import clock, last_word, score_note, soak_note, stages

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def task(task_id: str, state: str, *, index: int = -1, label: str = "", ago: float | None = None) -> TaskState:
    started = None if ago is None else NOW - timedelta(seconds=ago)
    return TaskState(task_id, index, label, state, started)


def test_stages_follow_the_flow_and_name_regions() -> None:
    seen = stages(
        [
            task("push.push_red_black", "running", index=1, label="us-west-2", ago=9),
            task("push.push_red_black", "success", index=0, label="us-east-1", ago=60),
            task("build.select_commit", "success", ago=100),
            task("something_else", "success", ago=1),
        ],
        {},
        NOW,
    )
    assert [stage.title for stage in seen] == [
        "select the commit",
        "red/black push us-east-1",
        "red/black push us-west-2",
    ]
    assert seen[2].seconds == 9


def test_only_the_soak_soaks() -> None:
    seen = stages([task("canary.analyze_canary", "deferred"), task("push.push_red_black", "deferred")], {}, NOW)
    assert [stage.state for stage in seen] == ["soaking", "waiting"]


def test_skipped_tasks_took_no_time() -> None:
    (stage,) = stages([task("gate_score", "upstream_failed", ago=5)], {}, NOW)
    assert (stage.state, stage.seconds) == ("not reached", None)


def test_soak_note_counts_down_to_the_absolute_end() -> None:
    assert soak_note({"soak_end": "2026-11-23T12:03:05+00:00"}, NOW) == "3:05 left"
    assert soak_note({"soak_end": "2026-11-23T11:59:00+00:00"}, NOW) == "judging"
    assert soak_note(None, NOW) == ""


def test_score_note_shows_metrics_judged() -> None:
    assert score_note({"score": 98.25, "judged": 1102}) == "score 98.2, 1102 metrics"
    assert score_note(None) == ""


def test_clock_reads_as_people_write_it() -> None:
    assert [clock(s) for s in (0, 61, 3600 * 8 + 5)] == ["0:00", "1:01", "8:00:05"]


def test_the_last_word_of_a_log_is_the_tasks_own() -> None:
    log = ["fetched", "no-go: score 84. Production is untouched.", "Task failed with exception", "::endgroup::", " "]
    assert last_word(log) == "no-go: score 84. Production is untouched."
    assert last_word(["::group::x"]) == "no word in its log"
