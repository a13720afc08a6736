"""Overrides of quiet windows: a person lets pushes of a region begin at once, for a while, and says why. All pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from include.ledger.events import Event, Kind, Place, Recorded
from include.ledger.port import Ledger

LEAST_MINUTES, MOST_MINUTES, MINUTES = 5, 720, 60
"""How long an override may last, and does where nobody says."""
LEAST_WHY, MOST_WHY = 5, 500


@dataclass(frozen=True)
class Override:
    """A push of `place` may begin whatever its windows and freezes say, until `until`."""

    place: Place
    who: str
    why: str
    since: datetime
    until: datetime

    def is_in_force(self, now: datetime) -> bool:
        return now < self.until

    def describe(self) -> str:
        """Who lets pushes of the place begin, until when and why."""
        return f"{self.who} lets pushes of {self.place} begin until {self.until:%d %b %H:%M:%S} UTC: {self.why}"


def override_event(override: Override, key: str, run: str = "") -> Event:
    """The fact to be kept. One whose end is its beginning ends what was in force."""
    data = {"until": override.until.isoformat(timespec="seconds")}
    return Event(key, Kind.WINDOW_OVERRIDDEN, override.since, override.place, run, override.who, override.why, data)


def newest_override(events: Iterable[Recorded], place: Place) -> Override | None:
    """The last one of the place, run out or not: it stands in place of all before it. One that cannot be read is
    none."""
    found = [one.event for one in events if one.event.kind is Kind.WINDOW_OVERRIDDEN and one.event.place == place]
    return override_of(found[-1]) if found else None


def override_of(event: Event) -> Override | None:
    """None where the event says no moment."""
    try:
        until = datetime.fromisoformat(str(event.data.get("until")))
    except ValueError:
        return None
    return None if until.tzinfo is None else Override(event.place, event.who, event.why, event.at, until)


def override_in_force(ledger: Ledger, place: Place, now: datetime) -> Override | None:
    """What lets pushes of the place begin at `now`; None: nothing does but its windows."""
    newest = newest_override(ledger.events(place=place, kinds={Kind.WINDOW_OVERRIDDEN}, newest=1), place)
    return newest if newest is not None and newest.is_in_force(now) else None


def record_override(ledger: Ledger, wanted: Override, key: str, run: str = "") -> Override:
    """Keep the override, and return what is kept: where the key is there already, what was kept under it first."""
    if ledger.record(override_event(wanted, key, run)):
        return wanted
    events = ledger.events(place=wanted.place, run=run, kinds={Kind.WINDOW_OVERRIDDEN})
    first = next((override_of(one.event) for one in events if one.event.key == key), None)
    return first or wanted
