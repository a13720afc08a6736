"""What `./redstart windows` shows: answers, all regions on one axis, and each one's curve and windows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from include.peaks import Window
from include.reports.windows_facts import RegionWindows, printable
from include.reports.windows_words import say_both, say_length, say_now, say_order, say_state, say_window
from redstart.cli.windows_plot import (
    FAINT,
    FROZEN,
    NOW,
    OVERRIDDEN,
    PLAIN_MARKS,
    TONES,
    Marks,
    axis_around,
    curve_lines,
    hours_line,
    track,
)

DAYS = 8
WIDEST = 110
WITH_UTC = 76


def picture(
    application: str, regions: Sequence[RegionWindows], now: datetime, console: Console, days: int = DAYS
) -> Group:
    """All of it, for the console's width."""
    regions = [printable(one) for one in regions]
    width = min(console.width, WIDEST)
    marks = PLAIN_MARKS if console.options.ascii_only else Marks()
    parts: list[Text | Table] = [
        Text(f"When {application} may be pushed", "bold").append(f"  {now:%a %d %b %Y %H:%M} UTC", FAINT),
        Text(say_now(regions, now)),
        Text(),
        *_strip(regions, now, width, marks),
    ]
    if order := say_order(regions):
        parts += [Text(), Text(order)]
    for one in regions:
        parts += [Text(), *_region(one, now, width, marks, days)]
    parts += [Text(), Text(_foot(application, marks), FAINT)]
    return Group(*parts)


def _strip(regions: Sequence[RegionWindows], now: datetime, width: int, marks: Marks) -> list[Text]:
    """A line for each region on one axis."""
    gutter = max(len(one.region) for one in regions) + 2
    axis = axis_around(now, width, gutter)
    lines = [Text(" " * (gutter + axis.column(now))).append(f"{marks.now} now", NOW)]
    for one in regions:
        lines.append(Text().append(f"{one.region:{gutter}}", "bold") + track(one, now, axis, marks))
    return [*lines, Text().append(f"{'UTC':{gutter}}", FAINT) + hours_line(axis, UTC)]


def _region(region: RegionWindows, now: datetime, width: int, marks: Marks, days: int) -> list[Text | Table]:
    state = region.state(now)
    title = Text(region.region, "bold").append(f"  {region.market}, {region.time_zone}", FAINT)
    if region.wave:
        title.append(f", wave {region.wave}", FAINT)
    lines: list[Text | Table] = [title, Text(say_state(region, now), f"bold {TONES.get(state, '')}".strip())]
    if region.answer is not None and not region.answer.is_open:
        lines.append(Text(region.answer.why))
    if region.outlook is None:
        return lines
    lines.append(Text(f"Windows: {region.outlook.why}", FAINT))
    lines += curve_lines(region, now, width, marks)
    lines.append(_window_table(region, now, days, has_utc=width >= WITH_UTC))
    return [*lines, *_exceptions(region, now)]


def _window_table(region: RegionWindows, now: datetime, days: int, *, has_utc: bool) -> Table:
    """In a narrow terminal the market's own time alone, and whole."""
    table = Table(box=None, pad_edge=False, show_header=True, header_style=FAINT)
    for name in (f"quiet in {region.time_zone}", *["UTC"] * has_utc, "for"):
        table.add_column(name, no_wrap=True)
    for one in region.windows:
        if one.start < now + timedelta(days=days):
            table.add_row(*_both(one, region)[: 1 + has_utc], Text(say_length(one.length)))
    return table


def _both(window: Window, region: RegionWindows) -> tuple[Text, Text]:
    """The market's time with its day, and UTC with a day where it is another one."""
    start, end = (moment.astimezone(region.zone) for moment in (window.start, window.end))
    there_start, there_end = window.start.astimezone(UTC), window.end.astimezone(UTC)
    local = f"{start:%a %d %b %H:%M} - {_other_day(end, start)}{end:%H:%M %Z}"
    return (
        Text(local),
        Text(f"{_other_day(there_start, start)}{there_start:%H:%M} - {_other_day(there_end, start)}{there_end:%H:%M}"),
    )


def _other_day(moment: datetime, than: datetime) -> str:
    return "" if moment.date() == than.date() else f"{moment:%a} "


def _exceptions(region: RegionWindows, now: datetime) -> list[Text]:
    """Freezes to come and the override in force, with why."""
    lines = []
    for one in region.freezes:
        if one.end > now:
            start, end = say_window(Window(one.start, one.end), region.zone)
            lines.append(Text(f"frozen {start} to {end}: {one.why}", FROZEN))
    if region.override is not None:
        override = region.override
        until = say_both(override.until, region.zone, now)
        lines.append(Text(f"override by {override.who} until {until}: {override.why}", OVERRIDDEN))
    return lines


def _foot(application: str, marks: Marks) -> str:
    return (
        f"{marks.quiet * 2} quiet: a push may begin   {marks.busy * 2} it waits   {marks.frozen * 2} frozen   "
        f"{marks.level * 2} quiet is below. To push outside a window: ./redstart override REGION "
        f"--app {application} --why '...'"
    )
