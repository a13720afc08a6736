"""How a run's push of its regions stands, as the ledger tells it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from include.ledger import Event, Kind, Ledger, Place, Recorded
from include.waves import Standings, Step, Told, standings_of
from redstart.operators import clock

OF_PUSH = {Kind.PUSH_STARTED: Step.BEGUN, Kind.PUSH_FINISHED: Step.FINISHED, Kind.PUSH_FAILED: Step.FAILED}
OF_WAY_BACK = {
    Kind.ROLLBACK_FINISHED: Step.TAKEN_BACK,
    Kind.PUSH_FINISHED: Step.TAKEN_BACK,  # no group was left: the version before was pushed again
    Kind.PUSH_FAILED: Step.LEFT,
    Kind.ROLLBACK_FAILED: Step.LEFT,
}

ABANDONED = "its tasks ended before the push did"


def note_abandoned(ledger: Ledger, place: Place, run: str, attempt: int, who: str) -> None:
    """Say that the run's push of a place, its `attempt`, has failed: nobody works on it who could say how it ended."""
    key = f"{place}/{run}/{attempt}/{Kind.PUSH_FAILED}"
    ledger.record(Event(key, Kind.PUSH_FAILED, clock.now(), place, run, who, ABANDONED))


def run_back(run: str, attempt: int) -> str:
    """Under which key the ledger has how the run's finished push of a region is taken back: the push is one thing, the
    way back from it another, and from the next attempt's push a third."""
    return f"{run}-back{attempt or ''}"


def read_standings(ledger: Ledger, app: str, stack: str, run: str) -> Standings:
    """Of all regions of the run's push of a stack."""
    pushed = [one for one in ledger.events(app=app, run=run, kinds=OF_PUSH) if one.event.place.stack == stack]
    told = [(one.number, _told(one, OF_PUSH)) for one in pushed]
    begun = Counter(one.event.place.region for one in pushed if one.event.kind is Kind.PUSH_STARTED)
    for attempt in range(max(begun.values(), default=0)):
        found = ledger.events(app=app, run=run_back(run, attempt), kinds=OF_WAY_BACK)
        told += _way_back(one for one in found if one.event.place.stack == stack)
    return standings_of(one for _, one in sorted(told, key=lambda pair: pair[0]))


def _way_back(recorded: Iterable[Recorded]) -> list[tuple[int, Told]]:
    """What one attempt's way back tells. Of a push that was to bring the version before, and failed, the ledger has a
    rollback's end as well: it is no way back from what serves."""
    found, failed = [], set[str]()
    for one in recorded:
        region = one.event.place.region
        if one.event.kind is Kind.PUSH_FAILED:
            failed.add(region)
        if one.event.kind is not Kind.ROLLBACK_FINISHED or region not in failed:
            found.append((one.number, _told(one, OF_WAY_BACK)))
    return found


def _told(recorded: Recorded, steps: dict[Kind, Step]) -> Told:
    event = recorded.event
    return Told(event.place.region, steps[event.kind], event.why)
