"""The page of windows in a real Chromium: at every width and in both schemes, as a file and as Airflow serves it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from include.peaks import Freeze
from include.reports.windows import render_windows
from include.reports.windows_facts import Overruled
from tests.support.browser import MISSING, open_chromium
from tests.support.windows_case import FREEZE, NOW, region, three_regions
from tests.unit.reports.verdicts import HOSTILE

WIDE, NARROW = {"width": 1440, "height": 1000}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_chromium() as found:
        if found is None:
            pytest.skip(MISSING)
        yield found


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Iterator[Any]:
    """Opens a page's text from disk; what the page complains of or loads fails the test."""
    troubles: list[str] = []
    contexts = []

    def open_page(text: str, **how: Any) -> Page:
        contexts.append(browser.new_context(**{"viewport": WIDE, **how}))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda message: troubles.append(message.text))
        page.on("request", lambda asked: troubles.append(asked.url) if not asked.url.startswith("file:") else None)
        page.on("dialog", lambda dialog: troubles.append(dialog.message))
        place = tmp_path / f"windows{len(contexts)}.html"
        place.write_text(text, encoding="utf-8")
        page.goto(place.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not troubles


def box(page: Page, picture: str, shape: str) -> dict[str, float]:
    found = page.locator(f"{picture} {shape}").first.bounding_box()
    assert found is not None, shape
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", [WIDE, NARROW], ids=["wide", "narrow"])
def test_everything_is_on_the_page_at_every_width(show: Any, view: dict[str, int], scheme: str) -> None:
    regions = [region("us-east-1", freezes=(FREEZE,)), *three_regions()[1:]]
    page = show(render_windows("api", regions, NOW), viewport=view, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= view["width"]
    assert page.locator("svg.week").count() == page.locator("svg.row").count() == 3
    for shape in ("g.quiet rect.bar", "path.usual", "path.counted", "path.below", "line.now"):
        place = box(page, "svg.week >> nth=0 >>", shape)
        assert 0 <= place["x"] <= view["width"] and place["x"] + place["width"] <= view["width"] + 2
    assert box(page, "svg.week >> nth=0 >>", "g.frozen")["width"] > 20
    ink = page.evaluate("getComputedStyle(document.querySelector('svg.week path.usual')).stroke")
    assert ink == ("rgb(36, 80, 127)" if scheme == "light" else "rgb(156, 196, 240)")


def test_day_names_do_not_run_into_one_another(show: Any) -> None:
    for view in (WIDE, NARROW):
        page = show(render_windows("api", [region()], NOW), viewport=view)
        places = page.locator("svg.week text.day").evaluate_all(
            "all => all.map((one) => one.getBoundingClientRect()).map((r) => [r.left, r.right])"
        )
        assert len(places) >= 8
        assert all(right < left for (_, right), (left, _) in zip(places, places[1:], strict=False))


def test_strip_lies_on_one_axis_with_now(show: Any) -> None:
    page = show(render_windows("api", three_regions(), NOW))
    rows = page.locator("svg.row")
    edges = [rows.nth(k).bounding_box() for k in range(3)]
    assert len({(round(one["x"]), round(one["width"])) for one in edges if one}) == 1
    nows = {round(page.locator("svg.row line.now").nth(k).bounding_box()["x"]) for k in range(3)}  # type: ignore[index]
    assert len(nows) == 1
    opens = box(page, "svg.row >> nth=1 >>", "g.quiet rect.bar")["x"]
    assert opens > nows.pop(), "us-west-2 waits"


def test_a_screen_reader_is_told_what_is_drawn(show: Any) -> None:
    page = show(render_windows("api", three_regions(), NOW))
    name = "us-west-2: usual traffic of the week and its quiet windows"
    assert page.get_by_role("img", name=name).count() == 1
    assert "Quiet windows in America/Los_Angeles: Mon 23 Nov 23:" in page.locator("svg.week desc").nth(1).text_content()
    page.locator("summary").first.click()
    assert page.get_by_role("row").count() >= 8


@pytest.mark.parametrize("view", [WIDE, NARROW], ids=["wide", "narrow"])
def test_hostile_words_are_shown_as_they_are(show: Any, view: dict[str, int]) -> None:
    for words in HOSTILE:
        freeze = Freeze(NOW - timedelta(hours=1), NOW + timedelta(hours=9), words)
        override = Overruled(words, words, NOW + timedelta(hours=2))
        found = region(freezes=(freeze,), override=override, words=lambda _, words=words: words)
        page = show(render_windows(words, [found], NOW), viewport=view)
        assert page.locator("img, script, iframe").count() == 0
        assert words[:40].split()[0] in page.locator("section h2").text_content()
        assert page.evaluate("document.documentElement.scrollWidth") <= view["width"]
        assert page.locator("svg.week").count() == 1
