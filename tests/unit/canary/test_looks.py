"""When a soak is looked at, and what a look leads to: moments and verdicts made by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.canary import Label, MetricVerdict, Thresholds, Verdict, judge_config
from include.canary.looks import (
    Look,
    LookPlan,
    after_look,
    for_look,
    look_of,
    looks_from_json,
    looks_json,
    next_look,
    no_answer,
    with_look,
)
from include.errors import ConfigError

START = datetime(2026, 11, 5, 14, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
EIGHT_HOURS = LookPlan(START, START + 8 * HOUR, every_seconds=1800, settle_seconds=10)
CONFIG = judge_config({"groups": {"all": 1}, "rules": [{"match": "*", "group": "all"}]}, source="test")


def metric(label: Label, *, critical: bool = False, points: int = 24) -> MetricVerdict:
    deviates = label.is_deviating
    stops = critical and deviates
    return MetricVerdict("m", label, "it is so", ("all",), critical, False, deviates, stops, 100.0, points=points)


def verdict(score: float, *metrics: MetricVerdict, points: int = 24, unknown_weight: float = 0.0) -> Verdict:
    thresholds = Thresholds()
    word = "pass" if score >= thresholds.go else "marginal" if score >= thresholds.marginal else "fail"
    found = metrics or (metric(Label.PASS),)
    return Verdict(score, word, found, (), unknown_weight, 20.0, thresholds, START, 5, points)


def test_eight_hours_are_looked_at_every_half_hour() -> None:
    assert len(EIGHT_HOURS.moments) == 15
    assert EIGHT_HOURS.moments[0] == START + 30 * MINUTE
    assert EIGHT_HOURS.moments[-1] == START + 7.5 * HOUR


def test_a_look_shortly_before_the_end_is_left_out() -> None:
    plan = LookPlan(START, START + 100 * MINUTE, every_seconds=1800)
    assert plan.moments == tuple(START + n * 30 * MINUTE for n in (1, 2))
    assert LookPlan(START, START + 105 * MINUTE, every_seconds=1800).moments[-1] == START + 90 * MINUTE


@pytest.mark.parametrize(("soak", "every"), [(60, 0), (60, 1800), (0, 60), (-30, 60)])
def test_short_soaks_are_judged_at_their_end_alone(soak: int, every: int) -> None:
    plan = LookPlan(START, START + timedelta(seconds=soak), every_seconds=every)
    assert plan.moments == ()
    assert next_look(plan, (), START).is_end


def test_first_look_is_waited_for() -> None:
    window = next_look(EIGHT_HOURS, (), START + MINUTE)
    assert (window.start, window.at) == (START, START + 30 * MINUTE)
    assert window.due == window.at + timedelta(seconds=10), "its last points must have arrived"
    assert not window.is_end


def test_whoever_asks_again_waits_for_the_same_moment() -> None:
    asked = {next_look(EIGHT_HOURS, (), START + n * MINUTE) for n in range(30)}
    assert len(asked) == 1


def test_look_that_was_taken_is_not_taken_again() -> None:
    due = START + 30 * MINUTE + timedelta(seconds=10)
    assert next_look(EIGHT_HOURS, (), due).at == START + 30 * MINUTE
    assert next_look(EIGHT_HOURS, [START + 30 * MINUTE], due).at == START + 60 * MINUTE


def test_after_an_outage_only_the_latest_look_is_made_up_for() -> None:
    window = next_look(EIGHT_HOURS, [START + 30 * MINUTE], START + 3 * HOUR + MINUTE)
    assert window.at == START + 3 * HOUR


def test_overdue_end_is_judged_and_no_look_before_it() -> None:
    window = next_look(EIGHT_HOURS, [START + 30 * MINUTE], START + 9 * HOUR)
    assert (window.start, window.at, window.is_end) == (START, START + 8 * HOUR, True)


def test_pair_that_replaced_a_lost_one_is_looked_at_by_its_own_start() -> None:
    later = replace(EIGHT_HOURS, start=START + 70 * MINUTE)
    done = [START + 30 * MINUTE, START + 60 * MINUTE]
    assert next_look(later, done, START + 71 * MINUTE).at == START + 100 * MINUTE


def test_sliding_window_goes_back_so_far_and_the_end_is_of_the_whole_soak() -> None:
    plan = replace(EIGHT_HOURS, lookback_seconds=3600)
    assert next_look(plan, (), START).start == START
    assert next_look(plan, [START + 2 * HOUR], START + 2 * HOUR).start == START + 1.5 * HOUR
    assert next_look(plan, plan.moments, START + 8 * HOUR).start == START


@given(st.integers(0, 30_000), st.integers(0, 4000), st.lists(st.integers(-100, 30_000)), st.integers(-100, 40_000))
def test_the_end_always_comes_and_looks_only_go_forward(soak: int, every: int, done: list[int], now: int) -> None:
    plan = LookPlan(START, START + timedelta(seconds=soak), every_seconds=every, settle_seconds=10)
    moments = [START + timedelta(seconds=seconds) for seconds in done]
    window = next_look(plan, moments, START + timedelta(seconds=now))
    assert plan.start <= window.start <= window.at <= plan.end
    assert window.is_end or window.at > max(moments, default=plan.start)
    assert window.is_end or window.due > START + timedelta(seconds=now) or window.at in plan.moments


def test_good_look_goes_on() -> None:
    assert after_look(verdict(97.0), CONFIG) == ""
    assert after_look(verdict(80.0), CONFIG) == "", "marginal: the rest of the soak may tell"


def test_score_below_marginal_ends_the_soak() -> None:
    assert after_look(verdict(74.9), CONFIG) == "score 74.9 is below 75"


def test_critical_metric_ends_the_soak_whatever_the_score() -> None:
    assert "critical m is HOT" in after_look(verdict(99.0, metric(Label.HOT, critical=True)), CONFIG)


def test_nothing_ends_a_soak_before_the_minimum_points() -> None:
    assert CONFIG.minimum.points == 12
    assert after_look(verdict(10.0, points=11), CONFIG) == ""
    assert after_look(verdict(99.0, metric(Label.HOT, critical=True, points=11)), CONFIG) == ""


def test_lack_of_evidence_never_ends_a_soak() -> None:
    assert after_look(verdict(50.0, unknown_weight=20.1), CONFIG) == ""
    unknown = replace(verdict(0.0, metric(Label.NO_DATA)), classification="unknown", unknown_weight=100.0)
    assert after_look(unknown, CONFIG) == ""


def test_chance_of_a_false_critical_is_shared_out_over_the_looks() -> None:
    config = for_look(CONFIG, 15)
    assert config.minimum.critical_alarm == pytest.approx(CONFIG.minimum.critical_alarm / 15)
    assert config.minimum.points == CONFIG.minimum.points
    assert config.rules == CONFIG.rules
    assert for_look(CONFIG, 0) == for_look(CONFIG, 1) == CONFIG


LOOKS = (
    Look(START + HOUR, START, 98.5, "go", 3.0, 12, "score 98.5"),
    Look(START + 2 * HOUR, START, None, "no answer", 100.0, 0, "throttled"),
)


def test_history_is_kept_and_read_back() -> None:
    assert looks_from_json(json.loads(json.dumps(looks_json(LOOKS)))) == LOOKS


def test_history_of_a_later_version_is_not_guessed_at() -> None:
    with pytest.raises(ConfigError, match="version"):
        looks_from_json({"version": 2, "looks": []})


def test_one_look_a_moment_and_the_last_word_stands() -> None:
    again = replace(LOOKS[1], outcome="go", score=99.0)
    assert with_look(LOOKS, again) == (LOOKS[0], again)
    assert with_look(LOOKS[1:], LOOKS[0]) == LOOKS


def test_line_of_the_history_says_what_the_verdict_said() -> None:
    window = next_look(EIGHT_HOURS, (), START)
    look = look_of(window, verdict(91.0, metric(Label.COLD), metric(Label.PASS), unknown_weight=4.0), "no-go", "why")
    assert look == Look(window.at, START, 91.0, "no-go", 4.0, 1, "why")
    assert no_answer(window, "away").score is None
