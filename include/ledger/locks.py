"""Who may change a cluster: a lease with an end, a fencing token that only grows, and holds that stop pushes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from include.errors import RefusedError, RetryableError
from include.ledger.events import Place


class Holder(StrEnum):
    """Who claims a cluster."""

    PUSH = "push"
    CANARY = "canary"
    ROLLBACK = "rollback"
    JANITOR = "janitor"
    PERSON = "person"


OUTRANKED = {Holder.ROLLBACK: frozenset({Holder.PUSH, Holder.CANARY, Holder.JANITOR})}
"""Whose running lease a claim takes without asking: going back to what served outranks all other automation."""


@dataclass(frozen=True)
class Claim:
    """The wish to change a cluster for `seconds`; `owner` is the same at every retry (a run, a person).

    `takes_over` lets it take the lock from whoever has it, a person's as well; without it only the rules of
    `decide_claim` do.
    """

    owner: str
    holder: Holder
    who: str
    why: str
    seconds: float
    takes_over: bool = False


@dataclass(frozen=True)
class Lease:
    """A cluster is `owner`'s until `until`. `token` is greater than that of every earlier lease of the place."""

    place: Place
    owner: str
    holder: Holder
    who: str
    why: str
    since: datetime
    until: datetime
    token: int

    def is_running(self, now: datetime) -> bool:
        return now < self.until

    def describe(self) -> str:
        """Who has the place, as what, until when and why."""
        return f"{self.place} is {self.who}'s ({self.holder}) until {self.until:%d %b %H:%M:%S} UTC: {self.why}"


@dataclass(frozen=True)
class Hold:
    """No push begins or goes forward here while it lasts (`until` None: until it is lifted); rollbacks may."""

    place: Place
    who: str
    why: str
    since: datetime
    until: datetime | None = None

    def is_in_force(self, now: datetime) -> bool:
        return self.until is None or now < self.until

    def describe(self) -> str:
        """Who holds the place, until when and why."""
        until = "lifted" if self.until is None else f"{self.until:%d %b %H:%M:%S} UTC"
        return f"{self.place} is held by {self.who} until {until}: {self.why}"


class LockedError(RetryableError):
    """Somebody else has the cluster; the sentence says who, why and until when."""

    def __init__(self, lease: Lease) -> None:
        super().__init__(lease.describe())
        self.lease = lease


class LeaseRunOutError(RetryableError):
    """The lease has run out and nobody has claimed the cluster since: it may be renewed or claimed anew."""


class LockLostError(RefusedError):
    """The lease is no longer ours: somebody has taken the cluster over, or it was freed by hand."""


def decide_claim(current: Lease | None, place: Place, claim: Claim, now: datetime, *, last_token: int = 0) -> Lease:
    """The lease that the claim gets; LockedError where another has the place.

    The owner of a running lease keeps its token and gets the later of both ends. Everyone else who gets the place
    gets a token greater than `last_token`, the greatest that the ledger has given out there, and not below the
    seconds since 1970: so a ledger that was lost, or restored from last night, still outranks what groups carry.
    """
    until = now + timedelta(seconds=claim.seconds)
    if current is not None and current.is_running(now):
        if current.owner == claim.owner:
            end = max(current.until, until)
            return replace(current, holder=claim.holder, who=claim.who, why=claim.why, until=end)
        if not may_take_over(current, claim):
            raise LockedError(current)
    token = max(last_token + 1, current.token + 1 if current else 0, int(now.timestamp()))
    return Lease(place, claim.owner, claim.holder, claim.who, claim.why, now, until, token)


def may_take_over(current: Lease, claim: Claim) -> bool:
    """Whether the claim may end another owner's running lease."""
    return claim.takes_over or current.holder in OUTRANKED.get(claim.holder, frozenset())


def renewed(current: Lease | None, lease: Lease, now: datetime, seconds: float) -> Lease:
    """`lease`, `seconds` from now at least, run out or not; LockLostError unless it is still the place's."""
    ours = _still_ours(current, lease)
    return replace(ours, until=max(ours.until, now + timedelta(seconds=seconds)))


def check_lease(current: Lease | None, lease: Lease, now: datetime) -> None:
    """LockLostError unless `lease` is still the place's; LeaseRunOutError where its time is over."""
    ours = _still_ours(current, lease)
    if not ours.is_running(now):
        raise LeaseRunOutError(f"The lease of {lease.place} ran out at {ours.until:%H:%M:%S} UTC.")


def _still_ours(current: Lease | None, lease: Lease) -> Lease:
    if current is None:
        raise LockLostError(f"{lease.place} was freed: the lease {lease.token} of {lease.who} is over.")
    if current.token != lease.token:
        raise LockLostError(f"The lease {lease.token} of {lease.who} is over: {current.describe()}")
    return current
