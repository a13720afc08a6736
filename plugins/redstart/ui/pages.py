"""All pages under /redstart, as one application: nobody without a login sees any of them."""

from __future__ import annotations

from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, FastAPI

from redstart.ui import approvals, reports

app = FastAPI(title="Redstart", docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(get_user)])
app.include_router(reports.router)
app.include_router(approvals.router)
