"""A planned push and its windows: when it may begin, and what is said where it outlasts its quiet time."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from include.apps import Environment
from include.waves.schedule import Opening
from redstart.operators.outlook import RegionOutlook
from redstart.operators.peak import quiet_until

if TYPE_CHECKING:
    from include.redblack.region_plan import RegionPlan


def opening(outlook: RegionOutlook | None, at: datetime) -> Opening:
    """From when on a region may be pushed that is free to begin at a moment."""
    if outlook is None:
        return Opening(at)
    answer = outlook.answer(at)
    if answer.is_open:
        return Opening(at, answer.until)
    if answer.opens is None:
        return Opening(None, None, answer.why)
    then = outlook.answer(answer.opens)
    return Opening(answer.opens, then.until if then.is_open else None, answer.why)


def noted_peak(plan: RegionPlan, site: Environment, outlook: RegionOutlook, begins: datetime) -> RegionPlan:
    """The plan; where its push outlasts its quiet time and is finished nevertheless, with a note of that. A push that
    is held or taken back says so itself, and whoever overrides the windows knows."""
    from include.redblack.region_plan import Outcome

    is_finished = site.windows is not None and site.windows.at_peak == "finish"
    is_let = outlook.override is not None and outlook.override.is_in_force(begins)
    if not is_finished or is_let or plan.push.outcome is not Outcome.DONE or not plan.push.calls:
        return plan
    ends, (until, _) = begins + timedelta(seconds=plan.push.seconds), quiet_until(outlook.outlook, begins)
    if ends <= until:
        return plan
    word = (
        f"Its quiet time ends at {until:%d %b %H:%M:%S} UTC, before the push does ({ends:%H:%M:%S} UTC): it is "
        f"finished all the same (at_peak = finish)."
    )
    return replace(plan, notes=(*plan.notes, word))
