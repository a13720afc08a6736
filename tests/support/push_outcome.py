"""How a push or rollback has left the cluster and the ledger: all that must not depend on who was killed when."""

from __future__ import annotations

from collections import Counter
from typing import Any

from include.fleet import Group
from include.fleet.tags import BLACK_SINCE, FENCE, IMAGE, SIDE_BY_SIDE_UNTIL, WATCHED_UNTIL
from include.ledger import Event, Kind
from tests.support.push_tasks import Tasks
from tests.support.push_world import PLACE, PushWorld

ACCIDENTS = (BLACK_SINCE, SIDE_BY_SIDE_UNTIL, WATCHED_UNTIL, FENCE, IMAGE)
"""Tags whose values are moments (as a lease's token is one) or made up by AWS: another in every run."""
DEEDS = {Kind.STEP_INTENDED, Kind.STEP_DONE}

Outcome = dict[str, Any]


def outcome_of(world: PushWorld, tasks: Tasks) -> Outcome:
    events = [one.event for one in world.ledger.events(place=PLACE, run=tasks.claim.owner)]
    return {
        "ends": [type(end).__name__ for end in tasks.ends],
        "groups": {group.name: shape_of(group) for group in world.view().groups},
        "lease": world.ledger.lease(PLACE),
        "facts": Counter(event.kind.value for event in events if event.kind not in DEEDS),
        "open deeds": open_deeds(events),
        "shortfalls": world.shortfalls,
    }


def shape_of(group: Group) -> dict[str, Any]:
    tags = {key: "any" if key in ACCIDENTS and value else value for key, value in group.tags.items()}
    return {
        "capacity": group.capacity,
        "healthy": group.healthy_count,
        "weight": group.weight,
        "suspended": sorted(group.suspended),
        "is_attached": group.is_attached,
        "is_partial": group.is_partial,
        "is_deleting": group.is_deleting,
        "tags": tags,
    }


def open_deeds(events: list[Event]) -> list[str]:
    """Deeds, by number, that were intended and never seen through; one of another kind in its place sees it through."""
    done = {event.key.split("/")[-3] for event in events if event.kind is Kind.STEP_DONE}
    intended = (event for event in events if event.kind is Kind.STEP_INTENDED)
    return [event.key for event in intended if event.key.split("/")[-2] not in done]


def difference(expected: Outcome, found: Outcome) -> str:
    """What is otherwise, as far down as it is."""
    return "; ".join(_differences("", expected, found))


def _differences(path: str, expected: Any, found: Any) -> list[str]:
    if isinstance(expected, dict) and isinstance(found, dict):
        keys = sorted({*expected, *found}, key=str)
        return [one for key in keys for one in _differences(f"{path}/{key}", expected.get(key), found.get(key))]
    return [] if expected == found else [f"{path} is {found!r} instead of {expected!r}"]
