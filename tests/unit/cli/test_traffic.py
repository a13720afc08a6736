"""Counting between two moments."""

from __future__ import annotations

from typing import Any

from redstart.cli.traffic import Marks, sent_and_failed, shares


def counters(sent: int, failed: int = 0, since: str = "t0", **groups: int) -> dict[str, Any]:
    return {"since": since, "total": {"sent": sent, "failed": failed}, "regions": {"us-east-1": {"by_group": groups}}}


def test_counts_are_differences() -> None:
    assert sent_and_failed(counters(100, 1), counters(350, 4)) == (250, 3)


def test_a_generator_that_began_anew_hides_no_failure() -> None:
    assert sent_and_failed(counters(100), counters(350, since="t1")) is None
    assert sent_and_failed(None, counters(1)) is None


def test_shares_are_of_what_was_answered_in_between() -> None:
    before, after = counters(0, main=50), counters(0, main=120, canary=15, baseline=15)
    assert shares(before, after, "us-east-1") == {"baseline": 15.0, "canary": 15.0, "main": 70.0}
    assert shares(before, after, "eu-west-1") == {}


def test_a_moment_is_kept_when_first_seen() -> None:
    marks = Marks()
    marks.keep("push", None)
    marks.keep("push", counters(1))
    marks.keep("push", counters(2))
    assert marks.at("push") == counters(1)
