"""A real Chromium for tests and figures: Debian's, else the one that playwright installed for itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Playwright, sync_playwright

DEBIANS = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
MISSING = "no Chromium here (Debian: apt-get install chromium)"


def find_chromium(play: Playwright) -> str | None:
    """The path of a browser that is there; None without any."""
    places = (DEBIANS, play.chromium.executable_path)
    return next((place for place in places if Path(place).exists()), None)


@contextmanager
def open_chromium() -> Iterator[Browser | None]:
    """A running browser without a window, ended afterwards; None where there is none to run."""
    with sync_playwright() as play:
        place = find_chromium(play)
        if place is None:
            yield None
            return
        browser = play.chromium.launch(executable_path=place, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()
