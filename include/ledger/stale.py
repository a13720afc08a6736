"""Locks that nobody will free any more: their run is over, and they are of no use to anybody."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from include.ledger.events import EVERY_REGION
from include.ledger.locks import Holder, Lease


def judge_lease(lease: Lease, over: Mapping[str, str], now: datetime) -> tuple[bool, str]:
    """Whether the lease is to be freed, and why or why not. `over`: how those runs ended that are not under way.

    A person's lock is a person's, run out or not. A cluster's runs out by itself soon enough; the one of all regions
    together is made for days, and would keep every delivery waiting for as long.
    """
    if lease.holder is Holder.PERSON:
        return False, f"it is {lease.who}'s own: {lease.why}"
    if lease.owner not in over:
        return False, f"its run {lease.owner} is under way"
    ended = f"its run {lease.owner} is over ({over[lease.owner]})"
    if not lease.is_running(now):
        return True, f"{ended}, and it ran out on {lease.until:%d %b %H:%M} UTC"
    if lease.place.region == EVERY_REGION:
        return True, f"{ended}, and it would last until {lease.until:%d %b %H:%M} UTC"
    return False, f"{ended}; it runs out by itself at {lease.until:%H:%M:%S} UTC"
