"""Releases that serve and that a commit lacks: to deliver it would take them away from users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.errors import RefusedError
from include.ledger import EVERY_REGION, Kind
from redstart.operators.cluster import place_of
from redstart.operators.live import live_commits, tree_of
from redstart.operators.runs import is_by_hand

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from include.apps.delivery import Delivery
    from redstart.hooks.git import GitRepository
    from redstart.operators.drive import Account
    from redstart.operators.station import StationOperator


@dataclass(frozen=True)
class Release:
    """A candidate that somebody chose, and where it serves."""

    commit: str
    version: str
    regions: tuple[str, ...]

    def __str__(self) -> str:
        return f"release {self.version} ({self.commit[:10]})"

    @property
    def where(self) -> str:
        *most, last = self.regions
        return f"{', '.join(most)} and {last}" if most else last


def word_if_release_is_lost(
    station: StationOperator, context: Context, account: Account, delivery: Delivery
) -> str | None:
    """None where the delivery of a branch's commit takes no release away from its regions, or a person means it.

    A word where the branch has the release since: the run of its newest commit delivers both. RefusedError where the
    branch does not have it: a merge that is not done. Who moved the branch back behind a merge means it, too.
    """
    found = lost_release(station, station.repository, delivery)
    if found is None:
        return None
    release, head = found
    if is_by_hand(context):
        account.note(f"by hand: takes {release} away from {release.where}")
        return None
    if head:
        return (
            f"superseded: {delivery.commit[:10]} lacks {release}, which serves and has come to {delivery.branch} "
            f"since; the run of {head[:10]} delivers both."
        )
    short, branch = release.commit[:10], delivery.branch
    raise RefusedError(
        f"{release.where} serve{'s' if len(release.regions) == 1 else ''} {release}, which {branch} does not contain: "
        f"merge {short} into {branch} by hand; the merge's own run delivers both. To take the release away from users "
        "start a run by hand."
    )


def lost_release(station: StationOperator, repository: GitRepository, delivery: Delivery) -> tuple[Release, str] | None:
    """A release that serves and that the delivery lacks, and the branch's head where that has it ("" = it has not)."""
    serving = releases_that_serve(station, delivery.regions)
    if all(one.commit == delivery.commit for one in serving):
        return None
    repository.fetch()
    head = repository.head(delivery.branch)
    for release in serving:
        if contains(repository, delivery.commit, release.commit):
            continue
        if contains(repository, head, release.commit):
            return release, head
        if not was_merged(station, release.commit, delivery.branch):
            return release, ""
    return None


def releases_that_serve(station: StationOperator, regions: Sequence[str]) -> list[Release]:
    """Candidates that were chosen and take traffic in some of production's regions."""
    place = place_of(station.application, EVERY_REGION)
    chosen = {
        str(one.event.data.get("commit")): str(one.event.data.get("version"))
        for one in station.ledger.events(place=place, kinds={Kind.CANDIDATE_CHOSEN})
    }
    live = {region: live_commits(station.view(region)) for region in regions} if chosen else {}
    serving = sorted(set().union(*live.values()) & chosen.keys())
    return [
        Release(commit, chosen[commit], tuple(region for region in live if commit in live[region]))
        for commit in serving
    ]


def was_merged(station: StationOperator, commit: str, branch: str) -> bool:
    """Whether the branch once had it, by the ledger's word."""
    place = place_of(station.application, EVERY_REGION)
    merges = [one.event.data for one in station.ledger.events(place=place, kinds={Kind.BRANCH_MERGED})]
    return any(data.get("source_commit") == commit and data.get("target") == branch for data in merges)


def contains(repository: GitRepository, commit: str, part: str) -> bool:
    """Whether a commit has another in its history; no where the clone does not know one of them (any more)."""
    is_known = "" not in (commit, part) and None not in (tree_of(repository, commit), tree_of(repository, part))
    return is_known and repository.is_ancestor(part, commit)
