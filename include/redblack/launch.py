"""Launching red: its name, its size, and growing it with the group that it is to replace."""

from __future__ import annotations

from include.fleet import ClusterView, Group
from include.fleet.tags import ATTEMPT, MAIN, PINNED, PREVIOUS
from include.redblack.black import noted_pin
from include.redblack.capacity import pinned, red_size
from include.redblack.goal import PushGoal
from include.redblack.look import Look
from include.redblack.names import GroupName
from include.redblack.roles import (
    PUSH_SUSPENDED,
    enabled_groups,
    fenced,
    is_black,
    is_rolled_back,
    main_groups,
    names_of,
    next_main_number,
    previous_groups,
)
from include.redblack.steps import CreateRed, Done, EnableBlack, Failed, GrowRed, Step, TagGroup
from include.redblack.traffic import by_health, split_main_traffic
from include.redblack.watching import mark_failed


def is_live_already(view: ClusterView, goal: PushGoal) -> bool:
    enabled = enabled_groups(view)
    return len(enabled) == 1 and enabled[0].image_id == goal.build.image_id


def launch(view: ClusterView, goal: PushGoal) -> Step:
    """The first step of a push that has no group yet."""
    if is_live_already(view, goal):
        live = enabled_groups(view)[0]
        return Done(f"{live.name} already runs {goal.build.image_id} in {view.cluster.region}", live.name)
    warm = [group for group in main_groups(view) if is_black(group) and not is_rolled_back(group)]
    if warm and not enabled_groups(view):  # nobody serves: first the users
        return EnableBlack(view.cluster, split_main_traffic(view, by_health(warm[:1])))
    name = GroupName(view.cluster.app, view.cluster.stack, "", next_main_number(view))
    return create(view, goal, str(name))


def create(view: ClusterView, goal: PushGoal, name: str) -> Step:
    """Red with that name, as big as the live count of now asks for."""
    enabled = enabled_groups(view)
    size = red_size(_live_count(enabled), goal.size, goal.headroom_pct)
    if size is None:
        return Failed(_too_small(view, goal, enabled))
    tags = {PREVIOUS: " ".join(sorted(group.name for group in enabled)), PINNED: str(size)}
    if goal.attempt:
        tags[ATTEMPT] = str(goal.attempt)
    spec = goal.template.spec(
        name,
        view.cluster,
        goal.build,
        pinned(size, goal.size),
        role=MAIN,
        run=goal.run,
        suspended=PUSH_SUSPENDED,
        extra_tags=fenced(goal.token, tags),
    )
    return CreateRed(spec)


def growth(look: Look, goal: PushGoal, red: Group) -> Step | None:
    """Red as big as the previous group of *now* asks for, and the traffic of now; the pin is noted before it is set,
    so it is never lost."""
    view = look.view
    previous = [group for group in previous_groups(view, red) if group.is_enabled]
    size = red_size(_live_count(previous), goal.size, goal.headroom_pct)
    if size is None:
        return mark_failed(red, _too_small(view, goal, previous), goal.token)
    asked = min(look.demand.instances(goal.need.rps_per_instance) or 0, goal.size.maximum)
    size = max(size, asked, noted_pin(red))  # a pin that was noted and not set would never be undone
    if size <= red.capacity.desired:
        return None
    if red.tags.get(PINNED) != str(size):
        return TagGroup(red.name, fenced(goal.token, {PINNED: str(size)}))
    return GrowRed(red.name, pinned(size, goal.size))


def _live_count(groups: list[Group]) -> int:
    """Healthy instances of the groups in traffic; where none is healthy, as many as there should be."""
    healthy = sum(group.healthy_count for group in groups)
    return healthy or sum(group.capacity.desired for group in groups)


def _too_small(view: ClusterView, goal: PushGoal, groups: list[Group]) -> str:
    live = _live_count(groups)
    return (
        f"{names_of(groups)} serves {view.cluster.region} with {live} instances, more than the {goal.size.maximum} "
        f"that a group of {view.cluster.name} may have"
    )
