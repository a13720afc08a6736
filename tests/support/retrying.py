"""boto3 clients of the local cloud that try a call again by themselves, as those of a connection do, but at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.support.local_cloud import LocalCloud

ATTEMPTS = 4


def retrying_clients(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """A client factory; botocore does not sleep between its tries."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda seconds: None))
    cloud.client("ec2")  # the first one makes the region's network
    session = boto3.Session("x", "x", region_name="us-east-1")
    config = Config(retries={"mode": "standard", "total_max_attempts": ATTEMPTS})
    return cache(lambda service: session.client(service, endpoint_url=cloud.url, config=config))
