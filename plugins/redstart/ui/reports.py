"""Kept reports and logs under Airflow's own address, for whoever is logged in."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Response

from include.errors import RefusedError
from redstart.hooks.installation import InstallationHook

MEDIA_TYPES = {
    "html": "text/html; charset=utf-8",
    "json": "application/json",
    "log": "text/plain; charset=utf-8",
    "npz": "application/octet-stream",
}
FOLDERS = ("canaries", "builds", "pushes", "stations", "tests")
# A report shows names that came from outside: it may draw and count, but fetch nothing, submit nothing, and
# it runs as an origin of its own, away from the session's cookie.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox allow-scripts"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-cache",
}

router = APIRouter()


@router.get("/reports/{name:path}")
def show_report(name: str) -> Response:
    """A kept file; 404 for anything else, in the same words whatever the reason."""
    folder, ending = name.partition("/")[0], name.rpartition(".")[2]
    if folder not in FOLDERS or ending not in MEDIA_TYPES:
        raise HTTPException(404, "There is no such report.")
    try:
        content = InstallationHook().results().read(name)
    except RefusedError:
        raise HTTPException(404, "There is no such report.") from None
    return Response(content, media_type=MEDIA_TYPES[ending], headers=HEADERS)
