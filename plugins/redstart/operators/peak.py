"""The peak that a push under way has to reckon with, and the wait for its end."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from include.apps import Environment
from include.ledger import Kind, Ledger, Place
from include.ledger.overrides import newest_override
from redstart.operators import clock
from redstart.operators.cluster import ClusterOperator
from redstart.operators.outlook import OutlookReader, RegionOutlook

if TYPE_CHECKING:
    from include.peaks import Outlook
    from include.redblack import QuietTime

OVERRIDES_REMEMBERED = 50


def quiet_time(operator: ClusterOperator, ledger: Ledger, run: str) -> QuietTime | None:
    """Until when the market of the operator's region is quiet, and from when on again. None where no peak matters to
    the push: it is finished whatever comes, or a person has let it begin."""
    if not does_peak_matter(operator.site, ledger, operator.place, run, clock.now()):
        return None
    found = OutlookReader(operator.application, operator.environment, ledger, clock.now).read(operator.region)
    return None if found is None else quiet_of(found, operator.site, clock.now())


def does_peak_matter(site: Environment, ledger: Ledger, place: Place, run: str, at: datetime) -> bool:
    """Whether a push that is under way at a moment is held or taken back where its quiet time ends."""
    is_finished_anyway = site.windows is None or site.windows.at_peak == "finish"
    return not is_finished_anyway and not is_let(ledger, place, run, at)


def quiet_of(found: RegionOutlook, site: Environment, at: datetime) -> QuietTime:
    """The quiet time of the region that a moment is in, as an environment with windows has it."""
    from include.peaks import answer_at
    from include.redblack import AtPeak, QuietTime

    assert site.windows is not None
    until, again = quiet_until(found.outlook, at)
    may_begin = answer_at(found.outlook, found.rules, at).is_open
    are_all_short = all(one.length.total_seconds() < found.rules.least_seconds for one in found.outlook.windows)
    return QuietTime(until, again, AtPeak(site.windows.at_peak), may_begin, are_all_short)


def is_let(ledger: Ledger, place: Place, run: str, at: datetime) -> bool:
    """Whether a person has overridden the windows for this push: at that moment, or when it began. What was begun so
    is not stopped by the end of the override's time."""
    told = ledger.events(place=place, kinds={Kind.WINDOW_OVERRIDDEN}, newest=OVERRIDES_REMEMBERED)
    begun = ledger.events(place=place, run=run, kinds={Kind.PUSH_STARTED}, newest=1)
    for moment in [at, *(one.event.at for one in begun)]:
        override = newest_override([one for one in told if one.event.at <= moment], place)
        if override is not None and override.is_in_force(moment):
            return True
    return False


def quiet_until(outlook: Outlook, now: datetime) -> tuple[datetime, datetime | None]:
    """The end of the window under way (now, where there is none), and the beginning of the next."""
    current = next((one for one in outlook.windows if one.start <= now < one.end), None)
    following = next((one for one in outlook.windows if one.start > now), None)
    again = None if following is None else following.start
    return (now if current is None else current.end), again
