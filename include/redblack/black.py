"""Groups out of traffic made to keep still, and groups in traffic let go of: what nobody changed meanwhile."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from include.fleet import Capacity, Group
from include.fleet.tags import BLACK_SINCE, PINNED
from include.redblack.capacity import SizeBounds
from include.redblack.look import Look
from include.redblack.roles import BLACK_SUSPENDED, fenced
from include.redblack.steps import ResumeProcesses, Step, SuspendBlack, TagGroup, Unpin


def make_black(look: Look, group: Group, token: int, tags: Mapping[str, str] | None = None) -> Step | None:
    """The next step of making a group that is out of traffic keep still, marked with `tags`; None: it does."""
    since = group.tags.get(BLACK_SINCE) or look.now.isoformat(timespec="seconds")
    wanted = {BLACK_SINCE: since, **(tags or {})}
    if any(group.tags.get(key) != value for key, value in wanted.items()):
        return TagGroup(group.name, fenced(token, wanted))
    if not group.suspended >= BLACK_SUSPENDED:
        return SuspendBlack(group.name, BLACK_SUSPENDED)
    return None


def let_go(group: Group, size: SizeBounds, ours: Collection[str]) -> Step | None:
    """The next step of giving a group back to its policies; None: only its notes are left. `ours`: the processes that
    a push or rollback has suspended on it; a person who suspends another one has a reason."""
    if unpinned := unpin(group, size):
        return unpinned
    resumed = group.suspended & frozenset(ours)
    return ResumeProcesses(group.name, resumed) if resumed else None


def noted_pin(group: Group) -> int:
    """The size to which a push or rollback has pinned the group, or was about to; 0: none."""
    noted = group.tags.get(PINNED, "")
    return int(noted) if noted.isdigit() else 0


def unpin(group: Group, size: SizeBounds) -> Unpin | None:
    """The cluster's own minimum again, unless somebody has set another one meanwhile."""
    minimum = group.capacity.minimum
    if str(minimum) != group.tags.get(PINNED) or minimum <= size.minimum:
        return None
    return Unpin(group.name, Capacity(size.minimum, group.capacity.desired, group.capacity.maximum))
