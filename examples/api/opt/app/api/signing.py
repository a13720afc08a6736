"""AWS Signature Version 4 for one POST to the path `/` (docs: "Create a signed AWS API request")."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import NamedTuple

from api.http_client import parse_url


class Credentials(NamedTuple):
    """Keys of the instance's role; `expires_at` is seconds since the epoch."""

    access_key: str
    secret_key: str
    session_token: str = ""
    expires_at: float = float("inf")


def sign(
    url: str, headers: dict[str, str], body: bytes, credentials: Credentials, region: str, service: str, now: float
) -> dict[str, str]:
    """`headers` (lower-case names) with host, date, token and authorization added; `now` is seconds since the epoch."""
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    signed = {**headers, "host": parse_url(url).authority, "x-amz-date": moment}
    if credentials.session_token:
        signed["x-amz-security-token"] = credentials.session_token
    names = ";".join(sorted(signed))
    canonical = "\n".join([
        "POST", "/", "", *(f"{name}:{signed[name].strip()}" for name in sorted(signed)), "", names, _digest(body),
    ])  # fmt: skip
    text = "\n".join(["AWS4-HMAC-SHA256", moment, scope, _digest(canonical.encode())])
    key = ("AWS4" + credentials.secret_key).encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    signed["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return signed


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
