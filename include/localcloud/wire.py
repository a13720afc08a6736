"""Requests and errors on the wire, in the protocols of AWS that the local cloud speaks."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from include.localcloud.accounts import read_scope
from include.localcloud.faults import SERVICES

StartResponse = Callable[..., Any]
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Call:
    """One request: `service` is boto3's name; `action` is AWS's operation, or S3's method."""

    access_key: str
    region: str
    service: str
    action: str
    version: str = ""


def read_call(environ: dict[str, Any]) -> Call | None:
    """None where the request is not signed. A form body is read and put back."""
    scope = read_scope(environ.get("HTTP_AUTHORIZATION", ""))
    if scope is None:
        return None
    service = SERVICES.get(scope.service, scope.service)
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        return Call(scope.access_key, scope.region, service, target.rpartition(".")[2])
    if str(environ.get("CONTENT_TYPE", "")).startswith(FORM):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        head = parse_qs(body[:200].decode("utf-8", "replace")) if body[:7] == b"Action=" else {}
        values = head if {"Action", "Version"} <= set(head) else parse_qs(body.decode("utf-8", "replace"))
        action = next(iter(values.get("Action", ())), "")
        return Call(scope.access_key, scope.region, service, action, next(iter(values.get("Version", ())), ""))
    return Call(scope.access_key, scope.region, service, str(environ.get("REQUEST_METHOD", "GET")))


def error_body(service: str, code: str, message: str) -> tuple[str, bytes]:
    """(content type, body) of AWS's error as the service's protocol has it."""
    request_id, text = uuid.uuid4(), escape(message)
    if service == "ec2":
        body = (
            f"<Response><Errors><Error><Code>{escape(code)}</Code><Message>{text}</Message></Error></Errors>"
            f"<RequestID>{request_id}</RequestID></Response>"
        )
    elif service == "s3":
        body = f"<Error><Code>{escape(code)}</Code><Message>{text}</Message><RequestId>{request_id}</RequestId></Error>"
    elif service in {"autoscaling", "elbv2", "sts", "iam", "sns"}:
        body = (
            f"<ErrorResponse><Error><Type>Sender</Type><Code>{escape(code)}</Code><Message>{text}</Message></Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
    else:
        return "application/x-amz-json-1.0", json.dumps({"__type": code, "message": message}).encode()
    return "text/xml", f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'.encode()


def answer_error(start: StartResponse, service: str, status: int, code: str, message: str) -> Iterable[bytes]:
    content_type, body = error_body(service, code, message)
    headers = [("Content-Type", content_type), ("Content-Length", str(len(body))), ("x-amzn-ErrorType", code)]
    start(f"{status} {code}", headers)
    return [body]


def answer_page(start: StartResponse, status: int, page: str) -> Iterable[bytes]:
    """A body that is not AWS's, as load balancers and proxies send it."""
    body = page.encode()
    start(f"{status} Error", [("Content-Type", "text/html"), ("Content-Length", str(len(body)))])
    return [body]


def answer_json(start: StartResponse, value: Any, status: str = "200 OK") -> Iterable[bytes]:
    body = json.dumps(value).encode()
    start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
