"""That a delivery goes no further: said once, in the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.ledger import EVERY_REGION, Event, Kind, Place
from include.waves import RegionState, Standings, Waves
from redstart.operators import clock
from redstart.operators.cluster import who_of
from redstart.operators.station import key_of_run

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.ledger import Json, Ledger
    from redstart.operators.cluster import ClusterOperator

SCHEMA = 1


def note_halt(operator: ClusterOperator, context: Context, ledger: Ledger, waves: Waves, standings: Standings) -> None:
    """Note which region's failure stops the run, and how the others stand; once for each failure that does. Nothing
    where no push has failed."""
    if not standings.failed:
        return
    run, first = key_of_run(context), standings.failed[0]
    place = Place(operator.place.app, operator.place.stack, EVERY_REGION)
    key = f"{place}/{run}/{first}/{standings.of(first).attempt}/{Kind.DELIVERY_HALTED}"
    ledger.record(
        Event(
            key,
            Kind.DELIVERY_HALTED,
            clock.now(),
            place,
            run,
            who_of(context),
            failure_words(standings),
            _described(waves, standings),
        )
    )


def failure_words(standings: Standings) -> str:
    """`the push of us-west-2 failed: 502 of 1,000 requests ...`, of the first that did."""
    first = standings.failed[0]
    return f"the push of {first} failed: {standings.of(first).why or 'see its tasks'}"


def _described(waves: Waves, standings: Standings) -> dict[str, Json]:
    def of(state: RegionState) -> list[Json]:
        return [region for region in waves.regions if standings.of(region).state is state]

    return {
        "schema": SCHEMA,
        "failed": of(RegionState.FAILED),
        "finished": of(RegionState.FINISHED),
        "under_way": of(RegionState.UNDER_WAY),
        "not_begun": of(RegionState.NOT_BEGUN),
        "takes_back": waves.takes_back,
    }
