"""The journal of one push, rollback, canary or sweep, kept in the ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from include.fleet import ClusterView
from include.ledger import Event, Json, Kind, Lease, Ledger, Place
from include.redblack.deeds import describe, digest, is_effected
from include.redblack.steps import Verb


class LedgerJournal:
    """`run` owns the entries; `attempt` counts how often the run's push has failed and was begun again by a person.
    A rollback that has to push again does not heed holds.

    Deeds are numbered: an engine that takes over counts those that are done, and goes on with the next.
    """

    def __init__(
        self,
        ledger: Ledger,
        lease: Lease,
        run: str,
        who: str,
        clock_now: Callable[[], datetime],
        *,
        lease_seconds: float = 180.0,
        attempt: int = 0,
        heeds_holds: bool = True,
    ) -> None:
        self.lease = lease
        self._ledger, self._run, self._who, self._now = ledger, run, who, clock_now
        self._lease_seconds, self._attempt, self._heeds_holds = lease_seconds, attempt, heeds_holds
        self._noted: dict[Kind, str] = {}
        self._next: int | None = None

    @property
    def place(self) -> Place:
        return self.lease.place

    def settle(self, view: ClusterView) -> None:
        intended = self._ledger.events(place=self.place, run=self._run, kinds=(Kind.STEP_INTENDED,))
        done = {one.event.key for one in self._ledger.events(place=self.place, run=self._run, kinds=(Kind.STEP_DONE,))}
        self._next = len(done)
        for one in intended:
            if f"{one.event.key}/done" not in done and is_effected(view, one.event.data):
                self._record(f"{one.event.key}/done", Kind.STEP_DONE, one.event.data)
                self._next += 1

    def intend(self, step: Verb) -> None:
        told = describe(step)
        self._record(self._deed_key(told), Kind.STEP_INTENDED, told)

    def done(self, step: Verb) -> None:
        told = describe(step)
        self._record(f"{self._deed_key(told)}/done", Kind.STEP_DONE, told)
        self._next = self._number() + 1

    def note(self, kind: Kind, data: Mapping[str, Json] | None = None, *, why: str = "") -> None:
        if kind not in self._noted:
            self._record(self._fact_key(kind), kind, data or {}, why)
            self._noted[kind] = why

    def has(self, kind: Kind) -> bool:
        return self._why(kind) is not None

    def failure(self) -> str:
        return self._why(Kind.PUSH_FAILED) or ""

    def _why(self, kind: Kind) -> str | None:
        """The reason of this attempt's fact; None where it is not there. What is not there may come: asked again."""
        if kind not in self._noted:
            key = self._fact_key(kind)
            found = self._ledger.events(place=self.place, run=self._run, kinds=(kind,))
            self._noted |= {one.event.kind: one.event.why for one in found if one.event.key == key}
        return self._noted.get(kind)

    def _fact_key(self, kind: Kind) -> str:
        return f"{self.place}/{self._run}/{self._attempt}/{kind}"

    def keep_lease(self) -> None:
        now = self._now()
        if (self.lease.until - now).total_seconds() < self._lease_seconds / 2:
            self.lease = self._ledger.renew(self.lease, now, self._lease_seconds)

    def hold(self) -> str:
        found = self._ledger.hold(self.place, self._now()) if self._heeds_holds else None
        if found is None:
            return ""
        until = f" until {found.until:%Y-%m-%d %H:%M} UTC" if found.until else ""
        return f"held by {found.who}{until}: {found.why}"

    def _number(self) -> int:
        if self._next is None:
            self._next = len(self._ledger.events(place=self.place, run=self._run, kinds=(Kind.STEP_DONE,)))
        return self._next

    def _deed_key(self, told: Mapping[str, Json]) -> str:
        return f"{self.place}/{self._run}/{self._number()}/{digest(told)}"

    def _record(self, key: str, kind: Kind, data: Mapping[str, Json], why: str = "") -> None:
        self._ledger.record(Event(key, kind, self._now(), self.place, self._run, self._who, why, data))
