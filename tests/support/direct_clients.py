"""boto3 clients that put their requests straight into the local cloud's application: no socket, no thread.

A whole push then takes a part of a second, and its process can be forked in the middle of any call.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any
from urllib.parse import unquote, urlsplit

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError

Listen = Callable[[str, str], None]
"""Told of each request: its moment, "before" or "after", and its operation."""
CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 1})


def nobody(moment: str, operation: str) -> None:
    pass


@cache
def _make_client(service: str, region: str, whose: str) -> Any:
    """Making a client reads megabytes of descriptions: once a process is enough."""
    return boto3.Session("x", "x").client(service, region, config=CONFIG)


class DirectClients:
    """A client factory for one region; `application` is WSGI. `listen` may end whoever makes the call.

    Clients are kept, and listened to by the newest factory of the same name (`whose`).
    """

    def __init__(self, application: Any, region: str, listen: Listen = nobody, *, whose: str = "") -> None:
        self.application, self.region, self.listen, self.whose = application, region, listen, whose

    def __call__(self, service: str) -> Any:
        client = _make_client(service, self.region, self.whose)
        client.meta.events.unregister("before-send", unique_id="direct")  # else the first of all would stay
        client.meta.events.register("before-send", self._send, unique_id="direct")
        return client

    def _send(self, request: AWSPreparedRequest, event_name: str, **_: Any) -> AWSResponse:
        operation = event_name.rpartition(".")[2]
        self.listen("before", operation)
        answer = ask(self.application, request)
        self.listen("after", operation)
        return answer


def ask(application: Any, request: AWSPreparedRequest) -> AWSResponse:
    """The application's answer, as botocore would have read it from a socket; a lost one is botocore's error."""
    said: list[Any] = []
    try:
        chunks: Iterable[bytes] = application(_environ(request), lambda *head: said.extend(head))
    except ConnectionAbortedError as error:
        raise ConnectionClosedError(endpoint_url=request.url) from error
    body = _Body(b"".join(chunks))
    return AWSResponse(request.url, int(said[0].split()[0]), dict(said[1]), body)


class _Body(io.BytesIO):
    def stream(self, **_: Any) -> Iterable[bytes]:
        yield self.read()


def _environ(request: AWSPreparedRequest) -> dict[str, Any]:
    url = urlsplit(request.url)
    body = request.body or b""
    data = body.encode() if isinstance(body, str) else bytes(body)
    headers = {key.upper().replace("-", "_"): _text(value) for key, value in request.headers.items()}
    return {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(url.path) or "/",
        "QUERY_STRING": url.query,
        "SERVER_NAME": url.hostname,
        "SERVER_PORT": str(url.port or 443),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": url.scheme,
        "wsgi.input": io.BytesIO(data),
        **{f"HTTP_{key}": value for key, value in headers.items()},
        "CONTENT_TYPE": headers.get("CONTENT_TYPE", ""),
        "CONTENT_LENGTH": str(len(data)),
    }


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
