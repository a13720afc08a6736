"""Who is who in a cluster: red, previous, black; from tags, weights and suspended processes alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from include.fleet import ClusterView, Group
from include.fleet.tags import (
    ATTEMPT,
    BLACK_SINCE,
    FAILED,
    FENCE,
    MAIN,
    PAUSED,
    PINNED,
    PREVIOUS,
    RESUMED,
    ROLE,
    ROLLED_BACK,
    RUN,
    WATCHED_UNTIL,
)
from include.redblack.names import next_number, parse_name

PUSH_SUSPENDED: Final = frozenset({"AZRebalance", "AlarmNotification", "ScheduledActions"})
"""On red while it is pushed: what would change its size or replace its instances."""
GROWING: Final = frozenset({"Launch", "Terminate", "AddToLoadBalancer"})
"""What a group needs to grow."""
BLACK_SUSPENDED: Final = GROWING | {"AlarmNotification", "ScheduledActions"}
"""On black: with the first three alone, policies and schedules still move its wish, and it jumps when resumed."""


def main_groups(view: ClusterView) -> list[Group]:
    """Main groups, newest first, by creation time: after the wrap v000 is younger than v999."""
    return sorted(
        (group for group in view.groups if group.tags.get(ROLE) == MAIN),
        key=lambda group: (group.created_at, group.name),
        reverse=True,
    )


def enabled_groups(view: ClusterView) -> list[Group]:
    return [group for group in main_groups(view) if group.is_enabled and not group.is_partial]


def red_group(view: ClusterView, run: str, attempt: int = 0) -> Group | None:
    """The newest main group that the push `run` made in this attempt; one on its way out only where there is no
    other."""
    made_by = (run, str(attempt))
    own = [group for group in main_groups(view) if (group.tags.get(RUN), group.tags.get(ATTEMPT, "0")) == made_by]
    return next((group for group in own if not group.is_deleting), own[0] if own else None)


def previous_groups(view: ClusterView, red: Group) -> list[Group]:
    """Those that took traffic when `red` was launched and still exist."""
    names = red.tags.get(PREVIOUS, "").split()
    return [group for group in main_groups(view) if group.name in names and is_alive(group)]


def is_alive(group: Group) -> bool:
    return not group.is_deleting and not group.is_partial


def is_black(group: Group) -> bool:
    """Out of traffic by a push or a rollback, and kept; a group that is only just being launched is not."""
    return group.weight == 0 and is_alive(group) and bool(group.tags.get(BLACK_SINCE))


def is_launching(group: Group) -> bool:
    """Made by a push, and out of traffic without ever having served alone."""
    is_pushed = bool(group.tags.get(PINNED)) and WATCHED_UNTIL not in group.tags
    return group.weight == 0 and not group.is_deleting and is_pushed and not is_black(group)


def is_abandoned(group: Group) -> bool:
    """Left over: a failed red whose rollback stopped half-way and was never taken up again."""
    return group.weight == 0 and not group.is_deleting and bool(group.tags.get(FAILED)) and not is_black(group)


def is_left_over(group: Group) -> bool:
    """What a push left behind that is over, or that nobody is at any more; for whoever has the lock."""
    return is_abandoned(group) or is_launching(group) or (group.is_partial and not group.has_traffic)


def is_rolled_back(group: Group) -> bool:
    """Somebody has gone back from it, or its push failed: it is nothing to go back to."""
    return bool(group.tags.get(ROLLED_BACK) or group.tags.get(FAILED))


def is_paused(red: Group) -> bool:
    """Its push stands still, for a person's hold or a peak."""
    return bool(red.tags.get(PAUSED))


def resumed_at(red: Group) -> datetime | None:
    """When its push last went on after a hold or a peak."""
    resumed = red.tags.get(RESUMED)
    return datetime.fromisoformat(resumed) if resumed else None


def next_main_number(view: ClusterView) -> int:
    """The number of the next main group of the cluster."""
    parsed = {group.name: parse_name(group.name) for group in view.groups}
    mine = {name: one.number for name, one in parsed.items() if one and one.cluster == view.cluster.name}
    newest = next((mine[group.name] for group in main_groups(view) if group.name in mine), None)
    return next_number(newest, mine.values())


def fenced(token: int, tags: Mapping[str, str]) -> dict[str, str]:
    """`tags`, and the token of the lease under which they are written."""
    return {**tags, FENCE: str(token)} if token else dict(tags)


def newest_fence(view: ClusterView) -> int:
    """The greatest token under which any group of the cluster was changed; 0: none says."""
    found = (group.tags.get(FENCE, "") for group in view.groups)
    return max((int(token) for token in found if token.isdigit()), default=0)


def names_of(groups: list[Group]) -> str:
    return " and ".join(sorted(group.name for group in groups)) or "nothing"
