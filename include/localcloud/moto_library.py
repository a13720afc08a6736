"""moto as a library: what must be set before it makes records, and how our classes take the place of moto's.

moto has no seam for this: its registries (`BackendDict`) hold the class that they make for a new account and
region, so the class is replaced there. A contract test (tests/contract/test_moto_seams.py) names what we lean on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from moto.core.base_backend import BackendDict


def prepare_environment() -> None:
    """moto reads these when it makes its first records."""
    # Some 1,300 AMIs per region that nobody asked for would cost 2 s and 30 MB each.
    os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"
    os.environ.pop("MOTO_ACCOUNT_ID", None)  # it would override the accounts of assumed roles


def replace_backend(registry: Any, backend: type) -> None:
    """Make `backend` (a subclass of moto's own) what `registry` makes from now on; what it holds is forgotten."""
    registry.clear()
    registry.backend = backend


def made_backends(registry: Any) -> Iterator[tuple[str, str, Any]]:
    """(account, region, backend) of all that exist; a registry makes one for any account that is only looked up."""
    for account, regions in list(registry.items()):
        for region, backend in list(regions.items()):
            yield account, region, backend


def find_backend(registry: Any, account: str, region: str) -> Any | None:
    """The backend if it was made already."""
    regions = dict.get(registry, account)
    return None if regions is None else dict.get(regions, region)


def forget_everything() -> None:
    """All records of all services, accounts and regions."""
    for registry in list(BackendDict._instances):
        if registry.service_name == "s3":  # its objects hold files open
            for regions in registry.values():
                regions.reset()
        registry.clear()
    BackendDict._instances.clear()
