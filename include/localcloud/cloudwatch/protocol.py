"""AwsJson 1.0 as boto3 and plain HTTP clients speak it to CloudWatch: reading requests, answering, errors."""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from dataclasses import dataclass
from typing import Any

TARGET_PREFIX = "GraniteServiceVersion20100801."
CONTENT_TYPE = "application/x-amz-json-1.0"
MAX_BODY_BYTES = 1 << 20
MAX_INFLATED_BYTES = 16 << 20
_SCOPE = re.compile(r"Credential=([^/,\s]+)/\d{8}/([^/,\s]+)/[^/,\s]+/aws4_request")


class ApiError(Exception):
    """An answer that CloudWatch gives as an error; `code` is the word boto3 shows (the query protocol's)."""

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status

    @property
    def shape(self) -> str:
        return _SHAPES.get(self.code, self.code)


_SHAPES = {
    "InvalidParameterValue": "InvalidParameterValueException",
    "MissingParameter": "MissingRequiredParameterException",
    "InvalidParameterCombination": "InvalidParameterCombinationException",
    "InternalServiceError": "InternalServiceFault",
    "LimitExceeded": "LimitExceededFault",
}


def invalid_value(parameter: str, value: object, why: str = "") -> ApiError:
    reason = f" {why}" if why else ""
    return ApiError("InvalidParameterValue", f"The value {value} for parameter {parameter} is invalid.{reason}")


def missing(parameter: str) -> ApiError:
    return ApiError("MissingParameter", f"The parameter {parameter} is required.")


@dataclass(frozen=True)
class ApiRequest:
    """`access_key` and `region` are those of the SigV4 credential scope (signatures are not checked)."""

    operation: str
    parameters: dict[str, Any]
    access_key: str
    region: str


def read_request(environ: dict[str, Any]) -> ApiRequest:
    """The request in a WSGI environment; ApiError where CloudWatch would refuse it unread."""
    scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    if scope is None:
        raise ApiError("MissingAuthenticationToken", "Request is missing Authentication Token", status=403)
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if not target.startswith(TARGET_PREFIX):
        raise ApiError(
            "ValidationError", f"only AwsJson 1.0 is spoken here: no X-Amz-Target {TARGET_PREFIX}<Operation>"
        )
    body = _read_body(environ)
    try:
        parameters = json.loads(body) if body else {}
    except ValueError as error:
        raise ApiError("SerializationException", f"the body is not JSON: {error}") from error
    if not isinstance(parameters, dict):
        raise ApiError("SerializationException", "the body is not a JSON object")
    return ApiRequest(target[len(TARGET_PREFIX) :], parameters, scope[1], scope[2])


def _read_body(environ: dict[str, Any]) -> bytes:
    length = environ.get("CONTENT_LENGTH")
    if length:
        if int(length) > MAX_BODY_BYTES:
            raise ApiError("RequestEntityTooLarge", f"more than {MAX_BODY_BYTES} bytes", status=413)
        body: bytes = environ["wsgi.input"].read(int(length))
    else:
        body = environ["wsgi.input"].read() if environ.get("wsgi.input_terminated") else b""
    if environ.get("HTTP_CONTENT_ENCODING", "").lower() != "gzip":
        return body
    # Bounded: a small body must not be able to inflate into all of the machine's memory.
    inflater = zlib.decompressobj(wbits=31)
    try:
        plain = inflater.decompress(body, MAX_INFLATED_BYTES)
    except zlib.error as error:
        raise ApiError("SerializationException", f"the body is not gzip: {error}") from error
    if not inflater.eof:
        raise ApiError("RequestEntityTooLarge", "the body is cut off or inflates beyond the limit", status=413)
    return plain


def render_error(error: ApiError) -> tuple[str, list[tuple[str, str]], bytes]:
    """Status line, headers and body; the header carries the code, as for every service that once spoke query."""
    body = json.dumps({"__type": f"com.amazonaws.cloudwatch.v2010_08_01#{error.shape}", "message": error.message})
    fault = "Sender" if error.status < 500 else "Receiver"
    headers = [("Content-Type", CONTENT_TYPE), ("x-amzn-query-error", f"{error.code};{fault}")]
    return f"{error.status} {'Bad Request' if error.status < 500 else 'Error'}", headers, body.encode()


def write_token(content: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


def read_token(token: object, *, digest: str) -> dict[str, Any]:
    """What `write_token` was given; a foreign, broken or another request's token (`digest` differs) is refused."""
    try:
        content = json.loads(base64.urlsafe_b64decode(str(token).encode()))
    except (ValueError, binascii.Error):
        content = None
    if not isinstance(content, dict) or content.get("digest") != digest:
        raise invalid_value("NextToken", token, "It does not belong to this request.")
    return content
