"""A rollback that a person asks for: to a group that is still there, else forward to the version before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.apps import App
from include.errors import RefusedError
from redstart.operators import clock
from redstart.operators.goals import need_of, push_goal, rollback_goal

if TYPE_CHECKING:
    from include.fleet import ClusterView
    from include.redblack import Build, Progress, PushGoal
    from redstart.operators.cluster import Held


@dataclass(frozen=True)
class Wish:
    """What was asked: `run` owns the rollback; `to` is a group's name, "" the one before."""

    app: App
    run: str
    reason: str
    to: str = ""
    is_severe: bool = True


def roll_back_region(held: Held, wish: Wish) -> Iterator[Progress]:
    """Drive the region back under the lease; the last progress carries Done or Failed."""
    from include.redblack import drive_rollback
    from include.redblack.by_hand import groups_to_restore
    from include.redblack.roles import red_group

    place = held.lease.place
    need = need_of(wish.app, held.ledger, place)
    goal = rollback_goal(wish.app, held.lease, need, wish.run, wish.reason, to=wish.to, is_severe=wish.is_severe)
    view = held.fleet.view_cluster(goal.cluster, health_of=())
    if red_group(view, wish.run) is None and groups_to_restore(view, goal):
        return drive_rollback(held.fleet, goal, clock.now, held.journal)
    build = build_before(held, wish, view)
    return _push_again(held, wish, push_goal(wish.app, held.lease, build, need, wish.run, most_watch_seconds=0))


def _push_again(held: Held, wish: Wish, goal: PushGoal) -> Iterator[Progress]:
    """Forward to the version before, without a canary: it has served. Nobody goes back to what served until then."""
    from include.fleet.tags import ROLLED_BACK, tag_value
    from include.redblack import Done, drive_push
    from include.redblack.roles import fenced, previous_groups, red_group

    for progress in drive_push(held.fleet, goal, clock.now, held.journal):
        red = red_group(progress.view, wish.run) if progress.view is not None else None
        if isinstance(progress.end, Done) and progress.view is not None and red is not None:
            for bad in previous_groups(progress.view, red):
                held.fleet.tag_group(bad.name, fenced(goal.token, {ROLLED_BACK: tag_value(wish.reason)}))
        yield progress


def build_before(held: Held, wish: Wish, view: ClusterView) -> Build:
    """What served before what serves now, by the ledger; RefusedError where it knows of nothing else."""
    from include.fleet.tags import RUN
    from include.ledger.folds import SERVES, last_build
    from include.redblack import Build
    from include.redblack.roles import enabled_groups, red_group

    if (red := red_group(view, wish.run)) is not None:
        return Build.of_group(red)
    serving = enabled_groups(view)
    place, runs = held.lease.place, {group.tags.get(RUN, "") for group in serving}
    events = held.ledger.events(place=place, kinds=SERVES)
    found = next((one for run in runs if (one := last_build(events, place, run)) is not None), None)
    if found is None or found.image in {group.image_id for group in serving}:
        raise RefusedError(
            f"No group of {view.cluster.name} in {place.region} is left to go back to, and the ledger knows of no "
            "version before the one that serves: push an earlier commit."
        )
    return Build(found.image, found.version, found.commit)
