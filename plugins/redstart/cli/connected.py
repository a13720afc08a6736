"""The product's hooks outside Airflow: with the connections of this machine's stack, or those already said."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from include.ledger import Ledger

OURS = ("AIRFLOW_CONN_", "AIRFLOW_VAR_")
_put: dict[str, str] = {}  # by this process, for a stack before this one


def connect(environment: Mapping[str, str]) -> None:
    """Put the stack's environment in place; a connection or variable that somebody else has set stands."""
    said = {key: value for key, value in os.environ.items() if key.startswith(OURS) and _put.get(key) != value}
    _put.update(environment)
    # Before airflow is first imported: it reads its settings then. Each client would say whose credentials it has.
    os.environ.update({**environment, **said, "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING"})


def open_ledger() -> Ledger:
    """The ledger of the stack, or of the connection already said."""
    from include.services.airflow_env import airflow_environment
    from include.services.stack import read_settings

    connect(airflow_environment(read_settings()))
    from redstart.hooks.ledger import LedgerHook

    return LedgerHook().ledger()
