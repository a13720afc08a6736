"""Which contents (git trees) have passed in all environments of a flow: one fact of the ledger each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.apps import VerifyFlow
from include.errors import RefusedError
from include.ledger import EVERY_REGION, Event, Json, Kind
from redstart.operators import clock
from redstart.operators.cluster import place_of, who_of
from redstart.operators.station import StationOperator, key_of_run, result_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

    from include.apps.delivery import Delivery


def has_passed(station: StationOperator, flow: str, tree: str) -> bool:
    """Whether all that the verify flow `flow` does has been done with a content, and went well."""
    settings = station.application.flows[flow]
    assert isinstance(settings, VerifyFlow)
    kind = Kind.CANDIDATE_MADE if settings.makes_candidates else Kind.BRANCH_VERIFIED
    facts = station.ledger.events(place=place_of(station.application, EVERY_REGION), kinds={kind})
    return any((one.event.data.get("flow"), one.event.data.get("tree")) == (flow, tree) for one in facts)


def note_passed(station: StationOperator, context: Context, flow: str, delivery: Delivery) -> bool:
    """Keep that the delivery's content has passed; whether it is news. RefusedError where other tests passed."""
    settings = station.application.flows[flow]
    assert isinstance(settings, VerifyFlow)
    for environment in settings.environments:
        tests_of(context, environment, delivery.commit)
    data: dict[str, Json] = {
        "flow": flow,
        "branch": settings.branch,
        "commit": delivery.commit,
        "tree": delivery.tree,
        "version": delivery.version,
    }
    place, run, who = place_of(station.application, EVERY_REGION), key_of_run(context), who_of(context)
    # A content passes once, however often it is tested, and whichever commits have it.
    key = f"{station.app}/{flow}/{delivery.tree}/{Kind.BRANCH_VERIFIED}"
    why = f"passed in {', '.join(settings.environments)}"
    return station.ledger.record(Event(key, Kind.BRANCH_VERIFIED, clock.now(), place, run, who, why, data))


def tests_of(context: Context, environment: str, commit: str) -> Mapping[str, Any]:
    """What the environment's tests in this run found; RefusedError where they were of another commit."""
    task = f"{environment}.run_tests"
    found = result_of(context, task)
    if found["commit"] != commit:
        raise RefusedError(
            f"{task} tested {str(found['commit'])[:10]}, and this run is about {commit[:10]}: "
            f"clear {environment}.push with everything after it."
        )
    return found
