"""CloudWatch of the local cloud alone, on a free port of 127.0.0.1, with a clock that tests move."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from werkzeug.serving import WSGIRequestHandler, make_server

from include.localcloud.cloudwatch import CloudWatch

ACCOUNTS = {"AKPROD": "123456789012", "AKTEST": "210987654321"}


class MovedClock:
    """`at` is seconds since the epoch; a test moves it."""

    def __init__(self, at: float) -> None:
        self.at = at

    def now(self) -> float:
        return self.at


class _SilentHandler(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """Requests of a test are not worth a line."""


@dataclass(frozen=True)
class CloudWatchServer:
    cloud: CloudWatch
    clock: MovedClock
    port: int

    def client(self, region: str = "us-east-1", *, access_key: str = "AKPROD", checks: bool = True) -> Any:
        """A boto3 client; `checks` False leaves refusing wrong parameters to the server."""
        return boto3.client(
            "cloudwatch",
            region_name=region,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            aws_access_key_id=access_key,
            aws_secret_access_key="secret",
            config=Config(
                retries={"mode": "standard", "max_attempts": 2}, read_timeout=20, parameter_validation=checks
            ),
        )


@contextmanager
def serve_cloudwatch(at: float) -> Iterator[CloudWatchServer]:
    clock = MovedClock(at)
    cloud = CloudWatch(clock, ACCOUNTS.__getitem__)
    server = make_server("127.0.0.1", 0, cloud, threaded=True, request_handler=_SilentHandler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield CloudWatchServer(cloud, clock, server.port)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
