"""Windows drawn with characters: a region's next two days as a curve, and all regions on one axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from rich.text import Text

from include.reports.windows_facts import RegionWindows, State, Usual, usual_traffic

COLUMN = timedelta(minutes=30)
BEFORE = timedelta(hours=6)
MOST_COLUMNS = 96
LEAST_COLUMNS = 24
ROWS = 6
GUTTER = 8
QUIET, BUSY, FROZEN, NOW, FAINT = "#2f9e57", "#5b8fc7", "#8f7fe0", "bold #e0457b", "dim"
OVERRIDDEN, WAITING = "#3b82d6", "#c2731d"
TONES = {State.QUIET: QUIET, State.OVERRIDDEN: OVERRIDDEN, State.FROZEN: FROZEN, State.BUSY: WAITING}


@dataclass(frozen=True)
class Marks:
    """The characters of a picture: fillings from empty to full, and what a stretch of time is drawn with."""

    fills: str = " ▁▂▃▄▅▆▇█"
    quiet: str = "━"
    busy: str = "·"
    frozen: str = "╳"
    overridden: str = "═"
    level: str = "╌"
    now: str = "▼"
    edge: str = "│"


PLAIN_MARKS = Marks(fills="  ..::###", quiet="=", busy=".", frozen="x", overridden="+", level="-", now="v", edge="|")
"""For a terminal that knows only ASCII."""


@dataclass(frozen=True)
class Axis:
    """Columns of half an hour each, from `start` on."""

    start: datetime
    columns: int

    def at(self, column: int) -> datetime:
        return self.start + column * COLUMN

    @property
    def end(self) -> datetime:
        return self.at(self.columns)

    def column(self, moment: datetime) -> int:
        return math.floor((moment - self.start) / COLUMN)


def axis_around(now: datetime, width: int, gutter: int = GUTTER) -> Axis:
    """From 6 hours before now, as far as there is room, at most two days."""
    whole = now.astimezone(UTC).replace(minute=30 * (now.minute // 30), second=0, microsecond=0)
    return Axis(whole - BEFORE, max(LEAST_COLUMNS, min(MOST_COLUMNS, width - gutter)))


def curve_lines(region: RegionWindows, now: datetime, width: int, marks: Marks) -> list[Text]:
    """The usual traffic, quiet hours and freezes marked under it, in the market's own time; only the marks where no
    traffic is known."""
    axis = axis_around(now, width)
    usual = usual_traffic(region, axis.start, axis.end, COLUMN)
    lines = [_now_line(region, now, axis, marks)]
    if usual:
        lines += _curve_rows(region, now, axis, usual, marks)
    lines.append(_gutter("", marks) + track(region, now, axis, marks))
    lines.append(Text(" " * GUTTER) + hours_line(axis, region.zone))
    return lines


def _curve_rows(region: RegionWindows, now: datetime, axis: Axis, usual: Sequence[Usual], marks: Marks) -> list[Text]:
    levels = [one.level if one.is_known else 0.0 for one in usual]
    top = max([*levels, *(one.limit for one in usual if math.isfinite(one.limit))]) or 1.0
    limits = [_limit_row(one.limit, top) for one in usual]
    words = {limits[axis.column(now)]: "quiet", 0: f"{top:,.0f}/s" if top >= 10 else f"{top:.2g}/s"}
    found = []
    for row in range(ROWS):
        line = _gutter(words.get(row, ""), marks)
        for column, level in enumerate(levels):
            eighths = round(8 * ROWS * level / top) - 8 * (ROWS - 1 - row)
            if eighths <= 0 and limits[column] == row:
                line.append(marks.level, FAINT)
            else:
                line.append(marks.fills[min(max(eighths, 0), 8)], _tone(region, axis, column, now))
        found.append(line)
    return found


def _limit_row(limit: float, top: float) -> int:
    """Counted from above; -1 where there is no limit."""
    return min(ROWS - 1, math.floor(ROWS * (1 - limit / top))) if math.isfinite(limit) else -1


def track(region: RegionWindows, now: datetime, axis: Axis, marks: Marks) -> Text:
    """A mark for every column: quiet, frozen, open by override, or none of these."""
    shown = {State.QUIET: marks.quiet, State.FROZEN: marks.frozen, State.OVERRIDDEN: marks.overridden}
    line = Text()
    for column in range(axis.columns):
        kind = _kind(region, axis.at(column), now)
        tone = NOW if column == axis.column(now) else TONES[kind] if kind is not State.BUSY else FAINT
        line.append(shown.get(kind, marks.busy), tone)
    return line


def _kind(region: RegionWindows, start: datetime, now: datetime) -> State:
    middle = start + COLUMN / 2
    if region.override is not None and now - COLUMN / 2 <= middle < region.override.until:
        return State.OVERRIDDEN
    if any(one.start <= middle < one.end for one in region.freezes):
        return State.FROZEN
    return State.QUIET if any(one.start <= middle < one.end for one in region.windows) else State.BUSY


def _tone(region: RegionWindows, axis: Axis, column: int, now: datetime) -> str:
    if column == axis.column(now):
        return NOW
    kind = _kind(region, axis.at(column), now)
    return BUSY if kind is State.BUSY else TONES[kind]


def _now_line(region: RegionWindows, now: datetime, axis: Axis, marks: Marks) -> Text:
    return Text(" " * (GUTTER + axis.column(now))).append(
        f"{marks.now} now, {now.astimezone(region.zone):%a %H:%M %Z}", NOW
    )


def _gutter(words: str, marks: Marks) -> Text:
    # Appended: as the line's own style it would make faint all that follows.
    return Text().append(f"{words:>{GUTTER - 2}} {marks.edge}", FAINT)


def hours_line(axis: Axis, zone: tzinfo) -> Text:
    """Every sixth hour by the zone's clock; at midnight the day."""

    def name(moment: datetime) -> str:
        local = moment.astimezone(zone)
        if local.hour % 6 or local.minute >= 30:
            return ""
        return f"{local:%a %d}" if local.hour == 0 else f"{local:%H}"

    return _placed(axis, name)


def _placed(axis: Axis, name: Callable[[datetime], str]) -> Text:
    line = Text()
    for column in range(axis.columns):
        words = name(axis.at(column))
        if words and len(line) <= column and column + len(words) <= axis.columns:
            line.append(" " * (column - len(line)))
            line.append(words, "bold" if " " in words else FAINT)
    return line
