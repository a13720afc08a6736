"""A push and a rollback as Airflow runs them: stages, each with a claim of its own, done again from the one that was
killed. Of a killed stage nothing is left but what AWS and the ledger know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from include.adapters.aws_errors import BeforeChange
from include.adapters.aws_fleet import AwsFleet
from include.fleet import ClusterRef
from include.ledger import Claim, Holder, Ledger, Place
from include.redblack import (
    Finding,
    LedgerJournal,
    Milestone,
    Progress,
    PushGoal,
    RollbackGoal,
    Watched,
    WatchRequest,
    drive_push,
    drive_rollback,
)
from include.redblack.steps import End

LEASE_SECONDS = 180.0
MOST_TURNS = 1000


class Site(Protocol):
    """Where tasks work: a cluster, its ledger, and time."""

    ledger: Ledger
    cluster: ClusterRef

    def fleet(self, before_change: BeforeChange) -> AwsFleet: ...

    def now(self) -> datetime: ...

    def wait(self, progress: Progress) -> None: ...


Drive = Callable[[AwsFleet, LedgerJournal, int], Iterator[Progress]]
"""Fleet, journal and the lease's token -> the engine's turns."""


@dataclass
class Tasks:
    """The tasks of one run; `stage` is the first that has not succeeded, which Airflow remembers."""

    site: Site
    claim: Claim
    drives: list[Drive]
    stage: int = 0
    ends: list[End] = field(default_factory=list)
    turns: list[tuple[datetime, Progress]] = field(default_factory=list)

    @property
    def place(self) -> Place:
        return Place(self.site.cluster.app, self.site.cluster.stack, self.site.cluster.region)

    def run(self) -> End:
        """All stages that are left, then the lock is freed; the end of the last that drove."""
        while self.stage < len(self.drives):
            self.ends.append(self._drive(self.drives[self.stage]))
            self.stage += 1
        who = self.claim.who
        self.site.ledger.free(self.place, self.site.now(), owner=self.claim.owner, who=who, why="done")
        return self.ends[-1]

    def _drive(self, drive: Drive) -> End:
        site, claim = self.site, self.claim
        lease = site.ledger.claim(self.place, claim, site.now())
        journal = LedgerJournal(site.ledger, lease, claim.owner, claim.who, site.now, lease_seconds=LEASE_SECONDS)
        fleet = site.fleet(lambda operation, subject: site.ledger.check(lease, site.now()))
        for turn, progress in enumerate(drive(fleet, journal, lease.token)):
            self.turns.append((site.now(), progress))
            assert turn < MOST_TURNS, f"no end in sight: {progress.sentence}"
            site.wait(progress)
        assert progress.end is not None, progress.sentence
        return progress.end


def push_tasks(site: Site, goal: PushGoal, watch: Callable[[WatchRequest], Watched] | None = None) -> Tasks:
    """A push in two stages: until previous is black, and to its end. All is well where nobody watches."""

    def until(milestone: Milestone) -> Drive:
        def drive(fleet: AwsFleet, journal: LedgerJournal, token: int) -> Iterator[Progress]:
            fenced = replace(goal, token=token)
            return drive_push(fleet, fenced, site.now, journal, watch=watch or all_is_well(site), until=milestone)

        return drive

    claim = Claim(goal.run, Holder.PUSH, "ann", "a release", LEASE_SECONDS)
    return Tasks(site, claim, [until(Milestone.SWITCHED), until(Milestone.ENDED)])


def rollback_tasks(site: Site, goal: RollbackGoal, **claimed: Any) -> Tasks:
    """On-call's way back."""

    def drive(fleet: AwsFleet, journal: LedgerJournal, token: int) -> Iterator[Progress]:
        return drive_rollback(fleet, replace(goal, token=token), site.now, journal)

    return Tasks(site, Claim(goal.run, Holder.ROLLBACK, "bob", goal.reason, LEASE_SECONDS, **claimed), [drive])


def all_is_well(site: Site) -> Callable[[WatchRequest], Watched]:
    return lambda request: Watched(Finding.SOUND, site.now())
