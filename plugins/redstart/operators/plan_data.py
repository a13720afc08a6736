"""A delivery's plan as JSON, for programs and for what is kept of it. `schema` tells its shape."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from include.redblack.region_plan import RegionPlan, Rehearsed
    from redstart.operators.delivery_plan import DeliveryPlan, PlannedRegion

SCHEMA = 1


def plan_data(plan: DeliveryPlan) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "app": plan.app,
        "environment": plan.environment,
        "at": plan.at.isoformat(timespec="seconds"),
        "version": plan.version,
        "commit": plan.commit,
        "waves": [list(wave) for wave in plan.waves.waves],
        "waves_why": plan.waves.why,
        "ends": _iso(plan.ends),
        "regions": [_planned(one) for one in plan.regions],
    }


def region_data(plan: RegionPlan) -> dict[str, Any]:
    """One region's push and way back."""
    return {
        "region": plan.cluster.region,
        "cluster": plan.cluster.name,
        "notes": list(plan.notes),
        "before": [asdict(one) for one in plan.before],
        "during": [asdict(one) for one in plan.during],
        "after": [asdict(one) for one in plan.after],
        "users_on_it_seconds": plan.users_seconds,
        "safe_seconds": plan.safe_seconds,
        "push": _rehearsed(plan.push),
        "back": _rehearsed(plan.back) if plan.back is not None else None,
    }


def _planned(region: PlannedRegion) -> dict[str, Any]:
    slot = region.slot
    return {
        "wave": slot.wave,
        "begins": _iso(slot.begins),
        "ends": _iso(slot.ends),
        "quiet_until": _iso(slot.opening.until),
        "why": slot.why,
        "window": region.window,
        "lately": asdict(region.lately),
        **region_data(region.plan),
    }


def _rehearsed(found: Rehearsed) -> dict[str, Any]:
    return {
        "outcome": str(found.outcome),
        "word": found.word,
        "seconds": found.seconds,
        "steps": [
            {
                "after_seconds": step.after_seconds,
                "seconds": step.seconds,
                "sentence": step.sentence,
                "calls": [
                    {"service": call.service, "operation": call.operation, "parameters": dict(call.parameters)}
                    for call in step.calls
                ],
            }
            for step in found.steps
        ],
    }


def _iso(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at is not None else None
