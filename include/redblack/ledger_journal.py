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
    ) -> None:
        self.lease = lease
        self._ledger, self._run, self._who, self._now = ledger, run, who, clock_now
        self._lease_seconds, self._attempt = lease_seconds, attempt
        self._noted: set[Kind] = set()
        self._failure: str | None = None
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
            self._record(f"{self.place}/{self._run}/{self._attempt}/{kind}", kind, data or {}, why)
            self._noted.add(kind)
            if kind is Kind.PUSH_FAILED:
                self._failure = why

    def failure(self) -> str:
        if self._failure is None:
            key = f"{self.place}/{self._run}/{self._attempt}/{Kind.PUSH_FAILED}"
            found = self._ledger.events(place=self.place, run=self._run, kinds=(Kind.PUSH_FAILED,))
            self._failure = next((one.event.why for one in found if one.event.key == key), "")
        return self._failure

    def keep_lease(self) -> None:
        now = self._now()
        if (self.lease.until - now).total_seconds() < self._lease_seconds / 2:
            self.lease = self._ledger.renew(self.lease, now, self._lease_seconds)

    def hold(self) -> str:
        found = self._ledger.hold(self.place, self._now())
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
