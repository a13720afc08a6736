"""Pages made of our templates: all they are given is escaped, and nothing but their own style and script runs."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

POLICY = (
    "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
)


def html_page(template: str, *, status: int = 200, **values: Any) -> Response:
    """The template's page; its `nonce` is the only thing that lets a style or a script in."""
    return made_page(lambda nonce: _templates().get_template(template).render(**values, nonce=nonce), status=status)


def made_page(make: Callable[[str], str], *, status: int = 200) -> Response:
    """The page that `make` makes for a nonce, under the same policy."""
    nonce = secrets.token_urlsafe(16)
    page = make(nonce)
    headers = {
        "Content-Security-Policy": POLICY.format(nonce=nonce),
        "X-Content-Type-Options": "nosniff",
        # With "no-referrer" a browser would say `Origin: null` of our own form.
        "Referrer-Policy": "same-origin",
        "Cache-Control": "private, no-store",
    }
    return Response(page, status_code=status, media_type="text/html; charset=utf-8", headers=headers)


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
