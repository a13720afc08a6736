"""What is swept up: black groups past their time to live or beyond those to keep, and what failed pushes left."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from include.fleet import ClusterView, Group
from include.fleet.tags import BLACK_SINCE
from include.redblack.goal import JanitorGoal
from include.redblack.health import missing_health
from include.redblack.look import Look
from include.redblack.roles import enabled_groups, is_black, is_left_over, main_groups
from include.redblack.steps import DeleteGroup, Done, RetireOlder, Step


@dataclass(frozen=True)
class BlackGroup:
    """A group out of traffic, and what it costs: instance-hours since it went, and until it is to go."""

    name: str
    since: datetime
    until: datetime
    instances: int
    instance_hours: float
    instance_hours_left: float


def black_groups(view: ClusterView, black_seconds: float, now: datetime) -> list[BlackGroup]:
    """Groups out of traffic, the one that goes first first."""
    found = [_cost(group, black_seconds, now) for group in main_groups(view) if is_black(group)]
    return sorted(found, key=lambda one: (one.until, one.name))


def next_janitor_step(look: Look, goal: JanitorGoal) -> Step:
    """The next group to delete, or Done. Nothing goes while who serves is not as healthy as it should be: what is out
    of traffic may be needed soon."""
    view = look.view
    black = black_groups(view, goal.black_seconds, look.now)
    newest = sorted(black, key=lambda one: (one.since, one.name), reverse=True)
    kept = {one.name for one in newest[: goal.keep_black]}
    due = [one.name for one in black if one.until <= look.now or one.name not in kept]
    left_over = [group.name for group in main_groups(view) if is_left_over(group)]
    due += left_over
    if not due:
        return Done(f"nothing to delete in {view.cluster.region}")
    if trouble := _trouble(view):
        return Done(f"{', '.join(due)} kept in {view.cluster.region} for now: {trouble}")
    name = due[0]
    return DeleteGroup(name) if name in left_over else RetireOlder(name)


def _trouble(view: ClusterView) -> str:
    serving = enabled_groups(view)
    if not serving:
        return "nothing serves"
    return next((one for group in serving for one in missing_health(group)), "")


def _cost(group: Group, black_seconds: float, now: datetime) -> BlackGroup:
    since = datetime.fromisoformat(group.tags[BLACK_SINCE])
    until = since + timedelta(seconds=black_seconds)
    count = len(group.instances)
    return BlackGroup(
        group.name,
        since,
        until,
        count,
        count * max((now - since).total_seconds(), 0) / 3600,
        count * max((until - now).total_seconds(), 0) / 3600,
    )
