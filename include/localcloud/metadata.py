"""The instance metadata service (IMDSv2) of every machine, as part of the local cloud's own HTTP server.

A machine finds it by AWS_EC2_METADATA_SERVICE_ENDPOINT = `<cloud>/_localcloud/imds/<instance id>`; below that the
paths and answers are AWS's.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

PREFIX = "/_localcloud/imds/"
TOKEN_SECONDS_MAX = 21_600
TOKENS_KEPT = 20_000
CREDENTIAL_HOURS = 6

Answer = tuple[str, bytes, list[tuple[str, str]]]  # status line, body, further headers
StartResponse = Callable[[str, list[tuple[str, str]]], Any]


@dataclass(frozen=True)
class InstanceFacts:
    """What a machine may know of itself. The keys decide which account its calls reach; the defaults mean moto's."""

    instance_id: str
    account_id: str
    region: str
    zone: str
    address: str
    image_id: str
    instance_type: str = "t3.micro"
    tags: Mapping[str, str] = field(default_factory=dict)
    user_data: bytes = b""
    role_name: str = "redstart-instance"
    access_key_id: str = "AKIALOCALCLOUD000000"
    secret_access_key: str = "local-cloud"  # noqa: S105 - not a secret: the local cloud checks none
    session_token: str = "local-cloud"  # noqa: S105


class MetadataService:
    """WSGI application for paths under PREFIX. `lookup` says what is known of an instance id, or None: 404."""

    def __init__(self, lookup: Callable[[str], InstanceFacts | None]) -> None:
        self._lookup = lookup
        self._lock = threading.Lock()
        self._tokens: dict[str, tuple[str, float]] = {}

    def __call__(self, environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        status, body, headers = self._answer(environ)
        start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), *headers])
        return [body]

    def _answer(self, environ: Mapping[str, Any]) -> Answer:
        instance_id, _, path = str(environ.get("PATH_INFO", "")).removeprefix(PREFIX).partition("/")
        facts = self._lookup(instance_id)
        if facts is None:
            return "404 Not Found", b"", []
        path = path.lstrip("/")
        if path == "latest/api/token":
            return self._issue_token(facts, environ)
        if environ.get("REQUEST_METHOD") not in {"GET", "HEAD"}:
            return "405 Method Not Allowed", b"", []
        if not self._is_valid(str(environ.get("HTTP_X_AWS_EC2_METADATA_TOKEN", "")), instance_id):
            return "401 Unauthorized", b"", []
        body = _find(facts, path)
        return ("404 Not Found", b"", []) if body is None else ("200 OK", body, [])

    def _issue_token(self, facts: InstanceFacts, environ: Mapping[str, Any]) -> Answer:
        if environ.get("REQUEST_METHOD") != "PUT":
            return "405 Method Not Allowed", b"", []
        wish = str(environ.get("HTTP_X_AWS_EC2_METADATA_TOKEN_TTL_SECONDS", ""))
        if not wish.isdecimal() or not 1 <= int(wish) <= TOKEN_SECONDS_MAX:
            return "400 Bad Request", b"", []
        token = secrets.token_urlsafe(32)
        with self._lock:
            while len(self._tokens) >= TOKENS_KEPT:  # the oldest goes; its holder is told 401 and asks anew
                self._tokens.pop(next(iter(self._tokens)))
            self._tokens[token] = (facts.instance_id, time.monotonic() + int(wish))
        return "200 OK", token.encode(), [("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", wish)]

    def _is_valid(self, token: str, instance_id: str) -> bool:
        holder, until = self._tokens.get(token, ("", 0.0))
        return holder == instance_id and time.monotonic() < until


def _find(facts: InstanceFacts, path: str) -> bytes | None:
    """The answer at `path` (a folder lists its entries, as AWS does), or None."""
    node: Any = _tree(facts)
    for part in path.rstrip("/").split("/"):
        if not isinstance(node, dict) or part not in node:
            return None
        node = node[part]
    if isinstance(node, dict):
        return "\n".join(name + "/" if isinstance(entry, dict) else name for name, entry in node.items()).encode()
    return node if isinstance(node, bytes) else str(node).encode()


def _tree(facts: InstanceFacts) -> dict[str, Any]:
    latest: dict[str, Any] = {
        "meta-data": {
            "ami-id": facts.image_id,
            "iam": {"security-credentials": {facts.role_name: _credentials(facts)}},
            "instance-id": facts.instance_id,
            "instance-type": facts.instance_type,
            "local-ipv4": facts.address,
            "placement": {"availability-zone": facts.zone, "region": facts.region},
            "tags": {"instance": dict(facts.tags)},
        },
        "dynamic": {"instance-identity": {"document": _identity(facts)}},
    }
    if facts.user_data:
        latest["user-data"] = facts.user_data
    return {"latest": latest}


def _credentials(facts: InstanceFacts) -> str:
    now = datetime.now(UTC)
    return json.dumps(
        {
            "Code": "Success",
            "LastUpdated": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            "Type": "AWS-HMAC",
            "AccessKeyId": facts.access_key_id,
            "SecretAccessKey": facts.secret_access_key,
            "Token": facts.session_token,
            "Expiration": f"{now + timedelta(hours=CREDENTIAL_HOURS):%Y-%m-%dT%H:%M:%SZ}",
        }
    )


def _identity(facts: InstanceFacts) -> str:
    return json.dumps(
        {
            "accountId": facts.account_id,
            "architecture": "x86_64",
            "availabilityZone": facts.zone,
            "imageId": facts.image_id,
            "instanceId": facts.instance_id,
            "instanceType": facts.instance_type,
            "privateIp": facts.address,
            "region": facts.region,
            "version": "2017-09-30",
        }
    )
