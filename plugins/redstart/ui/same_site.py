"""Whether a request that would change something was made by our own pages: the login's cookie alone says nothing."""

from __future__ import annotations

from urllib.parse import urlsplit

from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from airflow.sdk import conf
from fastapi import HTTPException, Request


def require_same_origin(request: Request) -> None:
    """403 for what another site's page sent in the name of whoever is logged in here.

    Browsers say where a request comes from in `Sec-Fetch-Site` (over TLS, or to this machine) and, with every POST,
    in `Origin`; no page can set either. Who sends neither is no browser, and must bring a token of its own rather than
    the cookie.
    """
    if not _is_same_origin(request):
        raise HTTPException(403, "This was not sent from Redstart's own page.")


def _is_same_origin(request: Request) -> bool:
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        return site == "same-origin"
    if origin is not None:
        ours = {request.headers.get("host", ""), urlsplit(conf.get("api", "base_url", fallback="")).netloc}
        return urlsplit(origin).netloc in ours - {""}
    return COOKIE_NAME_JWT_TOKEN not in request.cookies
