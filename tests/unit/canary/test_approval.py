"""What a person's approval covers: one run, one pair of images, and a verdict that gets no worse."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from include.canary.approval import (
    Approval,
    Refusal,
    approval_from_json,
    approval_json,
    approve,
    check_reason,
    refusal_from_json,
    refusal_json,
    why_not_covered,
)
from include.canary.gate import GateDecision
from include.errors import ConfigError, RefusedError

NOW = datetime(2026, 11, 5, 15, tzinfo=UTC)
REFUSAL = Refusal(
    app="api",
    run_key="manual-1",
    dag_id="api_prod",
    run_id="manual__1",
    task_id="gate_score",
    version="20261105.142233-1a2b3c4",
    image="ami-new",
    baseline_image="ami-old",
    score=91.2,
    classification="marginal",
    outcome="no-go",
    unknown_weight=3.0,
    criticals=("http.5xx",),
    reasons=("score 91.2 is below 95: service 80",),
    report="/redstart/reports/x",
    at=NOW,
)
APPROVAL = Approval(REFUSAL, "oncall", "role op", "The rise is the new health check.", NOW)


def test_holds_for_what_was_approved_and_for_better() -> None:
    assert why_not_covered(APPROVAL, REFUSAL) == ""
    assert why_not_covered(APPROVAL, replace(REFUSAL, score=94.0, criticals=(), unknown_weight=1.0)) == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"run_key": "manual-2"}, "for run manual-1"),
        ({"image": "ami-newer"}, "for image ami-new, this is ami-newer"),
        ({"baseline_image": "ami-older"}, "for baseline ami-old"),
        ({"score": 91.19}, "score was 91.2 then"),
        ({"unknown_weight": 12.0}, "12 % has none now"),
        ({"criticals": ("http.5xx", "http.latency_p50_ms")}, "http.latency_p50_ms had passed"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_does_not_hold_for_anything_else_or_worse(change: dict[str, object], words: str) -> None:
    assert words in why_not_covered(APPROVAL, replace(REFUSAL, **change))  # type: ignore[arg-type]


def test_doubt_that_was_approved_is_no_approval_of_evidence() -> None:
    doubt = replace(APPROVAL, of=replace(REFUSAL, outcome="cannot tell yet"))
    assert "no evidence against it then" in why_not_covered(doubt, REFUSAL)


def test_decision_says_who_and_why_and_on_what() -> None:
    decision = approve(GateDecision(False, REFUSAL.reasons), APPROVAL)
    assert (decision.go, decision.outcome) == (True, "go")
    assert "oncall (role op)" in decision.reasons[0]
    assert "new health check" in decision.reasons[0]
    assert decision.reasons[1:] == REFUSAL.reasons


def test_kept_and_read_back() -> None:
    stored = json.loads(json.dumps(approval_json(APPROVAL)))
    assert stored["format"] == 1
    assert (stored["approved_by"], stored["image"], stored["score"]) == ("oncall", "ami-new", 91.2)
    assert approval_from_json(stored) == APPROVAL
    assert refusal_from_json(json.loads(json.dumps(refusal_json(REFUSAL)))) == REFUSAL


def test_later_versions_are_not_guessed_at() -> None:
    for read in (approval_from_json, refusal_from_json):
        with pytest.raises(ConfigError, match="format"):
            read({"format": 2})


def test_reason_is_one_line_of_a_fair_length() -> None:
    assert check_reason("  it is\r\nthe new\x1b health check  ") == "it is the new health check"
    for text in ("", "too short", " " * 40, "x" * 501):
        with pytest.raises(RefusedError, match="10 to 500"):
            check_reason(text)


def test_nobody_approves_what_nobody_has_seen() -> None:
    assert REFUSAL.is_approvable
    assert not replace(REFUSAL, classification="unknown").is_approvable
