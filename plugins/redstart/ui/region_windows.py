"""From what the ledger or the metric store says of each region's windows to what a page and a terminal show of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from include.apps import App, Region
from include.errors import RedstartError
from include.ledger import Event, Kind, Ledger
from include.reports.windows_facts import Overruled, RegionWindows
from redstart.hooks.installation import InstallationHook
from redstart.operators.calendars import rules_of
from redstart.operators.cluster import place_of
from redstart.operators.outlook import (
    RECENT_PERIOD_SECONDS,
    OutlookReader,
    RegionOutlook,
    expected_push_seconds,
    override_in_force,
)
from redstart.operators.turn import plan_of

if TYPE_CHECKING:
    from include.apps.windows import Windows

READ_EVENTS = 5
"""Of an older or newer version, the newest may be unreadable: then the one before is shown."""


def regions_of_now(app: App, ledger: Ledger, now: datetime, only: Collection[str] = ()) -> list[RegionWindows]:
    """From the metric store, as a push would see them: writes nothing. RetryableError where the ledger is away.

    `only` these are read, where it names any; the order of the waves is then not known.
    """
    reader = OutlookReader(app, "prod", ledger, lambda: now)
    found = {name: reader.read(name) for name in app.prod.region_names if not only or name in only}
    return _shown(app, found, {}, now)


def regions_of_ledger(app: App, ledger: Ledger, now: datetime) -> list[RegionWindows]:
    """As they were learned last: asks the ledger alone."""
    events = {region.name: _newest(app, ledger, region.name) for region in app.prod.regions}
    found = {name: None if event is None else _of_event(app, ledger, event, now) for name, event in events.items()}
    return _shown(app, found, {name: event.at for name, event in events.items() if event is not None}, now)


def _newest(app: App, ledger: Ledger, region: str) -> Event | None:
    from include.peaks.record import outlook_of

    kinds = {Kind.WINDOWS_LEARNED}
    for one in reversed(ledger.events(place=place_of(app, region), kinds=kinds, newest=READ_EVENTS)):
        try:
            outlook_of(one.event.data)
        except (RedstartError, KeyError, TypeError, ValueError):
            continue
        return one.event
    return None


def _of_event(app: App, ledger: Ledger, event: Event, now: datetime) -> RegionOutlook:
    from include.peaks.levels import mean_level, no_counts
    from include.peaks.record import outlook_of

    outlook = outlook_of(event.data)
    most = InstallationHook().watch_seconds()
    rules = rules_of(_windows(app), expected_push_seconds(ledger, event.place, app.prod, most))
    return RegionOutlook(
        place=event.place,
        outlook=outlook,
        rules=rules,
        recent=no_counts(RECENT_PERIOD_SECONDS),
        override=override_in_force(ledger, event.place, now),
        level=mean_level(outlook.curve),
    )


def _shown(
    app: App, found: Mapping[str, RegionOutlook | None], learned: Mapping[str, datetime], now: datetime
) -> list[RegionWindows]:
    is_all = set(found) == set(app.prod.region_names)
    waves = waves_of(app, {name: None if one is None else one.level for name, one in found.items()}) if is_all else {}
    show = partial(_region, now=now, below_share=_windows(app).below_pct / 100)
    return [
        show(region, found[region.name], learned.get(region.name), wave=waves.get(region.name, 0))
        for region in app.prod.regions
        if region.name in found
    ]


def _region(
    region: Region,
    found: RegionOutlook | None,
    learned_at: datetime | None,
    *,
    now: datetime,
    below_share: float,
    wave: int,
) -> RegionWindows:
    if found is None:
        return RegionWindows(region.name, region.market, region.time_zone, below_share=below_share, wave=wave)
    override = found.override
    return RegionWindows(
        region=region.name,
        market=region.market,
        time_zone=found.outlook.calendar.time_zone,
        outlook=found.outlook,
        answer=found.answer(now),
        below_share=below_share,
        push_seconds=found.rules.least_seconds,
        learned_at=learned_at,
        wave=wave,
        override=None if override is None else Overruled(override.who, override.why, override.until),
        counted=found.counts,
    )


def waves_of(app: App, levels: Mapping[str, float | None]) -> dict[str, int]:
    """Region -> its wave, from 1, as a push that begins now would take them."""
    planned = plan_of(app.prod, app.prod.region_names, levels)
    return {name: number for number, wave in enumerate(planned.waves, 1) for name in wave}


def _windows(app: App) -> Windows:
    windows = app.prod.windows
    assert windows is not None, "asked only of applications with windows"
    return windows
