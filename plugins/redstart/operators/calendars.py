"""From an environment's settings to how a market counts its days, and what is quiet there."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from include.apps import Environment
from include.apps.windows import Windows, clock_times

if TYPE_CHECKING:
    from include.peaks import Calendar, Freeze, Rules

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def calendar_of(site: Environment, region: str) -> Calendar:
    """The region's time zone, holidays and freezes; those of all regions are its too."""
    from include.peaks import Calendar, Freeze

    zone = site.region(region).time_zone
    windows = site.windows
    if windows is None:
        return Calendar(zone)
    holidays = {one.day: WEEKDAYS.index(one.like) for one in windows.holidays if region in (one.regions or (region,))}
    freezes = [
        Freeze(_moment(one.start, zone), _moment(one.end, zone), one.why)
        for one in windows.freezes
        if region in (one.regions or (region,))
    ]
    return Calendar(zone, holidays, tuple(sorted(freezes, key=_beginning)))


def rules_of(windows: Windows, least_seconds: float) -> Rules:
    """`least_seconds`: how long a push takes."""
    from include.peaks import Rules

    return Rules(
        below_share=windows.below_pct / 100,
        least_seconds=least_seconds,
        least_days=windows.least_days,
        quiet_hours=tuple(clock_times(hours) for hours in windows.quiet_hours),
    )


def _moment(moment: datetime, zone: str) -> datetime:
    """Without a zone it is in the market's own time."""
    from datetime import UTC

    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)


def _beginning(freeze: Freeze) -> datetime:
    return freeze.start
