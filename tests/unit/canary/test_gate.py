"""Score and gate on verdicts made by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from include.canary import JudgeConfig, Label, MetricPairs, MetricVerdict, Thresholds, decide, judge_config
from include.canary.config import Rule
from include.canary.gate import end_early, lack_answer
from include.canary.score import groups_of, summarise, weigh
from include.canary.verdict import Verdict
from include.errors import ConfigError

CONFIG = judge_config(
    {
        "groups": {"big": 60, "small": 40, "unused": 500},
        "rules": [
            {"match": "c*", "group": "big", "critical": True},
            {"match": "b*", "group": "big"},
            {"match": "quiet*", "group": "small", "muted": True},
            {"match": "*", "group": "small"},
        ],
    },
    source="test",
)


def _metric(name: str, label: Label, rule: Rule, weight: float) -> MetricVerdict:
    fails = label.is_deviating
    return MetricVerdict(
        name,
        label,
        "for a reason",
        groups_of(rule),
        rule.critical,
        rule.muted,
        fails,
        fails and rule.critical,
        weight,
        points=6,
    )


def verdict_of(config: JudgeConfig = CONFIG, **labels: Label) -> Verdict:
    rules = [config.rules[config.rule_index(name)] for name in labels]
    metrics = tuple(
        _metric(name, label, rule, weight)
        for (name, label), rule, weight in zip(labels.items(), rules, weigh(config, rules), strict=True)
    )
    empty = np.full((len(labels), 48), np.nan)
    pairs = MetricPairs(tuple(labels), empty, empty, datetime(2026, 1, 1, tzinfo=UTC), 5)
    return summarise(config, Thresholds(), pairs, metrics)


def test_groups_without_metrics_do_not_take_weight() -> None:
    verdict = verdict_of(b1=Label.PASS, b2=Label.HOT, s1=Label.PASS)
    assert verdict.score == 70.0
    assert [(group.name, group.score, group.weight) for group in verdict.groups] == [
        ("big", 50.0, 60.0),
        ("small", 100.0, 40.0),
    ]


def test_muted_metrics_are_reported_and_not_scored() -> None:
    verdict = verdict_of(b1=Label.PASS, s1=Label.PASS, quiet=Label.HOT)
    assert verdict.score == 100.0
    assert decide(verdict).go
    assert verdict.metric("quiet") is not None


def test_critical_deviation_stops_whatever_the_score() -> None:
    many = {f"b{place}": Label.PASS for place in range(100)}
    verdict = verdict_of(c1=Label.HOT, s1=Label.PASS, **many)
    assert verdict.score > 99.0
    decision = decide(verdict)
    assert not decision.go
    assert "critical c1 is HOT" in decision.reasons[0]


def test_unanswered_metrics_leave_the_denominator() -> None:
    verdict = verdict_of(**{f"b{place}": Label.PASS for place in range(9)}, b9=Label.NO_DATA, s1=Label.PASS)
    assert verdict.score == 100.0
    assert verdict.unknown_weight == pytest.approx(6.0)
    assert decide(verdict).go


@pytest.mark.parametrize("label", [Label.NO_DATA, Label.INCONCLUSIVE, Label.ERROR])
def test_too_much_without_answer_cannot_tell_yet(label: Label) -> None:
    decision = decide(verdict_of(b1=Label.PASS, b2=label, s1=Label.PASS))
    assert (decision.go, decision.outcome) == (False, "cannot tell yet")
    assert "30 % of the weight" in decision.reasons[0]


@pytest.mark.parametrize("label", [Label.NO_DATA, Label.INCONCLUSIVE, Label.ERROR])
def test_an_unanswered_critical_metric_cannot_tell_yet(label: Label) -> None:
    many = {f"b{place}": Label.PASS for place in range(100)}
    decision = decide(verdict_of(c1=label, s1=Label.PASS, **many))
    assert decision.outcome == "cannot tell yet"
    assert "c1" in decision.reasons[0]


def test_too_little_data_says_which_soak_would_do() -> None:
    decision = decide(verdict_of(c1=Label.INCONCLUSIVE, s1=Label.PASS))
    assert "a soak of about 32 min" in decision.reasons[0]


def test_nothing_judged_is_never_a_pass() -> None:
    verdict = verdict_of(b1=Label.ERROR, s1=Label.ERROR)
    assert (verdict.score, verdict.classification) == (0.0, "unknown")
    assert decide(verdict, threshold=0.0).outcome == "cannot tell yet"


@pytest.mark.parametrize(("passed", "go"), [(95, True), (94, False)])
def test_the_threshold_itself_goes(passed: int, go: bool) -> None:
    labels = {f"s{place:03d}": Label.PASS if place < passed else Label.HOT for place in range(100)}
    verdict = verdict_of(**labels)
    assert verdict.score == passed
    assert decide(verdict).go is go
    assert verdict.classification == ("pass" if go else "marginal")


def test_score_is_never_rounded_up_to_the_threshold() -> None:
    # 94.9975: not 95, but so near that two decimals would be rounded up to it.
    labels = {f"s{place:04d}": Label.PASS if place < 1918 else Label.HOT for place in range(2019)}
    assert verdict_of(**labels).score == 94.99


def test_thresholds_must_be_in_order() -> None:
    with pytest.raises(ConfigError, match="marginal 96"):
        Thresholds(go=95.0, marginal=96.0)


def test_reason_of_a_judge_that_lets_one_metric_decide_is_told() -> None:
    verdict = replace(verdict_of(b1=Label.HOT, s1=Label.PASS), score=0.0, reason="canary metric b1 was critical")
    assert "score 0 is below 95: canary metric b1 was critical" in decide(verdict).reasons


def test_early_stop_says_after_how_much_of_the_soak() -> None:
    decision = end_early(decide(verdict_of(c1=Label.HOT, s1=Label.PASS)), timedelta(minutes=30), timedelta(hours=8))
    assert (decision.go, decision.outcome) == (False, "no-go")
    assert decision.reasons[0] == "stopped early after 0:30:00 h of 8:00:00 h"
    assert "critical c1 is HOT" in decision.reasons[1]


def test_soak_that_was_stopped_early_is_never_a_go() -> None:
    decision = end_early(decide(verdict_of(b1=Label.PASS, s1=Label.PASS)), timedelta(minutes=30), timedelta(hours=8))
    assert (decision.go, decision.outcome) == (False, "cannot tell yet")
    assert "the rest of the soak is missing" in decision.reasons[0]


def test_store_that_stayed_away_is_never_a_pass() -> None:
    decision = lack_answer("throttled")
    assert (decision.go, decision.outcome) == (False, "cannot tell yet")
    assert "did not answer" in decision.reasons[0]
