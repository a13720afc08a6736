"""Patches that serve and that a release lacks: to push it would take them away from users."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.apps import App, DeliverFlow, ReleaseFlow
from include.ledger.candidates import plain
from redstart.operators.live import live_commits
from redstart.operators.released import contains

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.apps.delivery import Delivery
    from redstart.hooks.git import GitRepository
    from redstart.operators.drive import Account
    from redstart.operators.station import StationOperator


def word_if_patch_is_lost(
    station: StationOperator, context: Context, account: Account, delivery: Delivery, repository: GitRepository
) -> str:
    """Why the release `delivery` must not go into its regions: what serves there, is on a branch of production, and is
    not in it. "" where there is no such thing, or the form lets it through. `repository` has been fetched.
    """
    lost = lost_patches(station, delivery, repository)
    if not lost:
        return ""
    if context["params"].get("without_patches"):
        account.note(f"as the form says, takes away from users: {', '.join(lost)}")
        return ""
    return (
        f"{delivery.version} lacks what serves in production: {', '.join(lost)}. Choose a candidate that was made "
        f"after {' and '.join(production_branches(station.application))} came into {delivery.branch}, or tick "
        "'Push although production has commits that it lacks'."
    )


def lost_patches(station: StationOperator, delivery: Delivery, repository: GitRepository) -> list[str]:
    """Commits that serve in its regions, are on a branch of production and not in `delivery`; with their subjects."""
    serving = set().union(*(live_commits(station.view(region)) for region in delivery.regions))
    heads = [repository.head(branch) for branch in production_branches(station.application)]
    return [
        f"{commit[:10]} ({plain(repository.commit_info(commit).subject, 80)})"
        for commit in sorted(serving)
        if not contains(repository, delivery.commit, commit) and any(contains(repository, one, commit) for one in heads)
    ]


def production_branches(app: App) -> list[str]:
    """Those that releases are merged into, and those whose commits go to production by themselves."""
    flows = app.flows.values()
    merged = [flow.merge_into for flow in flows if isinstance(flow, ReleaseFlow) and flow.merge_into]
    return list(dict.fromkeys([*merged, *(flow.branch for flow in flows if isinstance(flow, DeliverFlow))]))
