"""Renews the pictures in docs/images from a running stack: `make screenshots` beside `make demo`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from include.services.settings import PROJECT, Settings
from redstart.cli.airflow_api import AirflowApi

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
DAG_ID = "api_prod"
IMAGES = PROJECT / "docs" / "images"


def log_in(page: Page, url: str, password: str) -> None:
    page.goto(f"{url}/auth/login/")
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", password)
    page.click("button[type=submit]")
    page.wait_for_load_state("networkidle")


def shoot(page: Page, url: str, name: str, *, settle_ms: int = 2500) -> None:
    page.goto(url)
    page.wait_for_load_state("networkidle")
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
    run = runs[0].run_id
    verdict = api.result(DAG_ID, run, "canary.analyze_canary")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        log_in(page, settings.airflow_url, password)
        page.evaluate("localStorage.setItem('dagView-api_prod', '\"graph\"')")
        shoot(page, f"{settings.airflow_url}/dags/{DAG_ID}/runs/{run}", "graph.png")
        page.evaluate("localStorage.setItem('dagView-api_prod', '\"grid\"')")
        shoot(page, f"{settings.airflow_url}/dags/{DAG_ID}/runs/{run}", "grid.png")
        if isinstance(verdict, dict):
            link = verdict["report"]
            shoot(page, link if link.startswith("http") else f"{settings.airflow_url}{link}", "report.png")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
