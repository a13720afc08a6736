"""The gate: go or no-go, and why. No evidence is never a pass."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from include.canary.verdict import MetricVerdict, Verdict

Outcome = Literal["go", "no-go", "cannot tell yet"]
_NAMED = 5


@dataclass(frozen=True)
class GateDecision:
    """`outcome` tells a no-go on evidence from one for the lack of it; both stop the push."""

    go: bool
    reasons: tuple[str, ...]
    outcome: Outcome = "no-go"


def _list(metrics: tuple[MetricVerdict, ...]) -> str:
    named = ", ".join(metric.name for metric in metrics[:_NAMED])
    more = len(metrics) - _NAMED
    return f"{named} and {more} more" if more > 0 else named


def _too_little(verdict: Verdict) -> list[str]:
    advice = f": {verdict.advice}" if verdict.advice else ""
    if not any(metric.label.is_judged and not metric.muted for metric in verdict.metrics):
        return [f"cannot tell yet: nothing could be judged{advice}"]
    reasons = []
    unknown = verdict.unknown_criticals
    if unknown:
        because = f" ({unknown[0].reason})"
        reasons.append(f"cannot tell yet: no answer for critical {_list(unknown)}{because}{advice}")
    if verdict.unknown_weight > verdict.unknown_limit:
        share = f"{verdict.unknown_weight:g} % of the weight has no answer, {verdict.unknown_limit:g} % may"
        reasons.append(f"cannot tell yet: {share}{advice}")
    return reasons


def _worst_groups(verdict: Verdict) -> str:
    lossy = [group for group in verdict.groups if group.score is not None and group.score < 100.0]
    lossy.sort(key=lambda group: (100.0 - (group.score or 0.0)) * group.weight, reverse=True)
    return ", ".join(
        f"{group.name} {group.score:g} ({group.deviating} of {group.metrics} deviate)" for group in lossy[:3]
    )


def decide(verdict: Verdict, threshold: float = 95.0) -> GateDecision:
    """Go if the score reaches `threshold`, no critical metric deviates and enough could be judged.

    Evidence against the canary is told before the lack of evidence; every reason that holds is listed.
    """
    against = [
        f"critical {metric.name} is {metric.label}: {metric.reason}" for metric in verdict.failed_criticals[:_NAMED]
    ]
    hidden = verdict.failed_criticals[_NAMED:]
    if hidden:
        against.append(f"{len(hidden)} more critical metrics deviate: {_list(hidden)}")
    lacking = _too_little(verdict)
    nothing_judged = verdict.classification == "unknown"
    if verdict.score < threshold and not nothing_judged:
        against.append(f"score {verdict.score:g} is below {threshold:g}: {verdict.reason or _worst_groups(verdict)}")
    if against or lacking:
        return GateDecision(False, tuple(against + lacking), "no-go" if against else "cannot tell yet")
    judged = sum(metric.label.is_judged and not metric.muted for metric in verdict.metrics)
    return GateDecision(
        True, (f"score {verdict.score:g} of {judged} metrics reaches {threshold:g}, no critical one deviates",), "go"
    )


def end_early(decision: GateDecision, soaked: timedelta, planned: timedelta) -> GateDecision:
    """The decision on a soak that a look ended early: never a go, for the rest of the soak is missing.

    Today's settings may see nothing any more in what ended it then.
    """
    words = f"stopped early after {_clock(soaked)} of {_clock(planned)}"
    if decision.go:
        lacks = f"cannot tell yet: {words}; nothing speaks against it now, but the rest of the soak is missing"
        return GateDecision(False, (lacks,), "cannot tell yet")
    return GateDecision(False, (words, *decision.reasons), decision.outcome)


def lack_answer(words: str) -> GateDecision:
    """The decision where the metric store stayed away to the end; `words` are its own."""
    return GateDecision(
        False, (f"cannot tell yet: the metric store did not answer at the end of the soak: {words}",), "cannot tell yet"
    )


def _clock(length: timedelta) -> str:
    minutes, seconds = divmod(int(length.total_seconds()), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02} h"
