"""Which images may not go, by what runs and by what the ledger remembers: in words, by image id and by commit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from include.fleet import ClusterView
from include.fleet.tags import COMMIT
from include.ledger import Event, Kind, Place, Recorded
from include.ledger.folds import SERVES

BUILDS_KEPT = 3
"""Of each cluster: what serves, what did before, and what did before that, which is what a second rollback needs."""
PRODUCTION_DAYS = 30
ON_ITS_WAY_DAYS = 7
"""A delivery may wait so long for its turn between the commit and its first group."""
CHOSEN = frozenset({Kind.CANDIDATE_MADE, Kind.CANDIDATE_CHOSEN})
ON_ITS_WAY = CHOSEN | {Kind.COMMIT_SELECTED, Kind.PUSH_STARTED, Kind.RED_LAUNCHED}
TOLD = SERVES | ON_ITS_WAY
"""Facts that `needed_images` is made from."""


def needed_images(
    views: Iterable[ClusterView],
    events: Sequence[Recorded],
    now: datetime,
    *,
    production: str,
    candidates: int,
) -> dict[str, str]:
    """Image id or commit -> who needs it; the strongest reason of several. `production`: the stack that users see.

    `events`: all of the kinds in `TOLD`, in recorded order. A candidate is one of the newest `candidates`.
    """
    needed: dict[str, str] = {}
    for view in views:
        for group in view.groups:
            why = f"{group.name} in {view.cluster.region} uses it"
            _keep(needed, why, group.image_id, group.tags.get(COMMIT, ""))
    told = [one.event for one in events]
    for place, served in _served(told).items():
        for event in served[-BUILDS_KEPT:]:
            _keep_event(needed, f"served {place} lately: a rollback may need it", event)
    for event in told:
        age = now - event.at
        is_production = event.kind in SERVES and event.place.stack == production
        if is_production and age <= timedelta(days=PRODUCTION_DAYS):
            _keep_event(needed, f"in production on {event.at:%d %b}", event)
        if event.kind in ON_ITS_WAY and age <= timedelta(days=ON_ITS_WAY_DAYS):
            _keep_event(needed, f"in a delivery of {event.at:%d %b}", event)
    made = [event for event in told if event.kind is Kind.CANDIDATE_MADE]
    for event in made[-candidates:]:
        _keep_event(needed, "a release candidate", event)
    return needed


def _served(events: Sequence[Event]) -> dict[Place, list[Event]]:
    """Of each place what served, oldest first, each build once and where it served last."""
    found: dict[Place, dict[object, Event]] = {}
    for event in events:
        if event.kind in SERVES:
            builds = found.setdefault(event.place, {})
            build = event.data.get("image") or event.data.get("commit")
            builds.pop(build, None)
            builds[build] = event
    return {place: list(builds.values()) for place, builds in found.items()}


def _keep_event(needed: dict[str, str], why: str, event: Event) -> None:
    images = event.data.get("images")
    several = images.values() if isinstance(images, Mapping) else ()
    _keep(needed, why, event.data.get("commit"), event.data.get("image"), *several)


def _keep(needed: dict[str, str], why: str, *names: object) -> None:
    for name in names:
        if isinstance(name, str) and name:
            needed.setdefault(name, why)
