"""A cluster's groups as a plan shows them: how many instances, with which share of the traffic."""

from __future__ import annotations

from dataclasses import dataclass

from include.fleet import Capacity, ClusterView, Group
from include.fleet.tags import VERSION
from include.redblack.roles import enabled_groups, is_black, main_groups
from include.redblack.traffic import shares_of


@dataclass(frozen=True)
class GroupPicture:
    """One main group; `role` is live, black, or out of traffic without being kept."""

    name: str
    version: str
    image_id: str
    healthy: int
    capacity: Capacity
    share_pct: float
    role: str


def picture_of(view: ClusterView) -> tuple[GroupPicture, ...]:
    """The main groups that are there, the oldest first."""
    shares = shares_of(view.weights)
    there = [group for group in main_groups(view) if not group.is_partial and not group.is_deleting]
    return tuple(_picture(group, 100 * shares.get(group.name, 0.0)) for group in reversed(there))


def busiest(views: list[ClusterView]) -> ClusterView:
    """The first of those in which the most main groups serve, with the most instances."""
    return max(views, key=lambda view: (len(enabled_groups(view)), sum(one.healthy_count for one in view.groups)))


def _picture(group: Group, share_pct: float) -> GroupPicture:
    role = "live" if group.has_traffic else "black" if is_black(group) else "out of traffic"
    version = group.tags.get(VERSION, "")
    return GroupPicture(group.name, version, group.image_id, group.healthy_count, group.capacity, share_pct, role)
