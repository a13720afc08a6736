"""Airflow's own web application with our pages in it: made once, for it takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def pages(airflow_db: Path) -> Iterator[Any]:
    """A client without a login of the pages, mounted as Airflow mounts them."""
    from airflow.api_fastapi.app import create_app
    from fastapi.testclient import TestClient

    with TestClient(create_app(), base_url="http://127.0.0.1", follow_redirects=False) as client:
        yield client


def token(role: str) -> str:
    """A login's token, of a user who is called like the role."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    return str(get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=f"the {role}", role=role)))


def bearer(role: str) -> dict[str, str]:
    """Headers of a program that is logged in as `role`."""
    return {"Authorization": f"Bearer {token(role)}"}


@pytest.fixture
def login(pages: Any) -> Any:
    """role -> headers."""
    return bearer


@pytest.fixture
def cookie(pages: Any) -> Any:
    """role -> headers of a browser that is logged in as `role`, with nothing that says where a request comes from."""
    return lambda role: {"Cookie": f"_token={token(role)}"}
