"""The ledger's port: facts, locks, holds, and what is still to be told to others."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from include.ledger.events import Event, Kind, Place, Recorded
from include.ledger.locks import Claim, Hold, Lease


class Ledger(Protocol):
    """Every verb is one transaction. RetryableError where the database does not answer.

    Who was killed in a verb asks for it again: whether it was kept or not, the end is the same.
    """

    def record(self, event: Event) -> bool:
        """Keep the event; False where its key is kept already (then nothing changes).

        RefusedError where the key is that of an event of another kind or place.
        """

    def record_first(self, first: Event, others: Sequence[Event] = ()) -> bool:
        """Keep `first`, and those of the others whose key is not kept yet; False, and nothing is kept, where
        `first`'s key is, whatever fact it is that of."""

    def events(
        self,
        *,
        place: Place | None = None,
        app: str = "",
        run: str = "",
        kinds: Collection[Kind] = (),
        since: datetime | None = None,
        newest: int | None = None,
    ) -> list[Recorded]:
        """Events that fit all that is given, in the order they were recorded; `newest`: only the last so many."""

    def claim(self, place: Place, claim: Claim, now: datetime) -> Lease:
        """The cluster's lease for the claim (see locks.decide_claim); LockedError where another has it.

        The owner of a running lease gets it again, with the same token. A claim, and a take-over, is an event.
        """

    def renew(self, lease: Lease, now: datetime, seconds: float) -> Lease:
        """The same lease, until `now` + `seconds` at least, run out or not; LockLostError where it is another's."""

    def check(self, lease: Lease, now: datetime) -> None:
        """LockLostError unless `lease` (by its token) is the place's; LeaseRunOutError where its time is over, and
        nobody has claimed the place since."""

    def free(self, place: Place, now: datetime, *, owner: str = "", who: str, why: str) -> Lease | None:
        """Free the place's lock and return what it was; with `owner`, only if it is that owner's. An event."""

    def lease(self, place: Place) -> Lease | None:
        """The place's lease, run out or not; None where it is free."""

    def place_hold(self, hold: Hold) -> None:
        """Put it in place of any earlier hold there. An event."""

    def lift_hold(self, place: Place, now: datetime, *, who: str, why: str) -> Hold | None:
        """Lift the place's hold and return it; None where there was none. An event."""

    def hold(self, place: Place, now: datetime) -> Hold | None:
        """The hold that is in force at `now`."""

    def pending(self, topic: str, *, limit: int = 100) -> list[Recorded]:
        """Events of the topic that nobody has marked as told, oldest first."""

    def mark_told(self, topic: str, numbers: Sequence[int], now: datetime) -> None:
        """These are told; marking one twice is nothing."""
