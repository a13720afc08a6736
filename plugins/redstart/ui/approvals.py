"""The page on which an operator or admin lets a refused canary go on, with a reason that is kept."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Depends, Form, HTTPException, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from include.canary.approval import (
    LONGEST,
    SHORTEST,
    Approval,
    Refusal,
    approval_json,
    check_reason,
    refusal_json,
    why_not_covered,
)
from include.errors import RefusedError
from redstart.hooks.installation import InstallationHook
from redstart.operators.canary_files import CanaryFiles
from redstart.ui.html_page import html_page
from redstart.ui.same_site import require_same_origin

NOTHING = "The gate has refused nothing here, or has gone on since: there is nothing to approve."
NOT_ALLOWED = "Only an operator or admin may approve this."

router = APIRouter()


@router.get("/approve/{app}/{key}")
def show_refusal(request: Request, app: str, key: str, user: GetUserDep) -> Response:
    """What was refused and why, and a form for those who may approve it; 404 where nothing is refused."""
    return _answer(request, *_find(app, key), may_approve=may_approve(user))


@router.post("/approve/{app}/{key}", dependencies=[Depends(require_same_origin)])
def approve_refusal(
    request: Request, app: str, key: str, user: GetUserDep, reason: Annotated[str, Form()] = ""
) -> Response:
    """Keep the approval beside the canary. 403 without the right, 400 without a reason, 404 for nothing refused."""
    if not may_approve(user):
        raise HTTPException(403, NOT_ALLOWED)
    refusal, earlier = _find(app, key)
    try:
        words = check_reason(reason)
    except RefusedError as error:
        return _answer(request, refusal, earlier, may_approve=True, problem=str(error), typed=reason)
    approval = Approval(refusal, str(user.get_name()), right_of(user), words, datetime.now(UTC))
    _files(app, key).keep_approval(approval)
    if _wants_json(request):
        return _answer(request, refusal, approval, may_approve=True)
    # So that a reload asks for the page, and does not send the form again.
    return RedirectResponse(request.url.path, status_code=303)


def may_approve(user: Any) -> bool:
    """Those who may change the installation's settings: with Airflow's own roles, op and admin."""
    return bool(get_auth_manager().is_authorized_variable(method="PUT", user=user))


def right_of(user: Any) -> str:
    """By what the user was allowed to, in words; not every auth manager has roles."""
    role = getattr(user, "role", None)
    return f"role {role}" if role else "may change variables"


def _files(app: str, key: str) -> CanaryFiles:
    return CanaryFiles(InstallationHook().results(), app, key)


def _find(app: str, key: str) -> tuple[Refusal, Approval | None]:
    """The refusal, and the approval that holds for it; 404 in the same words whatever the reason."""
    files = _files(app, key)
    try:
        refusal, approval = files.refusal(), files.approval()
    except RefusedError:
        raise HTTPException(404, NOTHING) from None
    if refusal is None:
        raise HTTPException(404, NOTHING)
    holds = approval is not None and not why_not_covered(approval, refusal)
    return refusal, approval if holds else None


def _wants_json(request: Request) -> bool:
    return "application/json" in request.headers.get("accept", "")


def _answer(
    request: Request,
    refusal: Refusal,
    approval: Approval | None,
    *,
    may_approve: bool,
    problem: str = "",
    typed: str = "",
) -> Response:
    status = 400 if problem else 200
    if _wants_json(request):
        found = None if approval is None else approval_json(approval)
        return JSONResponse(
            {"detail": problem, "refusal": refusal_json(refusal), "approval": found, "may_approve": may_approve},
            status_code=status,
        )
    return html_page(
        "approve.html.j2",
        status=status,
        refusal=refusal,
        approval=approval,
        may_approve=may_approve,
        problem=problem,
        typed=typed,
        shortest=SHORTEST,
        longest=LONGEST,
    )
