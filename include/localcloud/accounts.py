"""Who calls: accounts behind access keys, and the keys that instances are given."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from moto.iam.models import get_account_id_from, iam_backends
from moto.sts.models import sts_backends

PROD_ACCOUNT = "123456789012"  # moto's own: any access key that nobody issued belongs to it
_SCOPE = re.compile(r"Credential=([^/,\s]+)/\d{8}/([^/,\s]+)/([^/,\s]+)/aws4_request")
INSTANCE_ROLE = "redstart-instance"


@dataclass(frozen=True)
class Scope:
    """What SigV4's credential scope says; signatures are not checked. `service` is the signing name."""

    access_key: str
    region: str
    service: str


def read_scope(authorization: str) -> Scope | None:
    found = _SCOPE.search(authorization)
    return Scope(found[1], found[2], found[3]) if found else None


def account_of(access_key: str) -> str:
    return str(get_account_id_from(access_key))


class InstanceKeys:
    """One assumed role per account, whose keys every instance of the account gets."""

    def __init__(self) -> None:
        self._roles: dict[str, Any] = {}

    def of(self, account: str, region: str) -> Any:
        """moto's record: access_key_id, secret_access_key, session_token."""
        role = self._roles.get(account)
        if role is None or role.access_key_id not in iam_backends[account]["aws"].access_keys:
            role = sts_backends[account]["aws"].assume_role(
                region, "instances", f"arn:aws:iam::{account}:role/{INSTANCE_ROLE}", "", 43_200, ""
            )
            self._roles[account] = role
        return role
