"""Verdicts of one recorded canary beside each other: what was said then, and what is said now in several ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from include.canary.gate import Outcome, decide
from include.canary.verdict import Label, MetricVerdict, Verdict

_Key = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Change:
    """A metric that two verdicts call differently; None: one of them did not have it. `reason` is the later one's."""

    name: str
    before: Label | None
    after: Label | None
    reason: str
    critical: bool = False
    muted: bool = False
    weight: float = 0.0
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Opinion:
    """One verdict in short. `score` is None where nothing could be judged; `changes` are against the reference.

    `threshold` is the score that a go needed; `reasons` are the gate's.
    """

    score: float | None
    outcome: Outcome
    threshold: float
    unknown_weight: float
    deviating: int
    reasons: tuple[str, ...]
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """A canary judged again. `again` maps each way of judging to its opinion, in the order of the ways.

    Changes are told against `then`; where that is None, against the first way of `again`. `start` is tz-aware.
    """

    name: str
    start: datetime
    metrics: int
    then: Opinion | None
    again: Mapping[str, Opinion]

    @property
    def reference(self) -> Opinion | None:
        return self.then or next(iter(self.again.values()), None)

    @property
    def is_changed(self) -> bool:
        """Whether any way comes to another outcome than the reference."""
        return self.reference is not None and any(
            opinion.outcome != self.reference.outcome for opinion in self.again.values()
        )


def _by_key(verdict: Verdict) -> dict[_Key, MetricVerdict]:
    return {(metric.name, tuple(sorted(metric.tags.items()))): metric for metric in verdict.metrics}


def label_changes(before: Verdict, after: Verdict) -> tuple[Change, ...]:
    """The metrics whose label differs: unmuted ones first, then critical ones, then by weight and by name."""
    old, new = _by_key(before), _by_key(after)
    changes = []
    for key in dict.fromkeys([*new, *old]):
        was, now = old.get(key), new.get(key)
        told = now or was
        if told is None or (was and now and was.label is now.label):
            continue
        change = Change(
            name=told.name,
            before=was.label if was else None,
            after=now.label if now else None,
            reason=told.reason if now else "is not in this verdict",
            critical=told.critical,
            muted=told.muted,
            weight=told.weight,
            tags=dict(told.tags),
        )
        changes.append(change)
    return tuple(sorted(changes, key=lambda one: (one.muted, not one.critical, -round(one.weight, 9), one.name)))


def form_opinion(verdict: Verdict, reference: Verdict | None = None) -> Opinion:
    """The verdict in short, its outcome by the gate at the verdict's own threshold."""
    decision = decide(verdict, verdict.thresholds.go)
    return Opinion(
        score=None if verdict.classification == "unknown" else verdict.score,
        outcome=decision.outcome,
        threshold=verdict.thresholds.go,
        unknown_weight=verdict.unknown_weight,
        deviating=sum(metric.label.is_deviating and not metric.muted for metric in verdict.metrics),
        reasons=decision.reasons,
        changes=label_changes(reference, verdict) if reference is not None else (),
    )


def compare(name: str, then: Verdict | None, again: Mapping[str, Verdict]) -> Comparison:
    """What `again` (at least one verdict) says of the canary that `then` was about. ValueError for none."""
    if not again:
        raise ValueError("nothing to compare")
    first = next(iter(again.values()))
    reference = then or first
    return Comparison(
        name=name,
        start=first.start,
        metrics=len(first.metrics),
        then=None if then is None else form_opinion(then),
        again={
            way: form_opinion(verdict, None if verdict is reference else reference) for way, verdict in again.items()
        },
    )


def outcome_moves(comparisons: tuple[Comparison, ...], way: str) -> dict[tuple[Outcome, Outcome], int]:
    """How many canaries went from which outcome of the reference to which of `way`."""
    moves: dict[tuple[Outcome, Outcome], int] = {}
    for comparison in comparisons:
        opinion, reference = comparison.again.get(way), comparison.reference
        if opinion is not None and reference is not None:
            move = (reference.outcome, opinion.outcome)
            moves[move] = moves.get(move, 0) + 1
    return moves
