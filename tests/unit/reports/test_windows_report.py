"""The page of windows: what it says of each region, where its pictures put things, and that nothing breaks out."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from include.peaks import Answer, Freeze, Source
from include.reports.windows import render_windows
from include.reports.windows_facts import Overruled, RegionWindows, State, usual_traffic, windows_json
from include.reports.windows_svg import row_svg, week_svg
from include.reports.windows_words import say_now, say_order, say_state
from tests.support.windows_case import FREEZE, NOW, region, three_regions
from tests.unit.reports.verdicts import HOSTILE

START, END = NOW.replace(hour=0, minute=0), NOW.replace(hour=0, minute=0) + timedelta(days=2)
SVG = re.compile(r"<svg class=\"(?:week|row|axis)\".*?\n</svg>", re.DOTALL)


def tree(svg: str) -> ElementTree.Element:
    """Well-formed, or the test fails."""
    return ElementTree.fromstring(svg)


def boxes(svg: str, kind: str) -> list[tuple[float, float]]:
    """(left, width) in percent of the first rectangle of each thing of that kind."""
    groups = [one for one in tree(svg).iter("g") if one.get("class") == kind]
    return [(_percent(one.find("rect"), "x"), _percent(one.find("rect"), "width")) for one in groups]


def _percent(shape: Any, name: str) -> float:
    return float(shape.get(name).rstrip("%"))


def share(moment: datetime) -> float:
    return 100 * ((moment - START) / (END - START))


def test_windows_freeze_and_now_are_drawn_where_they_are() -> None:
    frozen = region(freezes=(Freeze(START + timedelta(hours=12), START + timedelta(hours=18), "the big game"),))
    svg = row_svg(frozen, NOW, START, END, 1)
    shown = [one for one in frozen.windows if one.start < END]
    assert len(shown) >= 2
    for (left, width), window in zip(boxes(svg, "quiet"), shown, strict=True):
        assert left == pytest.approx(share(window.start), abs=0.01)
        assert left + width == pytest.approx(share(min(window.end, END)), abs=0.01)
    assert boxes(svg, "frozen") == [(25.0, 12.5)]
    (now,) = [one for one in tree(svg).iter("line") if one.get("class") == "now"]
    assert _percent(now, "x1") == pytest.approx(share(NOW), abs=0.01)
    assert "the big game" in svg
    opened = region(override=Overruled("ada", "users are hurt", NOW + timedelta(hours=6)))
    ((left, width),) = boxes(row_svg(opened, NOW, START, END, 1), "overruled")
    assert (left, width) == (pytest.approx(share(NOW), abs=0.01), pytest.approx(12.5, abs=0.01))


def test_curve_breaks_where_nothing_is_known() -> None:
    known = region()
    assert known.outlook is not None and known.outlook.curve is not None
    level = known.outlook.curve.level.copy()
    level[100:200] = np.nan
    holed = replace(known, outlook=replace(known.outlook, curve=replace(known.outlook.curve, level=level)))
    week = START + timedelta(days=7)
    assert week_svg(known, NOW, START, week, 1).count('class="usual"') == 1
    assert week_svg(holed, NOW, START, week, 1).count('class="usual"') >= 2
    assert "nan" not in week_svg(holed, NOW, START, week, 1)


def test_nothing_known_of_the_traffic_is_said_in_the_picture() -> None:
    known = region()
    assert known.outlook is not None
    hours = replace(known.outlook, curve=None, source=Source.CONFIGURED, why="the settings' hours 01:00-07:00")
    page = render_windows("api", [replace(known, outlook=hours, counted=None)], NOW)
    assert "No traffic is known of it." in page and "Quiet is below" not in page
    assert "outside its quiet hours until 23" in page
    assert 'd="M' not in page.partition("region-1")[2].partition("</svg>")[0]


def test_hours_follow_the_clock_of_the_day_it_changes() -> None:
    begin = datetime(2026, 11, 1, 4, tzinfo=UTC)  # midnight in New York; at 06:00 UTC the clock goes back an hour
    end = begin + timedelta(hours=25)
    svg = week_svg(region("us-east-1"), begin, begin, end, 1)
    six = next(one for one in tree(svg).iter("text") if one.text == "06")
    assert _percent(six, "x") == pytest.approx(100 * 7 / 25, abs=0.01)


def test_usual_traffic_is_by_the_market_s_own_clock() -> None:
    usual = {f"{one.at:%H:%M}": one.level for one in usual_traffic(region("us-west-2"), START, END)}
    assert usual["04:30"] > 2 * usual["12:30"], "20:30 in the evening there, and 04:30 in the morning"
    halves = usual_traffic(region(), START, END, timedelta(minutes=30))
    assert (halves[0].at, len(halves)) == (START + timedelta(minutes=15), 96)


def test_windows_begin_where_the_curve_falls_below_its_limit() -> None:
    found = region()
    for one in usual_traffic(found, START, END, timedelta(minutes=15)):
        is_quiet = any(window.start <= one.at < window.end for window in found.windows)
        edges = [edge for window in found.windows for edge in (window.start, window.end)]
        if one.at > NOW and min(abs(edge - one.at) for edge in edges) > timedelta(minutes=30):
            assert (one.level < one.limit) is is_quiet, one


def test_page_says_what_each_region_does_now() -> None:
    page = render_windows("api", three_regions(), NOW)
    assert "us-east-1 and eu-west-1 may be pushed now." in page
    assert re.search(r"at its peak until \d\d:\d\d PST \(0\d:\d\d UTC\)", page)
    assert re.search(r"quiet until \d\d:\d\d EST \(\d\d:\d\d UTC\)", page)
    assert "A delivery takes them in this order: eu-west-1, then us-west-2, then us-east-1." in page
    assert "Quiet is below 60 % of the day&#39;s peak, for at least the 25 min that a push takes." in page
    assert "In the ledger since Tue 24 Nov 04:07 UTC." in page
    assert "./redstart override REGION --app api --why" in page
    assert len(SVG.findall(page)) == 3 + 3 + 1
    for one in SVG.findall(page):
        tree(one)


@pytest.mark.parametrize(
    ("change", "state", "words"),
    [
        ({"override": Overruled("ada", "users are hurt", NOW + timedelta(hours=2))}, State.OVERRIDDEN, "open by ada's"),
        ({"override": Overruled("ada", "it was", NOW)}, State.BUSY, "at its peak until"),
        ({"answer": Answer(True, "", until=None)}, State.QUIET, "quiet"),
        ({"answer": Answer(False, "")}, State.BUSY, "at its peak; no window is in sight"),
        ({"answer": None, "outlook": None}, State.UNKNOWN, "nothing is known"),
    ],
)
def test_state_in_words(change: dict[str, Any], state: State, words: str) -> None:
    found = replace(region(), **change)
    assert found.state(NOW) is state
    assert say_state(found, NOW).startswith(words)


def test_freeze_and_a_late_start_are_not_called_a_peak() -> None:
    frozen = region("us-east-1", freezes=(replace(FREEZE, start=NOW - timedelta(hours=1)),))
    assert frozen.state(NOW) is State.FROZEN
    assert say_state(frozen, NOW) == "frozen; opens Sat 28 Nov 00:00 EST (05:00 UTC)"
    late = region("us-east-1").windows[0].end - timedelta(minutes=10)
    told = say_state(region("us-east-1", now=late), late)
    assert told.startswith("too late in its window; opens")
    surge = replace(region("us-east-1"), answer=Answer(False, "", until=late, opens=NOW + timedelta(minutes=5)))
    assert say_state(surge, NOW) == "busier than is usual; looks again at 00:25 EST (05:25 UTC)"


def test_all_regions_in_a_sentence() -> None:
    east, west, europe = three_regions()
    assert say_now([east, europe], NOW) == "Every region may be pushed now."
    assert say_now([west], NOW).startswith("No region may be pushed now; us-west-2 is the next, at Tue 07:")
    assert say_now([replace(west, answer=None)], NOW) == "No region may be pushed now, and no window is in sight."
    assert say_order([replace(one, wave=0) for one in (east, west)]) == ""


def test_what_was_learned_long_ago_or_never_is_said() -> None:
    old = replace(region(), learned_at=NOW - timedelta(days=3))
    assert "This was learned 72 h ago; a push will learn it anew." in render_windows("api", [old], NOW)
    never = RegionWindows("us-west-2", "Americas, west", "America/Los_Angeles")
    page = render_windows("api", [never], NOW)
    assert "The ledger has no windows of it yet" in page and "nothing is known of its windows yet" in page
    assert "its pushes begin at any time" in render_windows("billing", [], NOW)


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_words_stay_data(words: str) -> None:
    freeze = Freeze(NOW + timedelta(hours=5), NOW + timedelta(hours=9), words)
    override = Overruled(words, words, NOW + timedelta(hours=2))
    found = region(freezes=(freeze,), override=override, words=lambda _: words)
    assert found.outlook is not None
    found = replace(
        found, outlook=replace(found.outlook, why=words), answer=Answer(False, words, opens=NOW + timedelta(hours=3))
    )
    for page in (render_windows(words, [found], NOW), render_windows(words, [found], NOW, nonce="n", dags="../")):
        low = page.lower()
        assert "<img" not in low and "<script" not in low and "<!--" not in low.replace("<!doctype", "")
        for one in SVG.findall(page):
            told = "".join(tree(one).itertext())
            assert words[:40] in told or 'class="axis"' in one


def test_page_loads_nothing_and_asks_for_its_nonce() -> None:
    file = render_windows("api", three_regions(freezes=(FREEZE,)), NOW)
    served = render_windows("api", three_regions(), NOW, nonce="abc", dags="../../dags/")
    for page in (file, served):
        assert not re.search(r"\b(src|xlink:href)=|@import|https?://", page)
        assert not re.search(r"\bstyle=", page), "the policy lets no style in but the nonce's"
        assert set(re.findall(r"url\((.)", page)) <= {"#"}
    assert '<style nonce="abc">' in served and "http-equiv" not in served
    assert "http-equiv" in file and 'href="../../dags/api_override"' in served and "../../dags" not in file


def test_json_says_the_same() -> None:
    found = region(
        override=Overruled("ada", "users are hurt", NOW + timedelta(hours=2)), freezes=(FREEZE,), counted=False
    )
    told = windows_json("api", [found], NOW)
    one = told["regions"][0]
    assert (told["schema"], told["app"], told["at"]) == (1, "api", "2026-11-24T05:20:00+00:00")
    assert (one["region"], one["state"], one["may_be_pushed"]) == ("us-west-2", "overridden", True)
    assert one["override"] == {"who": "ada", "why": "users are hurt", "until": "2026-11-24T07:20:00+00:00"}
    assert one["freezes"][0]["why"] == "nobody is in the office"
    assert one["windows"][0]["start"] < one["windows"][0]["end"]
    assert (one["source"], one["wave"], one["push_seconds"]) == ("learned", 1, 1500.0)


def test_control_characters_of_a_reason_stay_out_of_the_page() -> None:
    override = Overruled("ada\x1b[2J", "all \x1b]0;owned\x07 is\x9b well", NOW + timedelta(hours=2))
    page = render_windows("api", [region(override=override)], NOW)
    assert not {"\x1b", "\x07", "\x9b"} & set(page)
    assert "is well" in page
