"""The demo's picture from task states."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from redstart.cli.airflow_api import TaskState
from redstart.cli.regions import Regions, Wait
from redstart.cli.story import RunStory, Stage, last_word, note_of_tests, score_note, soak_note, stages

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def task(task_id: str, state: str, *, index: int = -1, label: str = "", ago: float | None = None) -> TaskState:
    started = None if ago is None else NOW - timedelta(seconds=ago)
    return TaskState(task_id, index, label, state, started)


def test_stages_follow_the_flow_and_name_regions() -> None:
    seen = stages(
        [
            task("push.push_red_black", "running", index=1, label="us-west-2", ago=9),
            task("push.claim_cluster", "success", index=1, label="us-west-2", ago=70),
            task("push.push_red_black", "success", index=0, label="us-east-1", ago=60),
            task("push.watch_red", "success", index=0, label="us-east-1", ago=20),
            task("push.roll_back", "skipped", index=0),
            task("push.claim_cluster", "deferred", index=2, label="eu-west-1", ago=70),
            task("push.push_red_black", "none", index=2),
            task("build.select_commit", "success", ago=100),
            task("something_else", "success", ago=1),
        ],
        {},
        NOW,
    )
    assert [(stage.title, stage.state, stage.note) for stage in seen] == [
        ("select the commit", "done", ""),
        ("red/black push us-east-1", "done", ""),
        ("red/black push us-west-2", "running", "new group up, traffic over"),
        ("red/black push eu-west-1", "waiting", "waits for its turn"),
    ]
    assert [stage.seconds for stage in seen[2:]] == [9, None]


NAMES = ("us-east-1", "us-west-2", "eu-west-1")
WAVES = ("us-west-2", "eu-west-1", "us-east-1")
PEAK = Wait("the market is at its peak (usually 64 % of the day's highest)", NOW + timedelta(seconds=57))


def test_regions_are_told_in_the_order_of_their_waves_by_name_before_they_begin() -> None:
    tasks = [task("push.await_quiet_window", "none", index=index, label=str(index)) for index in range(3)]
    seen = stages(tasks, {}, NOW, Regions(NAMES, WAVES))
    assert [stage.title for stage in seen] == [f"red/black push {region}" for region in WAVES]
    listed = stages(tasks, {}, NOW, Regions(NAMES))
    assert [stage.title for stage in listed] == [f"red/black push {region}" for region in NAMES]


def test_a_region_at_its_peak_says_what_it_waits_for_and_how_long() -> None:
    tasks = [
        task("push.await_quiet_window", "deferred", index=1, label="us-west-2", ago=9),
        task("push.await_quiet_window", "deferred", index=2, label="eu-west-1", ago=9),
        task("push.push_red_black", "none", index=1),
    ]
    west, europe = stages(tasks, {}, NOW, Regions(NAMES, WAVES, {1: PEAK}))
    assert (west.title, west.state, west.seconds) == ("red/black push us-west-2", "waiting", None)
    assert west.note == "at its peak until 12:00:57 UTC (0:57 left)"
    assert west.why == PEAK.why
    assert (europe.state, europe.note, europe.why) == ("waiting", "waits for its turn", "")


def test_what_was_waited_for_is_no_longer_told_when_the_push_is_under_way() -> None:
    tasks = [
        task("push.await_quiet_window", "success", index=1, label="us-west-2", ago=90),
        task("push.claim_cluster", "success", index=1, label="us-west-2", ago=9),
        task("push.push_red_black", "running", index=1, label="us-west-2", ago=5),
    ]
    (west,) = stages(tasks, {}, NOW, Regions(NAMES, WAVES, {1: PEAK}))
    assert (west.state, west.note, west.why) == ("running", "new group up, traffic over", "")


def test_regions_of_one_wave_are_told_side_by_side() -> None:
    tasks = [task("push.push_red_black", "running", index=index, label=NAMES[index], ago=5) for index in (0, 1, 2)]
    seen = stages(tasks, {}, NOW, Regions(NAMES, WAVES))
    assert [(stage.title[-9:], stage.state) for stage in seen] == [(region, "running") for region in WAVES]


def test_a_halt_takes_the_last_region_back_first_and_is_told_only_when_it_happens() -> None:
    pushed = [task("push.watch_red", "success", index=index, label=NAMES[index]) for index in (1, 2)]
    halted = [
        task("push.await_quiet_window", "failed", index=0, label=NAMES[0]),
        task("push.push_red_black", "upstream_failed", index=0),
    ]
    for quiet in ("none", "skipped", "scheduled"):
        idle = [task("halt.take_back", quiet, index=index) for index in range(3)]
        assert len(stages([*pushed, *halted, *idle], {}, NOW, Regions(NAMES, WAVES))) == 3
    back = [
        task("halt.take_back", "running", index=2, ago=4),
        task("halt.take_back", "deferred", index=1, ago=4),
        task("halt.take_back", "skipped", index=0),
        task("finish", "upstream_failed"),
    ]
    seen = stages([*pushed, *halted, *back], {}, NOW, Regions(NAMES, WAVES))
    assert [(stage.title, stage.state, stage.note) for stage in seen] == [
        ("red/black push us-west-2", "done", ""),
        ("red/black push eu-west-1", "done", ""),
        ("red/black push us-east-1", "failed", "not begun"),
        ("take back eu-west-1", "running", ""),
        ("take back us-west-2", "waiting", ""),
        ("say what runs where", "not reached", ""),
    ]


def test_environments_are_told_side_by_side_each_with_its_tests() -> None:
    seen = stages(
        [
            task("staging.run_tests", "none"),
            task("staging.push.push_red_black", "running", index=0, label="us-east-1", ago=5),
            task("staging.push.claim_cluster", "success", index=0, label="us-east-1", ago=6),
            task("integration.run_tests", "success", ago=2),
            task("integration.push.push_red_black", "success", index=0, label="us-east-1", ago=20),
            task("integration.push.watch_red", "success", index=0, label="us-east-1", ago=4),
            task("mark_candidate", "none"),
            task("build.bake_image", "success", ago=30),
            task("finish", "none"),
        ],
        {"integration.run_tests": "15 tests passed"},
        NOW,
    )
    assert [(stage.title, stage.state, stage.note) for stage in seen] == [
        ("bake the image, copy it to every region", "done", ""),
        ("red/black push integration us-east-1", "done", ""),
        ("test integration", "done", "15 tests passed"),
        ("red/black push staging us-east-1", "running", "new group up, traffic over"),
        ("test staging", "waiting", ""),
        ("write down the release candidate", "waiting", ""),
        ("say what runs where", "waiting", ""),
    ]


def test_release_begins_with_its_candidate_and_ends_with_the_merge() -> None:
    order = ["merge_release", "push.push_red_black", "finish", "canary.launch_canary", "select_candidate"]
    seen = stages([task(one, "none", index=0 if one.startswith("push") else -1) for one in order], {}, NOW)
    assert [stage.title for stage in seen] == [
        "select the release candidate",
        "launch canary and baseline",
        "red/black push",
        "say what runs where",
        "merge release into prod, tag it",
    ]


def test_a_run_in_a_few_words() -> None:
    def now(*states: str) -> str:
        return RunStory("api_release", "", "", [Stage(f"stage {i}", state, None) for i, state in enumerate(states)]).now

    assert now() == now("waiting", "waiting") == now("done", "waiting") == "waiting"
    assert now("done", "running", "watching", "waiting") == "stage 1, stage 2"
    assert now("done", "failed", "not reached") == "failed: stage 1"
    assert now("done", "skipped") == "done"


def test_tests_are_counted_without_those_skipped() -> None:
    assert note_of_tests({"total": 15, "skipped": 2}) == "13 tests passed"
    assert note_of_tests(None) == note_of_tests({"schema": 1}) == ""


def test_push_that_went_back_has_failed() -> None:
    tasks = [
        task("push.claim_cluster", "success", index=0, label="us-east-1", ago=70),
        task("push.push_red_black", "success", index=0, label="us-east-1", ago=60),
        task("push.watch_red", "failed", index=0, label="us-east-1", ago=30),
        task("push.roll_back", "running", index=0, label="us-east-1", ago=3),
    ]
    (going,) = stages(tasks, {}, NOW)
    assert (going.state, going.note) == ("failed", "goes back")
    (gone,) = stages([*tasks[:3], task("push.roll_back", "success", index=0, ago=3)], {}, NOW)
    assert (gone.state, gone.note) == ("failed", "went back")


def test_region_that_was_not_asked_for_is_skipped() -> None:
    names = ("claim_cluster", "push_red_black", "watch_red", "roll_back")
    (stage,) = stages([task(f"push.{name}", "skipped", index=0) for name in names], {}, NOW)
    assert (stage.state, stage.seconds) == ("skipped", None)


def test_region_that_was_not_reached_is_not_called_by_its_number() -> None:
    (stage,) = stages([task("push.push_red_black", "upstream_failed", index=2, label="2")], {}, NOW)
    assert (stage.title, stage.state) == ("red/black push", "not reached")


def test_soak_soaks_and_a_pushed_group_is_watched() -> None:
    seen = stages([task("canary.analyze_canary", "deferred"), task("push.watch_red", "deferred", index=0)], {}, NOW)
    assert [stage.state for stage in seen] == ["soaking", "watching"]


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


def test_the_last_word_of_a_log_is_the_tasks_own() -> None:
    log = ["fetched", "no-go: score 84. Production is untouched.", "Task failed with exception", "::endgroup::", " "]
    assert last_word(log) == "no-go: score 84. Production is untouched."
    assert last_word(["::group::x"]) == "no word in its log"
