"""What a look at the cluster proves about a push or rollback: facts for the ledger, all of them up to now.

They are derived from what AWS shows rather than noted in passing, so an engine that was killed before it could note
one notes it at its next look. `seconds` of an event are known only where the same engine saw both its ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from include.fleet import ClusterView, Group
from include.fleet.tags import BLACK_SINCE, COMMIT, FAILED, PREVIOUS, VERSION
from include.ledger import Json, Kind
from include.redblack.by_hand import groups_to_leave, groups_to_restore
from include.redblack.goal import PushGoal, RollbackGoal
from include.redblack.health import missing_health
from include.redblack.push import PushState, push_state
from include.redblack.roles import previous_groups, red_group


@dataclass(frozen=True)
class Fact:
    kind: Kind
    data: Mapping[str, Json] = field(default_factory=dict)
    why: str = ""


def push_facts(view: ClusterView, goal: PushGoal, now: datetime) -> list[Fact]:
    """Facts of the push, in their order; the end of one is the driver's to note."""
    red = red_group(view, goal.run, goal.attempt)
    if red is None or red.is_partial:
        return []
    state, about = push_state(view, red), _about(view, red)
    if state is PushState.GOING_BACK:
        return _way_back(view, red, about)
    facts = [Fact(Kind.PUSH_STARTED, about), Fact(Kind.RED_LAUNCHED, about)]
    is_up = red.is_attached and red.is_health_read and not missing_health(red)
    if is_up or state not in (PushState.HALF_MADE, PushState.LAUNCHING):
        facts.append(Fact(Kind.RED_HEALTHY, {**about, "seconds": (now - red.created_at).total_seconds()}))
    if state in (PushState.RED_RED, PushState.RED_BLACK, PushState.ENDED):
        facts.append(Fact(Kind.TRAFFIC_SHARED, about))
    if state in (PushState.RED_BLACK, PushState.ENDED) and red.tags.get(PREVIOUS):
        facts.append(Fact(Kind.PREVIOUS_BLACK, about))
    return facts


def _way_back(view: ClusterView, red: Group, about: Mapping[str, Json]) -> list[Fact]:
    reason = red.tags.get(FAILED) or "somebody deleted it"
    facts = [Fact(Kind.PUSH_FAILED, about, reason), Fact(Kind.ROLLBACK_STARTED, _back_to(view, red), reason)]
    if not red.has_traffic and any(group.is_enabled for group in previous_groups(view, red)):
        facts.append(Fact(Kind.ROLLBACK_SAFE, _back_to(view, red), reason))
    return facts


def push_failure(view: ClusterView, goal: PushGoal, reason: str) -> Fact:
    """How the way back of a failed push ended."""
    red = red_group(view, goal.run, goal.attempt)
    if red is None:
        return Fact(Kind.ROLLBACK_FINISHED, {"from": ""}, reason)
    is_there = Kind.ROLLBACK_FAILED if red.has_traffic else Kind.ROLLBACK_FINISHED
    return Fact(is_there, _back_to(view, red), reason)


def _back_to(view: ClusterView, red: Group) -> dict[str, Json]:
    good = previous_groups(view, red)
    return {**(_build(good[0]) if good else {}), "from": red.name}


def rollback_facts(view: ClusterView, goal: RollbackGoal) -> list[Fact]:
    """Facts of a rollback by hand, in their order."""
    good = groups_to_restore(view, goal)
    if not good:
        return []
    bad = groups_to_leave(view, goal, good)
    about: dict[str, Json] = {**_build(good[0]), "from": " ".join(sorted(group.name for group in bad))}
    facts = [Fact(Kind.ROLLBACK_STARTED, about, goal.reason)]
    if any(group.is_enabled for group in good) and not any(group.has_traffic for group in bad):
        facts.append(Fact(Kind.ROLLBACK_SAFE, about, goal.reason))
    return facts


def describe_push(view: ClusterView, goal: PushGoal) -> dict[str, Json]:
    """What a push's end is noted with."""
    red = red_group(view, goal.run, goal.attempt)
    return _about(view, red) if red is not None else {"group": "", "image": goal.build.image_id}


def _about(view: ClusterView, red: Group) -> dict[str, Json]:
    previous = previous_groups(view, red)
    black: list[Json] = [group.name for group in previous if group.tags.get(BLACK_SINCE)]
    return {
        **_build(red),
        "instances": red.capacity.desired,
        "previous": " ".join(sorted(group.name for group in previous)),
        "black": black,
    }


def _build(group: Group) -> dict[str, Json]:
    return {
        "group": group.name,
        "image": group.image_id,
        "version": group.tags.get(VERSION, ""),
        "commit": group.tags.get(COMMIT, ""),
    }
