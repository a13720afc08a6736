"""The red/black push as a function: what AWS says now and what is to be reached give the next step.

Nothing is remembered between two steps. Which group is red, which were serving before it, how far the push has
come and whether it is going forward or back are all read from the groups' tags, weights, suspended processes and
target health; so an engine that is killed anywhere goes on where it was. Rollback is rollback.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from include.fleet import Capacity, ClusterView, Group
from include.fleet.tags import FAILED, MAIN, PINNED, PREVIOUS, tag_value
from include.redblack.capacity import pinned, red_size
from include.redblack.goal import PushGoal
from include.redblack.health import is_mostly_dead, missing_health, missing_traffic
from include.redblack.names import GroupName, parse_name
from include.redblack.roles import (
    BLACK_SUSPENDED,
    PUSH_SUSPENDED,
    enabled_groups,
    is_abandoned,
    is_black,
    main_groups,
    next_main_number,
    previous_groups,
    red_group,
)
from include.redblack.rollback import roll_back
from include.redblack.steps import (
    AttachRed,
    CreateRed,
    DisablePrevious,
    Done,
    Failed,
    GrowRed,
    MarkFailed,
    ResumeProcesses,
    RetireOlder,
    ShareTraffic,
    Step,
    SuspendBlack,
    SuspendRed,
    TagGroup,
    UnpinRed,
    WaitHealthy,
    WaitTakingTraffic,
)
from include.redblack.traffic import by_health, split_main_traffic


def next_step(view: ClusterView, goal: PushGoal, served: Mapping[str, float], now: datetime) -> Step:
    """The next step of the push towards `goal`.

    `served` is requests per instance id in the last half minute or so (absent = none seen); `now` is tz-aware UTC.
    """
    red = red_group(view, goal.run)
    if red is None:
        return _launch(view, goal)
    if red.tags.get(FAILED) or red.is_deleting:
        return roll_back(view, red)
    if red.is_partial:
        return _create(view, goal, red.name)
    if red.tags.get(PINNED) == "":
        return _finish(view, goal, red)
    previous = [group for group in previous_groups(view, red) if group.is_enabled]
    if red.is_enabled and not previous:
        return _settle(view, goal, red)
    is_late = now >= red.created_at + timedelta(seconds=goal.launch_within_seconds)
    if red.is_enabled:
        return _hand_over(view, goal, red, previous, served, is_late)
    return _prepare(view, goal, red, previous, is_late)


def _launch(view: ClusterView, goal: PushGoal) -> Step:
    """No group of this push yet."""
    enabled = enabled_groups(view)
    if len(enabled) == 1 and enabled[0].image_id == goal.build.image_id:
        return Done(f"{enabled[0].name} already runs {goal.build.image_id} in {view.cluster.region}", enabled[0].name)
    intended = parse_name(goal.red) if goal.red else None
    if intended and intended.cluster == view.cluster.name and view.group(str(intended)) is None:
        return _create(view, goal, str(intended))
    name = GroupName(view.cluster.app, view.cluster.stack, "", next_main_number(view))
    return _create(view, goal, str(name))


def _create(view: ClusterView, goal: PushGoal, name: str) -> Step:
    enabled = enabled_groups(view)
    size = red_size(_live_count(enabled), goal.size, goal.headroom_pct)
    if size is None:
        return Failed(_too_small(view, goal, enabled))
    tags = {PREVIOUS: " ".join(sorted(group.name for group in enabled)), PINNED: str(size)}
    spec = goal.template.spec(
        name,
        view.cluster,
        goal.build,
        pinned(size, goal.size),
        role=MAIN,
        run=goal.run,
        suspended=PUSH_SUSPENDED,
        extra_tags=tags,
    )
    return CreateRed(spec)


def _prepare(view: ClusterView, goal: PushGoal, red: Group, previous: list[Group], is_late: bool) -> Step:
    """Red is out of traffic and on its way up; it will stand beside whoever serves then, previous or not."""
    serving = enabled_groups(view)
    if not red.suspended >= PUSH_SUSPENDED:
        return SuspendRed(red.name, PUSH_SUSPENDED)
    if not red.is_attached:
        return AttachRed(view.cluster, split_main_traffic(view, by_health(serving), [red.name]))
    missing = missing_health(red)
    if missing and is_late:
        return mark_failed(red, f"not healthy {goal.launch_within_seconds:.0f} s after its launch: {missing[0]}")
    if growth := _growth(view, goal, red, previous):
        return growth
    if missing:
        return WaitHealthy(f"{red.name} is healthy", missing)
    return ShareTraffic(view.cluster, split_main_traffic(view, by_health([red, *serving])))


def _hand_over(
    view: ClusterView,
    goal: PushGoal,
    red: Group,
    previous: list[Group],
    served: Mapping[str, float],
    is_late: bool,
) -> Step:
    """Red/red: both serve. Previous goes out of traffic only when every red instance is seen at work."""
    if is_mostly_dead(red):
        return mark_failed(red, f"only {red.healthy_count} of {red.capacity.desired} healthy while sharing traffic")
    missing = missing_health(red)
    idle = missing_traffic(red, served) if goal.needs_traffic else ()
    if is_late and (missing or idle):
        lack = (missing or idle)[0]
        return mark_failed(red, f"not taking traffic {goal.launch_within_seconds:.0f} s after its launch: {lack}")
    if growth := _growth(view, goal, red, previous):
        return growth
    if missing:
        return WaitHealthy(f"{red.name} is healthy beside {_names(previous)}", missing)
    if idle:
        return WaitTakingTraffic(f"every instance of {red.name} takes traffic", idle)
    weights = split_main_traffic(view, {red.name: 1.0}, [group.name for group in previous])
    return DisablePrevious(view.cluster, weights)


def _settle(view: ClusterView, goal: PushGoal, red: Group) -> Step:
    """Red serves alone: make black keep still, then let go of red; only what nobody changed meanwhile."""
    previous = previous_groups(view, red)
    if is_mostly_dead(red):
        if any(group.healthy_count for group in previous):
            return mark_failed(red, f"only {red.healthy_count} of {red.capacity.desired} healthy after the switch")
        return WaitHealthy(f"{red.name} is healthy again: no earlier group is", missing_health(red))
    for group in previous:
        if not group.suspended >= BLACK_SUSPENDED:
            return SuspendBlack(group.name, BLACK_SUSPENDED)
    minimum = red.capacity.minimum
    if str(minimum) == red.tags.get(PINNED) and minimum > goal.size.minimum:
        return UnpinRed(red.name, Capacity(goal.size.minimum, red.capacity.desired, red.capacity.maximum))
    if red.suspended & PUSH_SUSPENDED:
        return ResumeProcesses(red.name, red.suspended & PUSH_SUSPENDED)
    return TagGroup(red.name, {PINNED: ""})


def _finish(view: ClusterView, goal: PushGoal, red: Group) -> Step:
    """The push is over; what is too old goes, and nothing that this or another push still uses."""
    previous = [group.name for group in previous_groups(view, red)]
    older = [group for group in main_groups(view) if group.created_at < red.created_at and group.name not in previous]
    spare = max(goal.keep_black - len(previous), 0)
    black = [group for group in older if is_black(group) and not is_abandoned(group)]
    retired = [group for group in older if is_abandoned(group)] + black[spare:]
    if retired:
        return RetireOlder(retired[-1].name)
    kept = f"; {' '.join(previous)} kept for a rollback" if previous else ""
    return Done(
        f"{red.name} ({goal.build.version or goal.build.image_id}) serves in {view.cluster.region} "
        f"with {red.healthy_count} instances{kept}",
        red.name,
    )


def _growth(view: ClusterView, goal: PushGoal, red: Group, previous: list[Group]) -> Step | None:
    """Red as big as the previous group of *now* asks for; the pin is noted before it is set, so it is never lost."""
    size = red_size(_live_count(previous), goal.size, goal.headroom_pct)
    if size is None:
        return mark_failed(red, _too_small(view, goal, previous))
    if size <= red.capacity.desired:
        return None
    if red.tags.get(PINNED) != str(size):
        return TagGroup(red.name, {PINNED: str(size)})
    return GrowRed(red.name, pinned(size, goal.size))


def _live_count(groups: list[Group]) -> int:
    """Healthy instances of the groups in traffic; where none is healthy, as many as there should be."""
    healthy = sum(group.healthy_count for group in groups)
    return healthy or sum(group.capacity.desired for group in groups)


def _too_small(view: ClusterView, goal: PushGoal, groups: list[Group]) -> str:
    live = _live_count(groups)
    return (
        f"{_names(groups)} serves {view.cluster.region} with {live} instances, more than the {goal.size.maximum} "
        f"that a group of {view.cluster.name} may have"
    )


def mark_failed(red: Group, reason: str) -> MarkFailed:
    return MarkFailed(red.name, {FAILED: tag_value(reason)}, reason)


def _names(groups: list[Group]) -> str:
    return " and ".join(sorted(group.name for group in groups)) or "nothing"
