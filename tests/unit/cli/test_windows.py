"""`./redstart windows` in the terminal: it fits, it says without colour what it says with it, and marks what is."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, timedelta

import pytest
from rich.console import Console

from include.peaks import Freeze
from include.reports.windows_facts import Overruled, RegionWindows
from redstart.cli.windows_picture import picture
from redstart.cli.windows_plot import COLUMN, GUTTER, Marks, axis_around, curve_lines, hours_line, track
from tests.support.windows_case import NOW, region, three_regions

BIG_GAME = Freeze(NOW + timedelta(hours=3), NOW + timedelta(hours=9), "the big game")


def shown(regions: list[RegionWindows], width: int, encoding: str = "utf-8", days: int = 8) -> str:
    # Not closed by its wrapper: the text is read from the bytes.
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    console = Console(width=width, file=out, highlight=False)
    console.print(picture("api", regions, NOW, console, days))
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [80, 100, 150])
def test_it_fits_and_has_no_colour_where_there_is_no_terminal(width: int) -> None:
    text = shown(three_regions(freezes=(BIG_GAME,)), width)
    assert max(map(len, text.splitlines())) <= width
    assert "\x1b" not in text


def test_it_answers_first_and_tells_the_order() -> None:
    text = shown(three_regions(), 100)
    assert text.splitlines()[1] == "us-east-1 and eu-west-1 may be pushed now."
    assert "in this order: eu-west-1, then us-west-2, then us-east-1." in text
    assert "at its peak until 23:" in text and "learned from 27" in text
    assert "./redstart override REGION --app api --why '...'" in " ".join(text.split())


def test_marks_are_at_their_hours() -> None:
    found = region(freezes=(BIG_GAME,))
    axis, marks = axis_around(NOW, 100), Marks()
    line = track(found, NOW, axis, marks).plain
    assert len(line) == axis.columns == 92
    for column, mark in enumerate(line):
        middle = axis.at(column) + COLUMN / 2
        is_quiet = any(one.start <= middle < one.end for one in found.windows)
        is_frozen = BIG_GAME.start <= middle < BIG_GAME.end
        assert mark == (marks.frozen if is_frozen else marks.quiet if is_quiet else marks.busy)
    lines = [one.plain for one in curve_lines(found, NOW, 100, marks)]
    assert lines[0].index("▼") == GUTTER + axis.column(NOW)
    assert lines[-1][GUTTER:] == hours_line(axis, found.zone).plain


def test_curve_is_highest_at_the_peak_and_lowest_at_night() -> None:
    lines = [one.plain[GUTTER:] for one in curve_lines(region(), NOW, 100, Marks())[1:-2]]
    heights = ["".join(row[column] for row in lines).count("█") for column in range(92)]
    axis = axis_around(NOW, 100)
    highest, lowest = (axis.at(heights.index(pick(heights))).astimezone(region().zone) for pick in (max, min))
    assert 18 <= highest.hour <= 22 and 0 <= lowest.hour <= 8


def test_override_and_freeze_are_told_with_their_reasons() -> None:
    override = Overruled("ada", "the login is broken", NOW + timedelta(hours=2))
    text = shown([region(override=override, freezes=(BIG_GAME,))], 100)
    assert "open by ada's override until 23:20 PST (07:20 UTC)" in text
    assert "override by ada until 23:20 PST (07:20 UTC): the login is broken" in text
    assert "frozen Tue 24 Nov 00:20 to 06:20 PST: the big game" in text
    assert "════" in text and "╳╳╳" in text


def test_a_terminal_without_unicode_gets_ascii() -> None:
    text = shown(three_regions(freezes=(BIG_GAME,)), 80, "ascii")
    assert "====" in text and "xxxx" in text and "v now" in text and "?" not in text


def test_fewer_days_are_fewer_lines() -> None:
    few, many = (shown([region()], 100, days=days) for days in (1, 8))
    assert few.count(" min") < many.count(" min")


def test_where_no_traffic_is_known_only_the_marks_are_drawn() -> None:
    known = region()
    assert known.outlook is not None
    text = shown([replace(known, outlook=replace(known.outlook, curve=None))], 80)
    assert "█" not in text and "━━━━" in text
    assert "nothing is known of its windows yet" in shown([RegionWindows("x", "y", "UTC")], 80)


def test_hours_are_the_markets_own() -> None:
    axis = axis_around(NOW, 100)
    for zone in (UTC, region("us-east-1").zone):
        line = hours_line(axis, zone).plain
        column = line.index("Tue 24")
        assert axis.at(column).astimezone(zone).hour == 0


@pytest.mark.parametrize("width", [48, 60, 75])
def test_windows_are_whole_in_a_narrow_terminal(width: int) -> None:
    """The market's own time is what stays."""
    text = shown(three_regions(), width)
    table = text.partition("quiet in ")[2].partition("\n\n")[0]
    assert " min" in table and "…" not in table
    assert max(map(len, text.splitlines())) <= width


def test_reasons_do_not_reach_the_terminal_raw() -> None:
    """Who may say why an override or a freeze is may not write on-call's screen anew."""
    hostile = "all \x1b[2J\x1b]0;owned\x07 is\r\n well \x9b31m"
    override = Overruled(hostile, hostile, NOW + timedelta(hours=2))
    freeze = Freeze(NOW - timedelta(hours=1), NOW + timedelta(hours=9), hostile)
    for found in (region(override=override, freezes=(freeze,)), region(freezes=(freeze,))):
        text = shown([found], 100)
        assert not {"\x1b", "\x07", "\r", "\x9b"} & set(text)
        assert "is well" in text
