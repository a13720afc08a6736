"""A rollback that a person asks for, at any time after a push: who is gone back to, and from whom."""

from __future__ import annotations

from include.errors import RefusedError
from include.fleet import ClusterView, Group
from include.fleet.tags import FAILED, RESTORED_BY, ROLLED_BACK, ROLLED_BACK_BY, tag_value
from include.redblack.goal import RollbackGoal
from include.redblack.look import Look
from include.redblack.roles import (
    enabled_groups,
    fenced,
    is_abandoned,
    is_alive,
    is_black,
    is_launching,
    is_rolled_back,
    main_groups,
    names_of,
    previous_groups,
)
from include.redblack.rollback import Way, keep_bad, step_back
from include.redblack.steps import DeleteRed, Done, Step, TagGroup


def groups_to_restore(view: ClusterView, goal: RollbackGoal) -> list[Group]:
    """Who the rollback goes back to: chosen once, then told by the mark on them; empty where nobody is left.

    RefusedError where `goal.to` names no group of the cluster that could serve.
    """
    alive = [group for group in main_groups(view) if is_alive(group)]
    if marked := [group for group in alive if group.tags.get(RESTORED_BY) == goal.run]:
        return marked
    if goal.to:
        named = [group for group in alive if group.name == goal.to]
        if not named:
            there = ", ".join(group.name for group in alive) or "none"
            raise RefusedError(
                f"There is no group {goal.to!r} of {view.cluster.name} in {view.cluster.region} to go back to; "
                f"there are: {there}."
            )
        return named
    serving = enabled_groups(view)
    if serving and any(_is_on_its_way(group, serving) for group in alive):
        return serving  # to go back is to end that push
    previous = previous_groups(view, serving[0]) if serving else []
    usable = [group for group in previous if not is_rolled_back(group)]
    return usable or [group for group in alive if is_black(group) and not is_rolled_back(group)][:1]


def groups_to_leave(view: ClusterView, goal: RollbackGoal, good: list[Group]) -> list[Group]:
    """Main groups that must not serve afterwards: those in traffic, those that this rollback took out of it, and
    those that a failed push left there."""
    names = {group.name for group in good}
    others = [group for group in main_groups(view) if group.name not in names]
    return [group for group in others if group.has_traffic or _is_left(group, goal)]


def _is_on_its_way(group: Group, serving: list[Group]) -> bool:
    """Of a push that has not got to its end, or is on its way back; not what an older one left lying about."""
    youngest = max(one.created_at for one in serving)
    return (is_launching(group) or is_abandoned(group)) and group.created_at >= youngest


def _is_left(group: Group, goal: RollbackGoal) -> bool:
    is_ours = group.tags.get(ROLLED_BACK_BY) == goal.run or is_abandoned(group)
    return is_ours and not is_launching(group)


def next_rollback_step(look: Look, goal: RollbackGoal) -> Step:
    """The next step of the rollback; Done with the group that serves. RefusedError where nothing is left to go to."""
    view = look.view
    good = groups_to_restore(view, goal)
    if not good:
        raise RefusedError(
            f"No group of {view.cluster.name} in {view.cluster.region} is left to go back to; "
            "only an earlier image can be pushed again."
        )
    bad = groups_to_leave(view, goal, good)
    launching = [group for group in main_groups(view) if is_launching(group) and group not in good]
    if step := _mark(goal, good, [group for group in (*bad, *launching) if is_alive(group)]):
        return step
    way = Way(good, bad, goal.size, goal.need, goal.is_severe, goal.needs_traffic, goal.token)
    if step := step_back(look, way):
        return step
    for group in launching:
        return DeleteRed(group.name, goal.reason)
    for group in bad:
        if is_alive(group) and (step := keep_bad(look, way, group, {})):
            return step
    healthy = sum(group.healthy_count for group in good)
    left = f"; {names_of(bad)} kept out of traffic" if bad else ""
    return Done(f"{names_of(good)} serves in {view.cluster.region} with {healthy} instances{left}", good[0].name)


def _mark(goal: RollbackGoal, good: list[Group], bad: list[Group]) -> Step | None:
    """Who is who, written down before anything is done: so the next look, by whomever, chooses the same."""
    for group in good:
        marks = {RESTORED_BY: goal.run, ROLLED_BACK: "", FAILED: ""}
        if any(group.tags.get(key, "") != value for key, value in marks.items()):
            return TagGroup(group.name, fenced(goal.token, marks))
    reason = tag_value(goal.reason) or "no reason given"
    for group in bad:
        marks = {ROLLED_BACK_BY: goal.run, RESTORED_BY: ""}
        if is_launching(group) or all(group.created_at >= one.created_at for one in good):
            marks |= {ROLLED_BACK: reason, FAILED: reason}  # an older one is left, not condemned: the way was forward
        if any(group.tags.get(key, "") != value for key, value in marks.items()):
            return TagGroup(group.name, fenced(goal.token, marks))
    return None
