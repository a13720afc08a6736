"""The way into production as a lock: all regions of an application together, one delivery's at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.apps import App
from include.ledger import EVERY_REGION, Claim, Holder, Place
from redstart.operators import clock
from redstart.operators.cluster import place_of, who_of
from redstart.operators.station import StationOperator, key_of_run

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.ledger import Lease, Ledger

SLACK_SECONDS = 24 * 3600
"""How long a delivery may stand still for a person, besides soak and pushes, with none of its tasks looking by."""


def line_of(app: App) -> Place:
    return place_of(app, EVERY_REGION)


def take_line(station: StationOperator, context: Context, ledger: Ledger) -> Lease:
    """Claim the way, or keep it for longer where it is this run's; LockedError where another delivery has it."""
    version = station.selected(context).version
    why = f"run {context['run_id']} of {context['dag_run'].dag_id} delivers {version}"
    claim = Claim(key_of_run(context), Holder.PUSH, who_of(context), why, line_seconds(station, context))
    return ledger.claim(line_of(station.application), claim, clock.now())


def line_seconds(station: StationOperator, context: Context) -> float:
    """As long as all of it may take; it is freed at the delivery's end, however that comes."""
    prod = station.application.prod
    asked = context["params"].get("soak_seconds") or station.installation.soak_seconds() or prod.canary.soak_seconds
    return float(int(asked) + len(prod.regions) * prod.push.timeout_seconds + SLACK_SECONDS)
