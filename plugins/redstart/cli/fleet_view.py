"""What runs where, read from AWS through the product's own connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from include.fleet import ClusterRef, ClusterView, Group
from redstart.cli.connected import connect


def view_regions(environment: dict[str, str], app: str, stack: str, regions: Sequence[str]) -> list[ClusterView]:
    """One view per region. `environment` holds the connections (AIRFLOW_CONN_...), as the stack was started with."""
    connect(environment)
    from redstart.hooks.fleet import FleetHook

    hook = FleetHook()
    return [hook.fleet(region).view_cluster(ClusterRef(app, stack, region)) for region in regions]


def rows(views: Sequence[ClusterView]) -> list[dict[str, str]]:
    return [_row(view, group) for view in views for group in sorted(view.groups, key=lambda g: (-g.weight, g.name))]


def _row(view: ClusterView, group: Group) -> dict[str, str]:
    total = sum(view.weights.values()) or 1
    return {
        "region": view.cluster.region,
        "group": group.name,
        "state": _state(group),
        "version": group.tags.get("redstart:version", ""),
        "commit": group.tags.get("redstart:commit", "")[:10],
        "image": group.image_id,
        "instances": f"{group.healthy_count}/{group.capacity.desired}",
        "traffic": f"{100 * group.weight / total:.0f} %",
    }


def _state(group: Group) -> str:
    if group.is_deleting:
        return "deleting"
    role = group.tags.get("redstart:role", "main")
    if role != "main":
        return role
    return "red" if group.is_enabled else "black"


def live_commits(views: Sequence[ClusterView]) -> dict[str, Any]:
    """Region -> set of commits of the main groups that take traffic."""
    return {
        view.cluster.region: {
            group.tags.get("redstart:commit", "")
            for group in view.groups
            if group.is_enabled and group.tags.get("redstart:role", "main") == "main"
        }
        for view in views
    }
