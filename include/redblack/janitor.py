"""What is swept up in a cluster: black groups past their time or beyond those to keep, what failed pushes left, and
canaries and baselines that nobody looks after any more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from include.fleet import ClusterView, Fate, Group
from include.fleet.fate import hours_since, span
from include.fleet.tags import BASELINE, BLACK_SINCE, CANARY, ROLE, RUN, SOAK_END
from include.redblack.goal import JanitorGoal
from include.redblack.health import missing_health
from include.redblack.look import Look
from include.redblack.roles import enabled_groups, is_black, is_left_over, main_groups
from include.redblack.steps import DeleteGroup, Done, RetireOlder, Step

GRACE_SECONDS = 3600.0
"""How long after its end a soak's pair is left to its own run."""


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


def black_fates(view: ClusterView, goal: JanitorGoal, now: datetime) -> list[Fate]:
    """Of all that is out of traffic, those that go first. Nothing goes while who serves is not as healthy as it should
    be: what is out of traffic may be needed soon."""
    black = black_groups(view, goal.black_seconds, now)
    newest = sorted(black, key=lambda one: (one.since, one.name), reverse=True)
    kept = {one.name for one in newest[: goal.keep_black]}
    trouble = _trouble(view)
    fates = [_black_fate(one, one.name in kept, goal.black_seconds, now, trouble) for one in black]
    for group in main_groups(view):
        if is_left_over(group):
            why = f"for now: {trouble}" if trouble else "left over by a push that is over"
            fates.append(Fate("group", group.name, not trouble, why, _spent(group, group.created_at, now)))
    return sorted(fates, key=lambda fate: not fate.goes)


def next_janitor_step(look: Look, goal: JanitorGoal) -> Step:
    """The next group to delete, or Done."""
    view, left_over = look.view, {group.name for group in main_groups(look.view) if is_left_over(group)}
    fates = black_fates(view, goal, look.now)
    going = [fate.name for fate in fates if fate.goes]
    if going:
        return DeleteGroup(going[0]) if going[0] in left_over else RetireOlder(going[0])
    waiting = [fate.name for fate in fates if fate.why.startswith("for now")]
    if waiting:
        return Done(f"{', '.join(waiting)} kept in {view.cluster.region} for now: {_trouble(view)}")
    return Done(f"nothing to delete in {view.cluster.region}")


def pair_fates(view: ClusterView, over: Mapping[str, str], launch_seconds: float, now: datetime) -> list[Fate]:
    """Of every canary and baseline. `over`: how the runs ended that are not under way any more; a pair whose run is not
    among them is its run's, however old it is."""
    pairs = [group for group in view.groups if group.tags.get(ROLE) in (CANARY, BASELINE)]
    return [_pair_fate(group, pairs, over, launch_seconds, now) for group in pairs if not group.is_deleting]


def runs_of_pairs(view: ClusterView) -> set[str]:
    """Whose canaries and baselines are there."""
    return {group.tags.get(RUN, "") for group in view.groups if group.tags.get(ROLE) in (CANARY, BASELINE)}


def _pair_fate(group: Group, pairs: list[Group], over: Mapping[str, str], launch_seconds: float, now: datetime) -> Fate:
    kind, run = str(group.tags[ROLE]), group.tags.get(RUN, "")
    ends = [one.tags[SOAK_END] for one in pairs if one.tags.get(RUN) == run and one.tags.get(SOAK_END)]
    soak_end = max(map(datetime.fromisoformat, ends), default=None)
    due = soak_end or group.created_at + timedelta(seconds=launch_seconds)
    what = "its soak ended" if soak_end else "it was launched, and its soak never began"
    age = span(now - (soak_end or group.created_at))
    if run not in over:
        return Fate(kind, group.name, False, f"its run {run} is under way")
    if now < due + timedelta(seconds=GRACE_SECONDS):
        return Fate(kind, group.name, False, f"its run {run} is over ({over[run]}), but not for long")
    why = f"{what} {age} ago, and its run {run} is over ({over[run]})"
    return Fate(kind, group.name, True, why, _spent(group, due, now))


def _black_fate(black: BlackGroup, is_kept: bool, black_seconds: float, now: datetime, trouble: str) -> Fate:
    age = span(now - black.since)
    if is_kept and now < black.until:
        why = f"out of traffic for {age}, kept for a rollback until {black.until:%d %b %H:%M} UTC"
        return Fate("black group", black.name, False, why, black.instance_hours)
    if trouble:
        return Fate("black group", black.name, False, f"for now: {trouble}", black.instance_hours)
    limit = span(timedelta(seconds=black_seconds))
    why = f"out of traffic for {age}, {limit} are kept" if now >= black.until else "a newer one is kept"
    return Fate("black group", black.name, True, why, black.instance_hours)


def _trouble(view: ClusterView) -> str:
    serving = enabled_groups(view)
    if not serving:
        return "nothing serves"
    return next((one for group in serving for one in missing_health(group)), "")


def _spent(group: Group, since: datetime, now: datetime) -> float:
    return len(group.instances) * hours_since(since, now)


def _cost(group: Group, black_seconds: float, now: datetime) -> BlackGroup:
    since = datetime.fromisoformat(group.tags[BLACK_SINCE])
    until = since + timedelta(seconds=black_seconds)
    count = len(group.instances)
    return BlackGroup(
        group.name,
        since,
        until,
        count,
        count * hours_since(since, now),
        count * max((until - now).total_seconds(), 0) / 3600,
    )
