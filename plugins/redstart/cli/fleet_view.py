"""What runs where, read from AWS through the product's own connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from include.apps import App
from include.fleet import ClusterRef, ClusterView, Group
from redstart.cli.connected import connect


def view_environment(connections: Mapping[str, str], app: App, environment: str = "prod") -> list[ClusterView]:
    """One view per region, as they are listed. `connections` are the stack's (AIRFLOW_CONN_...)."""
    connect(connections)
    from redstart.hooks.fleet import FleetHook

    site = app.environment(environment)
    hook = FleetHook(site.connection_id)
    return [
        hook.fleet(region, site.load_balancer).view_cluster(ClusterRef(app.name, site.stack, region))
        for region in site.region_names
    ]


def view_all(connections: Mapping[str, str], apps: Sequence[App]) -> list[ClusterView]:
    """Every region of every environment of the applications, production first."""
    return [
        view
        for app in apps
        for environment in app.environment_names
        for view in view_environment(connections, app, environment)
    ]


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
