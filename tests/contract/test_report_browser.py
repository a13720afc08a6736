"""The report in a real Chromium: opened from disk and as Airflow serves it, clicked, typed at, sorted and printed."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from include.canary import GateDecision, Label, MetricVerdict
from include.canary.looks import Look
from include.reports.canary import render_canary_report
from tests.support.browser import MISSING, open_chromium
from tests.unit.reports.verdicts import HOSTILE, START, metric, pairs_of, verdict

WIDE, NARROW = {"width": 1440, "height": 1000}, {"width": 390, "height": 844}
NO_GO = GateDecision(False, ("critical http.5xx is HOT: higher in the canary",), "no-go")
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_chromium() as found:
        if found is None:
            pytest.skip(MISSING)
        yield found


@pytest.fixture
def troubles() -> Iterator[list[str]]:
    """What the page complained of; a test that leaves any has failed."""
    found: list[str] = []
    yield found
    assert not found


@pytest.fixture
def show(browser: Browser, tmp_path: Path, troubles: list[str]) -> Iterator[Open]:
    """Opens a page's text from disk, or an address; wide and light unless told otherwise."""
    contexts = []

    def open_page(text: str = "", *, url: str = "", at: str = "", **how: Any) -> Page:
        contexts.append(browser.new_context(**{"viewport": WIDE, **how}))
        page = contexts[-1].new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
        page.on("dialog", lambda dialog: troubles.append(dialog.message))
        place = tmp_path / f"report{len(contexts)}.html"
        place.write_text(text, encoding="utf-8")
        page.goto((url or place.as_uri()) + at)
        return page

    yield open_page
    for context in contexts:
        context.close()


def some_metrics() -> list[MetricVerdict]:
    """Twelve of all labels; h0 and its twin share a name."""
    hot = partial(metric, label=Label.HOT, effect=0.5, estimate=5.0, interval=(4.0, 6.0), superiority=0.97, chance=1e-9)
    return [
        hot("h0", critical=True, stops=True, fails=True, weight=9.0, tags={"zone": "a"}),
        hot("h0", effect=2.5, weight=4.0, tags={"zone": "b"}),
        metric("c0", Label.COLD, effect=-0.4, groups=("all", "cache"), weight=3.0, superiority=0.1, fails=True),
        metric("nothing", Label.NO_DATA, points=0, weight=2.0),
        metric("little", Label.INCONCLUSIVE, points=3),
        metric("broken", Label.ERROR, points=0, reason="503 Slow Down"),
        *(metric(f"p{k}", effect=0.01 * k, test="tail" if k % 2 else "level") for k in range(6)),
    ]


def report(metrics: list[MetricVerdict] | None = None, *looks: Look, points: int = 48, **more: Any) -> str:
    found = verdict(some_metrics() if metrics is None else metrics, points=points, **more)
    pairs = pairs_of(list(found.metrics), points=points, shift=5.0)
    return render_canary_report(found, pairs, NO_GO, {"application": "api"}, looks)


def cell(page: Page, row: int) -> Any:
    return page.locator("#grid button").nth(row)


def wait_drawn(page: Page, row: int) -> None:
    page.wait_for_function(f"document.body.dataset.drawn === '{row}'")


def medians(page: Page) -> list[float]:
    texts = page.locator("#quantiles tbody tr td:nth-child(4)").all_inner_texts()
    return [float(re.sub(r"[^\d.\-]", "", text)) for text in texts]


def shown_rows(page: Page) -> list[int]:
    return page.evaluate("[...document.querySelectorAll('#grid button')].flatMap((c, k) => c.hidden ? [] : [k])")


def names_in_table(page: Page) -> list[str]:
    return page.locator("#rows td:first-child").all_inner_texts()


def has_ink(page: Page, color: str) -> bool:
    """Whether the chart's canvas holds pixels near that color of the page."""
    return page.evaluate(
        """(name) => {
          const canvas = document.querySelector("#chart canvas");
          const pen = document.createElement("canvas").getContext("2d");
          pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name); pen.fillRect(0, 0, 1, 1);
          const want = pen.getImageData(0, 0, 1, 1).data;
          const got = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
          for (let k = 0; k < got.length; k += 4)
            if (got[k + 3] > 200 && [0, 1, 2].every((c) => Math.abs(got[k + c] - want[c]) < 30)) return true;
          return false;
        }""",
        color,
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_click_draws_both_series_and_both_distributions(show: Open, scheme: str) -> None:
    page = show(report(), color_scheme=scheme)
    cell(page, 2).click()
    wait_drawn(page, 2)
    assert page.locator("#detail-name").inner_text() == "c0"
    assert has_ink(page, "--baseline")
    assert has_ink(page, "--canary")
    assert page.locator("#shape path.b").count() == page.locator("#shape path.c").count() == 1
    assert medians(page) == pytest.approx([30.0, 35.0], abs=0.3)
    page.get_by_text("Cumulative").click()
    assert page.locator("#shape .steps path").count() == 2


def test_a_metric_says_all_that_is_known_of_it(show: Open) -> None:
    page = show(report())
    wait_drawn(page, 0)
    text = page.locator("#detail").inner_text()
    for words in ("HOT", "zone=a", "critical", "alone a no-go", "As it is: h0.", "+50 %", "97 %", "1e-9", "9 %", "48"):
        assert words in text.replace("\u00a0", " ")
    assert "interval 4 to 6" in page.locator("#strip").text_content().replace("\u00a0", " ")


def test_series_of_one_name_are_their_own(show: Open) -> None:
    page = show(report())
    seen = []
    for row in (0, 1):
        cell(page, row).click()
        wait_drawn(page, row)
        seen.append(medians(page)[0])
    assert seen == pytest.approx([10.0, 20.0], abs=0.3)


def test_as_airflow_serves_it(show: Open, browser: Browser) -> None:
    from redstart.ui.reports import HEADERS

    text, asked = report().encode(), []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            for key, value in {**HEADERS, "Content-Type": "text/html; charset=utf-8"}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = show(url=f"http://127.0.0.1:{server.server_port}/report.html", at="#m2")
        wait_drawn(page, 2)
        cell(page, 0).click()
        wait_drawn(page, 0)
        assert has_ink(page, "--canary")
        assert page.evaluate("self.origin") == "null"
        assert page.url.endswith("#metric=h0%20%7Bzone%3Da%7D")
        server.shutdown()
    assert set(asked) <= {"/report.html", "/favicon.ico"}


def test_the_keyboard_reaches_everything(show: Open) -> None:
    page = show(report(), viewport={"width": 1440, "height": 700})
    page.locator("#grid button[tabindex='0']").focus()
    page.keyboard.press("Home")
    for key, place in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", 11), ("ArrowRight", 11)):
        page.keyboard.press(key)
        assert page.evaluate("[...document.querySelectorAll('#grid button')].indexOf(document.activeElement)") == place
    assert page.locator("#grid button[tabindex='0']").count() == 1
    assert page.locator("#tip").inner_text().startswith("p5")
    page.keyboard.press("Enter")
    wait_drawn(page, 11)
    assert cell(page, 11).get_attribute("aria-current") == "true"
    page.keyboard.press("Tab")
    assert page.evaluate("!document.activeElement.closest('#grid')")


def test_arrows_down_move_by_a_line_and_skip_what_is_hidden(show: Open) -> None:
    page = show(report([metric(f"m{k}{'x' * (k % 3 == 0)}") for k in range(300)]))
    page.locator("#search").fill("x")
    page.locator("#grid button[tabindex='0']").focus()
    page.keyboard.press("Home")
    top = page.evaluate("document.activeElement.getBoundingClientRect().toJSON()")
    page.keyboard.press("ArrowDown")
    below = page.evaluate("document.activeElement.getBoundingClientRect().toJSON()")
    assert below["left"] == top["left"]
    assert 0 < below["top"] - top["top"] < 2 * top["height"]


def test_a_screen_reader_is_told_what_is_seen(show: Open) -> None:
    page = show(report())
    grid = page.locator("#grid").aria_snapshot()
    assert 'button "h0 {zone=a}, hot, +50 %, critical"' in grid
    assert 'button "p0, pass"' in grid
    cell(page, 2).click()
    assert page.get_by_role("status").last.inner_text() == "c0: cold. As it is: c0."
    page.get_by_text("Table", exact=True).click()
    assert page.get_by_role("columnheader", name="Effect").count() == 1
    assert page.get_by_role("row", name=re.compile("nothing")).count() == 1
    assert page.get_by_role("img", name=re.compile("Baseline and canary of c0 over")).count() == 1


@pytest.mark.parametrize("view", [WIDE, NARROW])
def test_hostile_names_are_shown_as_they_are(show: Open, view: dict[str, int]) -> None:
    metrics = [metric(n, Label.HOT, reason=n, groups=(n, "all"), tags={n: n}, effect=0.5) for n in HOSTILE]
    looks = [Look(START, START, 90.0, "no-go", reason=name) for name in HOSTILE]
    page = show(
        report(metrics, *looks, warnings=HOSTILE, reason=HOSTILE[0], metadata={n: n for n in HOSTILE}), viewport=view
    )
    for row, name in enumerate(HOSTILE):
        cell(page, row).click()
        wait_drawn(page, row)
        assert page.evaluate("document.getElementById('detail-name').textContent") == name
        assert name[:40] in page.evaluate("document.getElementById('detail-tags').textContent")
        assert page.evaluate("document.getElementById('detail-reason').textContent.toLowerCase()").startswith(
            name.lower()
        )
        if view is NARROW:
            page.locator("#close").click()
    assert page.locator("img, iframe").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= view["width"]
    page.get_by_text("Table", exact=True).click()
    assert page.locator("#rows tr").count() == len(HOSTILE)
    assert page.evaluate("document.documentElement.scrollWidth") <= view["width"]


@pytest.mark.parametrize(
    ("address", "row"),
    [("#m3", 3), ("#metric=c0", 2), ("#c0", 2), ("#metric=h0%20%7Bzone%3Db%7D", 1), ("#h0", 0)],
)
def test_an_address_opens_its_metric(show: Open, address: str, row: int) -> None:
    page = show(report(), at=address)
    wait_drawn(page, row)
    assert cell(page, row).get_attribute("aria-current") == "true"


def test_an_address_that_was_shown_can_be_used_again(show: Open) -> None:
    page = show(report([metric(name) for name in HOSTILE]))
    shown = []
    for row in range(len(HOSTILE)):
        cell(page, row).click()
        shown.append("#" + page.url.partition("#")[2])
    for row, address in enumerate(shown):
        page.evaluate("(hash) => { location.hash = hash; }", address)
        wait_drawn(page, row)


def test_a_changed_address_moves_on_and_a_foreign_one_does_no_harm(show: Open) -> None:
    page = show(report(), at="#m99999")
    wait_drawn(page, 0)
    page.evaluate("location.hash = '#metric=p3'")
    wait_drawn(page, 9)
    page.evaluate("location.hash = '#%E0%A4%A'")
    assert page.locator("#detail-name").inner_text() == "p3"


def test_filters_narrow_the_grid_together(show: Open) -> None:
    page = show(report())
    page.locator("#only").check()
    assert shown_rows(page) == [0, 1, 2]
    page.locator("#search").fill("ZONE=B h0")
    assert shown_rows(page) == [1]
    assert page.locator("#status").inner_text() == "1 of 12 metrics shown"
    page.locator("#search").fill("zone=q")
    page.locator("#reset").click()
    assert len(shown_rows(page)) == 12
    page.locator("#legend button", has_text="cold").click()
    page.locator("#legend button", has_text="store failed").click()
    assert shown_rows(page) == [2, 5]
    page.locator("#group").select_option("cache")
    assert shown_rows(page) == [2]
    assert page.locator("#grid button[tabindex='0']").count() == 1
    assert cell(page, 2).get_attribute("tabindex") == "0"


def test_the_table_sorts_by_any_column_and_what_is_unknown_stays_last(show: Open) -> None:
    page = show(report())
    page.get_by_text("Table", exact=True).click()
    heads = page.locator("#heads th")
    for place in range(heads.count()):
        for order in ("first", "second"):
            heads.nth(place).locator("button").click()
            assert heads.nth(place).get_attribute("aria-sort") in {"ascending", "descending"}, order
            assert page.locator("#heads th[aria-sort]").count() == 1
            assert len(names_in_table(page)) == 12
    page.get_by_role("button", name="Effect").click()
    assert names_in_table(page)[:2] == ["h0 {zone=b}", "h0 {zone=a}"]
    page.get_by_role("button", name="Effect").click()
    assert names_in_table(page)[0] == "c0"
    assert set(names_in_table(page)[-3:]) == {"nothing", "little", "broken"}
    page.get_by_role("button", name="p4").click()
    wait_drawn(page, 10)
    assert page.locator("#rows tr[aria-current=true] td:first-child").inner_text() == "p4"
    page.locator("#only").check()
    assert names_in_table(page) == ["c0", "h0 {zone=a}", "h0 {zone=b}"]


def test_next_and_previous_follow_what_is_shown(show: Open) -> None:
    page = show(report())
    page.locator("#only").check()
    seen = []
    for button in ("#next", "#next", "#next", "#previous"):
        page.locator(button).click()
        seen.append(page.locator("#grid button[aria-current]").get_attribute("aria-label").split(",")[0])
    assert seen == ["h0 {zone=b}", "c0", "h0 {zone=a}", "c0"]


def test_without_script_score_facts_grid_and_reasons_are_there(show: Open) -> None:
    look = Look(START + timedelta(hours=1), START, 90.0, "no-go", reason="too slow")
    page = show(report(None, look), java_script_enabled=False)
    text = page.locator("body").inner_text()
    for words in (
        "97.5",
        "No-go",
        "critical http.5xx is HOT",
        "Score by group",
        "503 Slow Down",
        "as it is: c0",
        "95 to go",
    ):
        assert words in text
    assert cell(page, 0).is_visible()
    assert not page.locator("#search").is_visible()
    assert not page.locator("#detail").is_visible()
    page.locator("summary").click()
    assert page.get_by_text("too slow").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_kind_of_cell_can_be_told_from_the_others_and_the_ground(show: Open, scheme: str) -> None:
    page = show(report(), color_scheme=scheme)
    looks = page.evaluate(
        """() => [...document.querySelectorAll("#grid button"), document.querySelector(".map")].map((one) => {
             const style = getComputedStyle(one); return style.backgroundColor + style.backgroundImage; })"""
    )
    kinds = [looks[row] for row in (0, 1, 2, 3, 4, 5, 6, 12)]
    assert len(set(kinds)) == len(kinds)
    assert looks[6] == "rgb(183, 224, 177)none"
    assert [cell(page, row).inner_text() for row in (0, 2, 3, 4, 5, 6)] == ["▲", "▼", "∅", "?", "!", ""]


def test_a_phone_shows_a_metric_over_the_grid_and_puts_it_away(show: Open) -> None:
    page = show(report([metric(f"m{k}") for k in range(600)]), viewport=NARROW, has_touch=True, is_mobile=True)
    assert not page.locator("#detail").is_visible()
    cell(page, 400).tap()
    wait_drawn(page, 400)
    box, sheet = cell(page, 400).bounding_box(), page.locator("#detail").bounding_box()
    assert box["y"] + box["height"] <= sheet["y"]
    assert page.locator("#chart canvas").bounding_box()["width"] <= NARROW["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    page.locator("#close").tap()
    assert not page.locator("#detail").is_visible()


def test_paper_shows_the_findings_and_no_controls(show: Open) -> None:
    page = show(report())
    page.get_by_text("Table", exact=True).click()
    assert not page.locator("#findings").is_visible()
    page.emulate_media(media="print")
    assert page.locator("#findings").is_visible()
    assert cell(page, 0).is_visible()
    assert not page.locator("#search").is_visible()


@pytest.mark.parametrize("points", [0, 1, 2, 500])
def test_canaries_of_any_length_are_drawn(show: Open, points: int) -> None:
    page = show(report(points=points))
    wait_drawn(page, 0)
    assert (page.locator("#chart").inner_text() == "No points to draw.") == (points == 0)


def test_strange_numbers_are_drawn_too(show: Open) -> None:
    metrics = [metric(f"m{k}_ms", Label.HOT, effect=0.3) for k in range(6)]
    pairs = pairs_of(metrics)
    rows = {5: (0.0, 0.0), 4: (1e-12, 5e-12), 3: (-8e307, 8e307), 2: (1e-3, 1e9), 1: (-5.0, -4.0)}
    for row, (old, new) in rows.items():
        pairs.baseline[row], pairs.canary[row] = old, new
    pairs.baseline[0, ::2], pairs.canary[0] = float("nan"), float("inf")
    judged = replace(verdict(metrics), metadata={})
    page = show(render_canary_report(judged, pairs, NO_GO, {}))
    for row in range(6):
        cell(page, row).click()
        wait_drawn(page, row)
        for shape in ("Cumulative", "Histogram"):
            page.get_by_text(shape).click()
            paths = page.evaluate("[...document.querySelectorAll('#shape *')].map((n) => n.outerHTML).join(' ')")
            assert "NaN" not in paths, (row, shape)
            assert "Infinity" not in paths, (row, shape)
    assert "infinite points, 0 of the baseline and 48 of the canary" in page.locator("#detail-note").inner_text()


def test_a_report_without_metrics_opens(show: Open) -> None:
    page = show(report([], points=0))
    page.locator("#search").fill("x")
    assert page.locator("#empty").is_visible()
