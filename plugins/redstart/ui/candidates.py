"""The page of an application's release candidates: what each passed, and what became of it."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from include.apps import App, ReleaseFlow, app_names, load_app
from include.errors import RedstartError
from include.ledger.candidates import TOLD_OF_CANDIDATES, Candidate, candidate_data, candidates, standing
from redstart.hooks.ledger import LedgerHook
from redstart.ui.html_page import html_page
from redstart.ui.links import URL_PREFIX

MOST_SHOWN = 100
AWAY = "The ledger does not answer; nothing can be said of candidates now: {}"

router = APIRouter()


@router.get("/candidates/{app}")
def show_candidates(request: Request, app: str) -> Response:
    """The newest made first, at most 100. 404 for an application that is not there, 503 while the ledger is away."""
    if app not in app_names():
        raise HTTPException(404, "There is no such application.")
    application = load_app(app)
    try:
        with closing(LedgerHook().ledger()) as ledger:
            found = candidates(ledger.events(app=app, kinds=TOLD_OF_CANDIDATES))
    except RedstartError as error:
        raise HTTPException(503, AWAY.format(error)) from None
    rows = [_row(one, application) for one in found[:MOST_SHOWN]]
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse({"app": app, "candidates": rows})
    more = len(found) - len(rows)
    return html_page("candidates.html.j2", app=app, rows=rows, more=more, releases=_releases(application))


def _row(candidate: Candidate, app: App) -> dict[str, Any]:
    words = standing(candidate, app.prod.region_names)
    return {
        **candidate_data(candidate),
        "made_at": candidate.made_at.isoformat(timespec="seconds"),
        "standing": words,
        "tone": words.partition(" ")[0],
        "passed": [
            # Only ever a page of our own: the ledger is written by many.
            {"words": one.words, "report": one.report if one.report.startswith(f"{URL_PREFIX}/reports/") else ""}
            for one in candidate.stations
        ],
    }


def _releases(app: App) -> list[str]:
    """The DAGs by which a person pushes a candidate."""
    return [app.dag_id(name) for name, flow in app.flows.items() if isinstance(flow, ReleaseFlow)]
