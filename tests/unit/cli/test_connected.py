"""Which connections the command line uses."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from redstart.cli import connected

KEY = "AIRFLOW_CONN_REDSTART_LEDGER"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process's own, as it was before, afterwards."""
    before = dict(os.environ)
    monkeypatch.delenv(KEY, raising=False)
    monkeypatch.setattr(connected, "_put", {})
    yield
    os.environ.clear()
    os.environ.update(before)


def test_second_stack_of_a_process_is_not_the_first() -> None:
    for address in ("one", "two"):
        connected.connect({KEY: address})
        assert os.environ[KEY] == address


def test_connection_that_is_said_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "production")
    connected.connect({KEY: "this machine's"})
    assert os.environ[KEY] == "production"
