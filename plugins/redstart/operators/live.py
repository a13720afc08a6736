"""What serves now, as commits and as contents: git's tree ids tell whether two commits are the same to users."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from include.errors import RefusedError
from include.fleet import ClusterView

if TYPE_CHECKING:
    from redstart.hooks.git import GitRepository


def live_commits(view: ClusterView) -> set[str]:
    """Commits of the groups that take a cluster's traffic, canary and baseline aside; '' where untagged."""
    main = (group for group in view.groups if group.tags.get("redstart:role", "main") == "main")
    return {group.tags.get("redstart:commit", "") for group in main if group.is_enabled}


def live_trees(repository: GitRepository, views: Mapping[str, ClusterView]) -> dict[str, str | None]:
    """Where -> the content that takes the traffic there; None where that is not one known content."""
    found: dict[str, str | None] = {}
    for where, view in views.items():
        trees = {tree_of(repository, commit) for commit in live_commits(view)}
        found[where] = trees.pop() if len(trees) == 1 else None
    return found


def tree_of(repository: GitRepository, commit: str) -> str | None:
    """The content of a commit that may no longer be known."""
    try:
        return repository.tree_id(commit)
    except RefusedError:
        return None


def describe_trees(live: Mapping[str, str | None]) -> str:
    """Where and which content, in words."""
    return ", ".join(f"{where} {tree[:10] if tree else 'something else'}" for where, tree in live.items())


def describe_live(views: Mapping[str, ClusterView]) -> dict[str, list[dict[str, Any]]]:
    """Region -> what takes traffic there: group, version, commit, healthy instances."""
    return {
        region: [
            {
                "group": group.name,
                "version": group.tags.get("redstart:version", ""),
                "commit": group.tags.get("redstart:commit", ""),
                "healthy": group.healthy_count,
            }
            for group in view.groups
            if group.is_enabled
        ]
        for region, view in views.items()
    }
