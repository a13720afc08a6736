"""Renews the pictures in docs/images from a running stack: `make screenshots` beside `make demo`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import httpx
from playwright.sync_api import Page, sync_playwright

from include.services.settings import PROJECT, Settings
from redstart.cli.airflow_api import AirflowApi

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
DAG_ID, RELEASE_ID, PUSH_ID, OVERRIDE_ID = "api_prod", "api_release", "api_release_push", "api_override"
IMAGES = PROJECT / "docs" / "images"


def log_in(page: Page, url: str, password: str) -> None:
    """By the cookie that the login page would set."""
    answer = httpx.post(f"{url}/auth/token", json={"username": "admin", "password": password}, timeout=30)
    token = answer.raise_for_status().json()["access_token"]
    page.context.add_cookies([{"name": "_token", "value": token, "url": url}])


def shoot(page: Page, url: str, name: str) -> None:
    page.goto(url)
    page.wait_for_load_state("networkidle")
    snap(page, name)


def show_run(page: Page, url: str) -> None:
    """Grid and graph of the run with all groups open."""
    open_run(page, url)
    snap(page, "grid.png")
    snap_graph(page, "graph.png")


def open_run(page: Page, url: str) -> None:
    page.goto(url)
    page.wait_for_load_state("networkidle")
    page.click("button[aria-label='Expand all task groups']")


def snap_graph(page: Page, name: str) -> None:
    """The graph of the run that is open, without the details beside it."""
    page.click("button[value=graph]")
    page.wait_for_timeout(1500)
    page.click("button[aria-label='Collapse Details Panel']")
    page.wait_for_timeout(1500)
    page.set_viewport_size({"width": 2200, "height": 900})
    page.wait_for_timeout(1000)
    page.click(".react-flow__controls-fitview")
    page.wait_for_timeout(1500)
    boxes = [box for node in page.query_selector_all(".react-flow__node") if (box := node.bounding_box())]
    left, top = min(box["x"] for box in boxes) - 20, min(box["y"] for box in boxes) - 20
    right = max(box["x"] + box["width"] for box in boxes) + 20
    bottom = max(box["y"] + box["height"] for box in boxes) + 20
    page.screenshot(path=str(IMAGES / name), clip={"x": left, "y": top, "width": right - left, "height": bottom - top})
    print(f"docs/images/{name}")
    page.set_viewport_size({"width": 1600, "height": 1000})


def show_form(page: Page, url: str, name: str) -> None:
    """What the button Trigger of a DAG asks."""
    page.goto(url)
    page.wait_for_load_state("networkidle")
    page.set_viewport_size({"width": 1600, "height": 1400})
    page.get_by_role("button", name="Trigger").first.click()
    dialog = page.get_by_role("dialog")
    dialog.wait_for()
    page.wait_for_timeout(2500)
    dialog.screenshot(path=str(IMAGES / name))
    print(f"docs/images/{name}")
    page.set_viewport_size({"width": 1600, "height": 1000})


def snap(page: Page, name: str, *, settle_ms: int = 1500) -> None:
    page.wait_for_timeout(settle_ms)
    page.screenshot(path=str(IMAGES / name))
    print(f"docs/images/{name}")


def main() -> int:
    if not Path(CHROMIUM).exists():
        print("No Chromium here (Debian: apt-get install chromium); nothing was renewed.")
        return 0
    settings = Settings()
    password = json.loads((settings.airflow_home / "passwords.json").read_text())["admin"]
    api = AirflowApi(settings.airflow_url, "admin", password)
    runs = api.runs(DAG_ID)
    if not runs:
        print("No run to show: start `make demo` first.", file=sys.stderr)
        return 2
    IMAGES.mkdir(parents=True, exist_ok=True)
    judged = [run.run_id for run in runs if api.result(DAG_ID, run.run_id, "canary.analyze_canary")]
    run = (judged or [runs[0].run_id])[0]
    verdict = api.result(DAG_ID, run, "canary.analyze_canary")
    made = [run.run_id for run in api.runs(RELEASE_ID) if api.result(RELEASE_ID, run.run_id, "mark_candidate")]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        log_in(page, settings.airflow_url, password)
        show_run(page, f"{settings.airflow_url}/dags/{DAG_ID}/runs/{run}")
        if made:
            open_run(page, f"{settings.airflow_url}/dags/{RELEASE_ID}/runs/{made[0]}")
            snap_graph(page, "release.png")
        show_form(page, f"{settings.airflow_url}/dags/{PUSH_ID}", "release-form.png")
        show_form(page, f"{settings.airflow_url}/dags/{OVERRIDE_ID}", "override-form.png")
        if isinstance(verdict, dict):
            link = verdict["report"]
            shoot(page, link if link.startswith("http") else f"{settings.airflow_url}{link}", "report.png")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
