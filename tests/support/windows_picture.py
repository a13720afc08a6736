"""Renews docs/images/windows.png: the page of windows of three markets whose traffic is known."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from include.reports.windows import render_windows
from include.services.settings import PROJECT
from tests.support.browser import MISSING, open_chromium
from tests.support.windows_case import FREEZE, NOW, region, three_regions

PICTURE = PROJECT / "docs" / "images" / "windows.png"
WIDTH = 1400


def main() -> int:
    regions = [region("us-east-1", wave=3, freezes=(FREEZE,)), *three_regions()[1:]]
    with tempfile.TemporaryDirectory() as folder, open_chromium() as browser:
        if browser is None:
            print(MISSING, file=sys.stderr)
            return 2
        place = Path(folder, "windows.html")
        place.write_text(render_windows("api", regions, NOW), encoding="utf-8")
        page = browser.new_page(viewport={"width": WIDTH, "height": 1000})
        page.goto(place.as_uri())
        foot = page.locator("section").nth(1).bounding_box()
        assert foot is not None
        height = foot["y"] + foot["height"] + 16
        page.screenshot(path=str(PICTURE), full_page=True, clip={"x": 0, "y": 0, "width": WIDTH, "height": height})
    print(PICTURE.relative_to(PROJECT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
