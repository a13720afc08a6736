"""All pages under /redstart, as one application: nobody without a login sees any of them.

Only the webhook is for machines without a login; they sign what they say.
"""

from __future__ import annotations

from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, FastAPI

from redstart.ui import approvals, candidates, reports, webhook, windows

app = FastAPI(title="Redstart", docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(get_user)])
app.include_router(reports.router)
app.include_router(approvals.router)
app.include_router(candidates.router)
app.include_router(windows.router)
# A plain route: what every page of this application depends on, the login, is not asked of it.
app.add_route(webhook.PATH, webhook.receive, methods=["POST"])
