"""Who this instance is: from the instance metadata service (IMDSv2), or from the environment when run alone."""

from __future__ import annotations

import json
import time
from calendar import timegm
from collections.abc import Mapping
from typing import NamedTuple

from api.http_client import exchange
from api.signing import Credentials

DEFAULT_ENDPOINT = "http://169.254.169.254"
DEFAULT_PORT = 7001
TOKEN_SECONDS = 21_600
PATIENCE_SECONDS = 20.0


class Identity(NamedTuple):
    """`metrics_url` is where series are published; empty: nowhere."""

    address: str
    port: int
    group: str
    instance_id: str
    region: str
    metrics_url: str


class Metadata:
    """The instance metadata service; OSError when it does not answer, LookupError where it has nothing."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._token, self._token_until = "", 0.0

    def get(self, path: str) -> str:
        if time.monotonic() > self._token_until:
            self._renew_token()
        headers = {"x-aws-ec2-metadata-token": self._token}
        status, body = exchange("GET", f"{self._endpoint}/latest/meta-data/{path}", headers)
        if status == 401:
            self._token_until = 0.0
        if status != 200:
            raise LookupError(f"the metadata service answers {status} to {path}")
        return body.decode()

    def credentials(self) -> Credentials:
        """Keys of the instance's role."""
        role = self.get("iam/security-credentials/").split("\n")[0]
        found = json.loads(self.get(f"iam/security-credentials/{role}"))
        until = timegm(time.strptime(found["Expiration"], "%Y-%m-%dT%H:%M:%SZ"))
        return Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["Token"], float(until))

    def _renew_token(self) -> None:
        headers = {"x-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_SECONDS)}
        status, body = exchange("PUT", f"{self._endpoint}/latest/api/token", headers)
        if status != 200:
            raise LookupError(f"the metadata service answers {status} to a request for a token")
        self._token, self._token_until = body.decode(), time.monotonic() + TOKEN_SECONDS / 2


def read_identity(environ: Mapping[str, str], metadata: Metadata) -> Identity:
    """API_ADDRESS in the environment means: run alone, ask nobody, publish only where AWS_ENDPOINT_URL says."""
    port = int(environ.get("API_PORT", DEFAULT_PORT))
    url = environ.get("AWS_ENDPOINT_URL_CLOUDWATCH") or environ.get("AWS_ENDPOINT_URL", "")
    if "API_ADDRESS" in environ:
        region = environ.get("AWS_REGION", "us-east-1")
        group, instance = environ.get("API_GROUP", "alone"), environ.get("API_INSTANCE", "i-alone")
        return Identity(environ["API_ADDRESS"], port, group, instance, region, url)
    region = _asked(metadata, "placement/region")
    return Identity(
        address=_asked(metadata, "local-ipv4"),
        port=port,
        group=_group(metadata),
        instance_id=_asked(metadata, "instance-id"),
        region=region,
        metrics_url=url or f"https://monitoring.{region}.amazonaws.com",
    )


def _asked(metadata: Metadata, path: str) -> str:
    """A machine may be up before its metadata service answers."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return metadata.get(path)
        except (OSError, LookupError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _group(metadata: Metadata) -> str:
    """The Auto Scaling group; an instance that belongs to none says so."""
    try:
        return metadata.get("tags/instance/aws:autoscaling:groupName")
    except LookupError:
        return "none"
