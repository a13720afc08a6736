"""What the facts amount to: pushes, builds, start times, times to safe. All pure, over events in recorded order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from statistics import median

from include.ledger.events import Event, Kind, Place, Recorded

CHAT = "chat"
STARTS_REMEMBERED = 5
TOLD_IN_CHAT = frozenset(
    {
        Kind.LOCK_TAKEN_OVER, Kind.HOLD_PLACED, Kind.HOLD_LIFTED,
        Kind.PUSH_STARTED, Kind.PUSH_FINISHED, Kind.PUSH_FAILED,
        Kind.ROLLBACK_STARTED, Kind.ROLLBACK_SAFE, Kind.ROLLBACK_FINISHED, Kind.ROLLBACK_FAILED,
        Kind.WINDOW_OVERRIDDEN, Kind.DELIVERY_HALTED,
    }
)  # fmt: skip
SERVES = frozenset({Kind.PUSH_FINISHED, Kind.ROLLBACK_SAFE})
"""Facts after which the event's group has the traffic."""

TOLD_OF_PUSHES = SERVES | {
    Kind.PUSH_STARTED, Kind.RED_LAUNCHED, Kind.RED_HEALTHY, Kind.PUSH_FAILED, Kind.ROLLBACK_FINISHED,
}  # fmt: skip
"""Facts that `pushes` is made from."""


class Outcome(StrEnum):
    """How a push stands. FAILED: it went back by itself; ROLLED_BACK: another run took it out of traffic."""

    UNDER_WAY = "under way"
    FINISHED = "finished"
    FAILED = "failed"
    ROLLED_BACK = "rolled back"


@dataclass(frozen=True)
class KnownBuild:
    """What a group was made of, as the ledger remembers it ("" = not recorded)."""

    group: str
    image: str
    version: str
    commit: str


@dataclass(frozen=True)
class PushRecord:
    """One push of one place. `ended` is the moment of its last outcome, `finished` that at which the push itself was
    at its end; `why` that of the failure, once it failed."""

    place: Place
    run: str
    who: str
    started: datetime
    why: str = ""
    build: KnownBuild | None = None
    outcome: Outcome = Outcome.UNDER_WAY
    ended: datetime | None = None
    finished: datetime | None = None


@dataclass(frozen=True)
class TimeToSafe:
    """A rollback's seconds from the decision until traffic was on good instances alone."""

    place: Place
    run: str
    at: datetime
    seconds: float


def topics_of(event: Event) -> frozenset[str]:
    """To whom the event is to be told."""
    return frozenset({CHAT}) if event.kind in TOLD_IN_CHAT else frozenset()


def start_seconds(events: Iterable[Recorded], place: Place) -> float | None:
    """From launch to serving, the median of the place's last launches; None where none was measured."""
    measured = [
        seconds
        for one in events
        if one.event.kind is Kind.RED_HEALTHY and one.event.place == place
        if (seconds := _number(one.event, "seconds")) is not None
    ]
    return median(measured[-STARTS_REMEMBERED:]) if measured else None


def last_build(events: Iterable[Recorded], place: Place, before_run: str = "") -> KnownBuild | None:
    """What served at the place before the first event of `before_run` ("" or unknown: what serves now).

    Events of the kinds in `SERVES` are enough.
    """
    serving = None
    for one in events:
        event = one.event
        if event.place != place:
            continue
        if before_run and event.run == before_run:
            break
        if event.kind in SERVES:
            serving = _build(event) or serving
    return serving


def times_to_safe(events: Iterable[Recorded]) -> list[TimeToSafe]:
    """Of all rollbacks that reached safety, in recorded order: from the decision, whoever was killed in between."""
    decided: dict[tuple[Place, str], datetime] = {}
    found = []
    for one in events:
        event = one.event
        key = (event.place, event.run)
        if event.kind is Kind.ROLLBACK_STARTED:
            decided[key] = event.at
        elif event.kind is Kind.ROLLBACK_SAFE and key in decided:
            found.append(TimeToSafe(*key, event.at, (event.at - decided[key]).total_seconds()))
    return found


def pushes(events: Iterable[Recorded]) -> list[PushRecord]:
    """One record per place and run that began a push (of several tries, the last), the newest begun first."""
    found: dict[tuple[Place, str], PushRecord] = {}
    for one in events:
        event = one.event
        key = (event.place, event.run)
        if event.kind is Kind.PUSH_STARTED:  # again in the same run: a person began a failed push once more
            found.pop(key, None)
            found[key] = PushRecord(event.place, event.run, event.who, event.at, event.why)
        elif event.kind is Kind.ROLLBACK_FINISHED:
            _note_rollback(found, event)
        elif key in found:
            found[key] = _with_event(found[key], event)
    return list(reversed(found.values()))


def _with_event(push: PushRecord, event: Event) -> PushRecord:
    if event.kind in (Kind.RED_LAUNCHED, Kind.RED_HEALTHY):
        return replace(push, build=_build(event) or push.build)
    if event.kind is Kind.PUSH_FINISHED:
        build = _build(event) or push.build
        return replace(push, build=build, outcome=Outcome.FINISHED, ended=event.at, finished=event.at)
    if event.kind is Kind.PUSH_FAILED:
        return replace(push, outcome=Outcome.FAILED, ended=event.at, why=event.why or push.why)
    return push


def _note_rollback(found: dict[tuple[Place, str], PushRecord], event: Event) -> None:
    """A run's own rollback is its failure; another's took back the newest push of each group it went back from."""
    if own := found.get((event.place, event.run)):
        found[event.place, event.run] = replace(own, outcome=Outcome.FAILED, ended=event.at, why=event.why or own.why)
        return
    left = set(str(event.data.get("from") or "").split())
    for key, push in reversed(found.items()):
        if push.place == event.place and push.build and push.build.group in left:
            found[key] = replace(push, outcome=Outcome.ROLLED_BACK, ended=event.at, why=event.why or push.why)
            left.remove(push.build.group)


def _build(event: Event) -> KnownBuild | None:
    words = [str(event.data.get(name) or "") for name in ("group", "image", "version", "commit")]
    return KnownBuild(*words) if words[1] else None


def _number(event: Event, name: str) -> float | None:
    value = event.data.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
