"""The page of when each region of an application may be pushed, as the ledger was told last."""

from __future__ import annotations

from contextlib import closing

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from include.apps import app_names, load_app
from include.errors import RedstartError
from include.reports.windows import render_windows
from include.reports.windows_facts import windows_json
from redstart.hooks.ledger import LedgerHook
from redstart.operators import clock
from redstart.ui.html_page import made_page
from redstart.ui.region_windows import regions_of_ledger

AWAY = "The ledger does not answer; nothing can be said of windows now: {}"
ROOT = "../../dags/"
"""From the page to Airflow's own, whatever its address begins with."""

router = APIRouter()


@router.get("/windows/{app}")
def show_windows(request: Request, app: str) -> Response:
    """404 for an application that is not there, 503 while the ledger is away. Nothing is asked of AWS."""
    if app not in app_names():
        raise HTTPException(404, "There is no such application.")
    application, now = load_app(app), clock.now()
    regions = []
    if application.prod.windows is not None:
        try:
            with closing(LedgerHook().ledger()) as ledger:
                regions = regions_of_ledger(application, ledger, now)
        except RedstartError as error:
            raise HTTPException(503, AWAY.format(error)) from None
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse(windows_json(app, regions, now))
    return made_page(lambda nonce: render_windows(app, regions, now, nonce=nonce, dags=ROOT))
