"""The red/black push as a function: what AWS says now and what is to be reached give the next step.

Nothing is remembered between two steps. Which group is red, which were serving before it, how far the push has
come and whether it is going forward or back are all read from the groups' tags, weights, suspended processes and
target health; so an engine that is killed anywhere goes on where it was. Rollback is rollback.py.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum

from include.fleet import ClusterView, Group
from include.fleet.tags import (
    BLACK_SINCE,
    FAILED,
    PINNED,
    SCALING,
    SIDE_BY_SIDE_UNTIL,
    WATCHED_UNTIL,
)
from include.redblack.black import let_go, make_black
from include.redblack.goal import PushGoal
from include.redblack.health import is_mostly_dead, missing_health, missing_traffic
from include.redblack.launch import create, growth, is_live_already, launch
from include.redblack.look import Look, WatchKind
from include.redblack.peak import leave_before_peak, unless_stopped, waits_for_peak
from include.redblack.roles import (
    BLACK_SUSPENDED,
    PUSH_SUSPENDED,
    enabled_groups,
    fenced,
    is_black,
    is_left_over,
    main_groups,
    names_of,
    previous_groups,
    red_group,
    resumed_at,
)
from include.redblack.rollback import roll_back_push
from include.redblack.steps import (
    AttachRed,
    DisablePrevious,
    Done,
    PutScalingPolicy,
    RetireOlder,
    ShareTraffic,
    Step,
    TagGroup,
    WaitHealthy,
    WaitTakingTraffic,
)
from include.redblack.traffic import by_health, split_main_traffic, with_silent
from include.redblack.watching import mark_failed, watch


class PushState(StrEnum):
    """How far a push has come, as the cluster shows it."""

    NOT_BEGUN = "not begun"
    HALF_MADE = "half made"
    LAUNCHING = "launching"
    RED_RED = "red/red"
    RED_BLACK = "red/black"
    TAKEN_OUT = "taken out of traffic by somebody"
    ENDED = "ended"
    GOING_BACK = "going back"


def push_state(view: ClusterView, red: Group | None) -> PushState:
    """The state of the push whose new group is `red`."""
    if red is None:
        return PushState.NOT_BEGUN
    if red.tags.get(FAILED) or red.is_deleting or (red.is_partial and red.has_traffic):
        return PushState.GOING_BACK
    if red.is_partial:
        return PushState.HALF_MADE
    if red.tags.get(PINNED) == "":
        return PushState.ENDED
    if not red.is_enabled and (SIDE_BY_SIDE_UNTIL in red.tags or WATCHED_UNTIL in red.tags):
        return PushState.TAKEN_OUT
    if not red.is_enabled:
        return PushState.LAUNCHING if red.suspended >= PUSH_SUSPENDED else PushState.HALF_MADE
    is_shared = any(group.is_enabled for group in previous_groups(view, red))
    return PushState.RED_RED if is_shared else PushState.RED_BLACK


MAY_GO_BACK = (PushState.LAUNCHING, PushState.RED_RED, PushState.RED_BLACK)
"""What is half made is made first: there is no group yet that could be marked."""


def next_step(look: Look, goal: PushGoal) -> Step:
    """The next step of the push towards `goal`."""
    red = red_group(look.view, goal.run, goal.attempt)
    state = push_state(look.view, red)
    if state is PushState.GOING_BACK and red is not None:
        return roll_back_push(look, goal, red)
    if red is not None and state in MAY_GO_BACK and (left := leave_before_peak(look, goal, red)):
        return left
    step = launch(look.view, goal) if red is None else ROWS[state](look, goal, red)
    return unless_stopped(look, goal, red, step)


def has_switched(view: ClusterView, goal: PushGoal) -> bool:
    """Whether red has all main traffic and previous is black, or the push has nothing to do."""
    red = red_group(view, goal.run, goal.attempt)
    if red is None:
        return is_live_already(view, goal)
    state = push_state(view, red)
    if state is PushState.RED_BLACK:
        return all(is_black(one) and one.suspended >= BLACK_SUSPENDED for one in previous_groups(view, red))
    return state is PushState.ENDED


def _prepare(look: Look, goal: PushGoal, red: Group) -> Step:
    """Red is out of traffic and on its way up; it will stand beside whoever serves then, previous or not."""
    view, serving = look.view, enabled_groups(look.view)
    if not red.is_attached:
        return AttachRed(view.cluster, with_silent(view, view.weights, [red.name]))
    if goal.scaling is not None and red.tags.get(SCALING) != goal.scaling.words:
        return PutScalingPolicy(red.name, goal.scaling)
    missing = missing_health(red)
    if missing and _is_late(look, goal, red):
        return _give_up(goal, red, f"not healthy {goal.launch_within_seconds:.0f} s after its launch: {missing[0]}")
    if step := growth(look, goal, red):
        return step
    if missing:
        return WaitHealthy(f"{red.name} is healthy", missing)
    return ShareTraffic(view.cluster, split_main_traffic(view, by_health([red, *serving])))


def _hand_over(look: Look, goal: PushGoal, red: Group) -> Step:
    """Red/red: both serve. Previous goes out of traffic only when every red instance is seen at work."""
    view = look.view
    previous = [group for group in previous_groups(view, red) if group.is_enabled]
    if is_mostly_dead(red):
        return _give_up(goal, red, f"only {red.healthy_count} of {red.capacity.desired} healthy while sharing traffic")
    missing = missing_health(red)
    idle = _idle(look, goal, red)
    if (missing or idle) and _is_late(look, goal, red):
        return _give_up(goal, red, f"not taking traffic in time: {(missing or idle)[0]}")
    if step := growth(look, goal, red):
        return step
    if missing:
        return WaitHealthy(f"{red.name} is healthy beside {names_of(previous)}", missing)
    wait = WaitTakingTraffic(f"every instance of {red.name} takes traffic", idle)
    if idle and SIDE_BY_SIDE_UNTIL not in red.tags:
        return wait
    seconds = goal.side_by_side_seconds
    step = watch(look, red, previous, WatchKind.SIDE_BY_SIDE, SIDE_BY_SIDE_UNTIL, seconds, goal.token)
    if step or idle:
        return step or wait
    for group in previous:
        if group.tags.get(BLACK_SINCE):  # of an earlier time: its time to live begins anew
            return TagGroup(group.name, fenced(goal.token, {BLACK_SINCE: ""}))
    weights = split_main_traffic(view, {red.name: 1.0}, [group.name for group in previous])
    return DisablePrevious(view.cluster, weights)


def _settle(look: Look, goal: PushGoal, red: Group) -> Step:
    """Red serves alone: make black keep still, watch red, then let go of it; only what nobody changed meanwhile."""
    previous = previous_groups(look.view, red)
    if is_mostly_dead(red):
        if previous:  # healthy or not: its image has served, and it may launch again
            reason = f"only {red.healthy_count} of {red.capacity.desired} healthy after the switch"
            return _give_up(goal, red, reason)
        return WaitHealthy(f"{red.name} is healthy again: no earlier group is", missing_health(red))
    for group in previous:
        if step := make_black(look, group, goal.token):
            return step
    if step := watch(look, red, previous, WatchKind.ALONE, WATCHED_UNTIL, goal.watch_seconds, goal.token):
        return step
    return let_go(red, goal.size, PUSH_SUSPENDED) or TagGroup(red.name, fenced(goal.token, {PINNED: ""}))


def _finish(look: Look, goal: PushGoal, red: Group) -> Step:
    """The push is over; what is too old goes, and nothing that this or another push still uses."""
    view = look.view
    previous = [group.name for group in previous_groups(view, red)]
    older = [group for group in main_groups(view) if group.created_at < red.created_at and group.name not in previous]
    spare = max(goal.keep_black - len(previous), 0)
    retired = [one for one in older if is_left_over(one)] + [one for one in older if is_black(one)][spare:]
    if retired:
        return RetireOlder(retired[-1].name)
    kept = f"; {' '.join(previous)} kept for a rollback" if previous else ""
    return Done(
        f"{red.name} ({goal.build.version or goal.build.image_id}) serves in {view.cluster.region} "
        f"with {red.healthy_count} instances{kept}",
        red.name,
    )


ROWS: dict[PushState, Callable[[Look, PushGoal, Group], Step]] = {
    PushState.TAKEN_OUT: lambda look, goal, red: _give_up(goal, red, "somebody took it out of traffic"),
    PushState.HALF_MADE: lambda look, goal, red: create(look.view, goal, red.name),
    PushState.LAUNCHING: _prepare,
    PushState.RED_RED: _hand_over,
    PushState.RED_BLACK: _settle,
    PushState.ENDED: _finish,
}


def _is_late(look: Look, goal: PushGoal, red: Group) -> bool:
    """Red should serve by now; once it has been watched, or was held, it is given as long again. A push that is held is
    never late."""
    latest = red.created_at + timedelta(seconds=goal.launch_within_seconds)
    if watched_until := red.tags.get(SIDE_BY_SIDE_UNTIL):
        latest = max(latest, datetime.fromisoformat(watched_until) + timedelta(seconds=goal.side_by_side_seconds))
    if resumed := resumed_at(red):
        latest = max(latest, resumed + timedelta(seconds=goal.launch_within_seconds))
    return not look.hold and not waits_for_peak(look, goal, red) and look.now >= latest


def _idle(look: Look, goal: PushGoal, red: Group) -> tuple[str, ...]:
    if not goal.needs_traffic:
        return ()
    return (look.blind,) if look.blind else missing_traffic(red, look.served)


def _give_up(goal: PushGoal, red: Group, reason: str) -> Step:
    return mark_failed(red, reason, goal.token)
