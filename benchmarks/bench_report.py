"""How large a canary's report is, how long it takes to write, and how soon it can be looked at and clicked.

    python benchmarks/bench_report.py [--times 5]

Two canaries of 1,200 metrics x 2 x 480 points: one simulated and judged by the shipped settings, and the worst for
size, where every metric deviates and all values are noise. The browser's times stand beside those of the same
browser with an empty page and a single button; medians of fresh browser contexts. Seeds are fixed.
"""

from __future__ import annotations

import argparse
import gzip
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from playwright.sync_api import Browser  # noqa: E402

from include.canary import GroupScore, Label, MetricPairs, MetricVerdict, Thresholds, Verdict, decide  # noqa: E402
from include.reports.canary import render_canary_report  # noqa: E402
from tests.support.browser import MISSING, open_chromium  # noqa: E402
from tests.support.report_case import CONTEXT, METRICS, ReportCase, report_case  # noqa: E402

START = datetime(2026, 1, 1, tzinfo=UTC)
POINTS = 480
REASON = "higher in the canary: 31.9 ms → 40.7 ms (+27.6 %), 15 % allowed; difference 8.4 ms to 9.19 ms with 98 %"
EMPTY = """<!doctype html><title>empty</title><div id="grid"><button>x</button></div><script>
document.querySelector("button").onclick = (event) => {
  event.target.textContent = "y"; document.body.dataset.drawn = 0;
};
</script>"""
# Seen: all cells are there and a frame with them was shown. Usable: the script ran too.
WATCH = """(() => {
  const seen = () => {
    if (document.querySelectorAll("#grid button").length < TOTAL) return requestAnimationFrame(seen);
    requestAnimationFrame(() => setTimeout(() => { window.seenAt = performance.now(); }));
  };
  requestAnimationFrame(seen);
  const note = () => setTimeout(() => { window.usableAt = performance.now(); });
  addEventListener("load", () => requestAnimationFrame(note));
})()"""
CLICK = """async (row) => {
  const begin = performance.now();
  delete document.body.dataset.drawn;
  document.querySelectorAll("#grid button")[row].click();
  while (document.body.dataset.drawn !== String(row)) await new Promise((go) => setTimeout(go));
  const drawn = performance.now() - begin;
  await new Promise((go) => requestAnimationFrame(() => setTimeout(go)));
  return [drawn, performance.now() - begin];
}"""


def worst_case() -> ReportCase:
    """Nothing that deflates well: lognormal noise, a long reason for each of 1,200 hot metrics."""
    rng = np.random.default_rng(3)
    names = [f"endpoint.e{row:04d}.latency_p50_ms" for row in range(METRICS)]
    metrics = tuple(
        MetricVerdict(
            name, Label.HOT, f"{REASON} confidence; 480 points, worth {row / 3:.3g}", ("endpoints",), fails=True,
            weight=100.0 / METRICS, estimate=rng.normal(), interval=(rng.normal(), rng.normal()), effect=rng.random(),
            superiority=rng.random(), chance=rng.random(), points=POINTS, effective_points=row / 3,
            baseline=rng.random(), canary=rng.random(),
        )
        for row, name in enumerate(names)
    )  # fmt: skip
    groups = (GroupScore("endpoints", 0.0, 100.0, 0.0, METRICS, METRICS),)
    verdict = Verdict(0.0, "fail", metrics, groups, 0.0, 20.0, Thresholds(), START, 60, POINTS)
    noise = rng.lognormal(3, 1, (2, METRICS, POINTS))
    pairs = MetricPairs(tuple(names), noise[0], noise[1], START, 60)
    return ReportCase(verdict, pairs, decide(verdict), CONTEXT, ())


def write(case: ReportCase, times: int) -> tuple[str, float]:
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        page = render_canary_report(case.verdict, case.pairs, case.decision, case.context, case.history)
        taken.append(time.perf_counter() - begin)
    return page, median(taken)


def look_at(browser: Browser, place: Path, cells: int, clicks: int) -> dict[str, float]:
    """One visit, in ms: cells seen, page usable, first click drawn and shown, the median of the next ones."""
    # At this width no metric is opened by itself: the first click is the first.
    context = browser.new_context(viewport={"width": 1000, "height": 1000})
    page = context.new_page()
    page.add_init_script(WATCH.replace("TOTAL", str(cells)))
    page.goto(place.as_uri())
    page.wait_for_function("window.seenAt && window.usableAt")
    first = page.evaluate(CLICK, 0)
    more = [page.evaluate(CLICK, (37 * number) % cells) for number in range(1, clicks)]
    heap = page.evaluate("performance.memory.usedJSHeapSize / 2 ** 20")
    found = {
        "cells seen": page.evaluate("window.seenAt"),
        "usable": page.evaluate("window.usableAt"),
        "first click drawn": first[0],
        "first click shown": first[1],
        "next clicks drawn": median(drawn for drawn, _ in more) if more else first[0],
        "next clicks shown": median(shown for _, shown in more) if more else first[1],
        "heap MiB": heap,
    }
    context.close()
    return found


def browse(pages: dict[str, tuple[str, int, int]], times: int) -> dict[str, dict[str, Any]] | None:
    """Medians of `times` visits of each page, one page after the other in turn; None without a browser."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in pages}
    with tempfile.TemporaryDirectory() as folder, open_chromium() as browser:
        if browser is None:
            return None
        for _ in range(times + 1):
            for name, (text, cells, clicks) in pages.items():
                place = Path(folder) / f"{name.replace(' ', '-')}.html"
                place.write_text(text, encoding="utf-8")
                found[name].append(look_at(browser, place, cells, clicks))
    # The first round warms the browser and the disk.
    return {name: {key: median(one[key] for one in runs[1:]) for key in runs[0]} for name, runs in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5, help="visits of each page (5)")
    asked = parser.parse_args()
    pages = {"empty page": (EMPTY, 1, 1)}
    print(f"{METRICS:,} metrics x 2 x {POINTS} points\n{'':14}{'bytes':>12}{'gzip':>12}{'written in':>12}")
    for name, case in (("simulated", report_case(points=POINTS)), ("all noise", worst_case())):
        text, seconds = write(case, asked.times)
        body = text.encode()
        print(f"{name:14}{len(body):12,}{len(gzip.compress(body)):12,}{seconds:10.2f} s")
        pages[name] = (text, METRICS, 21)
    found = browse(pages, asked.times)
    if found is None:
        print(MISSING)
        return
    print(f"\nin the browser, ms (medians of {asked.times} visits)\n{'':20}" + "".join(f"{name:>14}" for name in found))
    for key in next(iter(found.values())):
        print(f"{key:20}" + "".join(f"{one[key]:14.1f}" for one in found.values()))


if __name__ == "__main__":
    main()
