"""Calls to AWS with one kind of error: retryable or refused, naming the call, the region and the thing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    IncompleteReadError,
    MetadataRetrievalError,
)
from botocore.parsers import ResponseParserError

from include.errors import RedstartError, RefusedError, RetryableError

ClientFactory = Callable[[str], Any]
"""The boto3 client of a service ("autoscaling", "ec2", "elbv2", "cloudwatch") in the adapter's region."""
BeforeChange = Callable[[str, str], None]
"""Told the operation and its subject."""
READS = ("describe_", "get_", "list_")

THROTTLED = frozenset(
    {
        "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException",
        "RequestLimitExceeded", "TooManyRequestsException", "SlowDown", "PriorRequestNotComplete",
    }
)  # fmt: skip
NOT_NOW = frozenset(
    {
        "InternalError", "InternalFailure", "InternalServerError", "InternalServiceError", "ServiceUnavailable",
        "ServiceUnavailableException", "Unavailable", "RequestTimeout", "RequestTimeoutException", "RequestExpired",
        "ResourceContention", "ResourceContentionFault", "ScalingActivityInProgress", "ScalingActivityInProgressFault",
        "InsufficientInstanceCapacity", "ExpiredToken", "ExpiredTokenException", "OperationNotPermitted.Pending",
    }
)  # fmt: skip
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized"})
QUOTA = re.compile(r"(LimitExceeded|QuotaExceeded)$")
"""Throttling by the same ending (RequestLimitExceeded) is told before."""
AWAY = (ConnectionError, HTTPClientError, IncompleteReadError, MetadataRetrievalError)
"""Nobody answered, the reply was lost on its way, or the credentials could not be had just now."""
FAILURES = (ClientError, BotoCoreError, ResponseParserError)
IAM_PREFIXES = {"elbv2": "elasticloadbalancing"}


class AwsRefusedError(RefusedError):
    """AWS's own no; `code` is its error code."""

    def __init__(self, reason: str, *, code: str) -> None:
        super().__init__(reason)
        self.code = code


def iam_action(service: str, operation: str) -> str:
    """("elbv2", "ModifyListener") -> `elasticloadbalancing:ModifyListener`."""
    return f"{IAM_PREFIXES.get(service, service)}:{operation}"


def translate(error: Exception, *, service: str, operation: str, region: str, subject: str) -> RedstartError:
    """The error of the product for what boto3 raised; `subject` is the group, image or balancer meant."""
    place = f"{operation} in {region}" + (f" for {subject}" if subject else "")
    if isinstance(error, ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        text = str(error.response.get("Error", {}).get("Message", "")) or code
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if code in THROTTLED or status == 429:
            return RetryableError(f"{place}: throttled ({code})", next_delay_seconds=5.0)
        if code in NOT_NOW or status >= 500:
            return RetryableError(f"{place}: {code}: {text}", next_delay_seconds=5.0)
        if code in DENIED:
            action = iam_action(service, error.operation_name)
            return AwsRefusedError(f"{place}: {code}: the role may not {action} (docs/aws.md): {text}", code=code)
        if QUOTA.search(code):
            return AwsRefusedError(f"{place}: {code}: free some, or ask AWS for a higher quota: {text}", code=code)
        return AwsRefusedError(f"{place}: {code}: {text}", code=code)
    if isinstance(error, AWAY):
        return RetryableError(f"{place}: no answer ({error})", next_delay_seconds=5.0)
    if isinstance(error, ResponseParserError):  # a 5xx whose body is not AWS's, as load balancers send it
        return RetryableError(f"{place}: an answer that cannot be read ({error})", next_delay_seconds=5.0)
    return RefusedError(f"{place}: {error}")


def allow(operation: str, subject: str) -> None:
    """Every change is allowed."""


class AwsCalls:
    """The calls of one region. Clients are made when first used and kept.

    `before_change` is asked before each call that changes anything, once however often botocore tries it; what it
    raises passes through, and the call is not made.
    """

    def __init__(self, region: str, clients: ClientFactory, before_change: BeforeChange = allow) -> None:
        self.region = region
        self._clients = clients
        self._before_change = before_change
        self._made: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        if service not in self._made:
            self._made[service] = self._clients(service)
        return self._made[service]

    def call(self, service: str, operation: str, *, subject: str = "", **arguments: Any) -> Mapping[str, Any]:
        """One call; RetryableError or RefusedError (AwsRefusedError with AWS's code) where it fails."""
        if not operation.startswith(READS):
            self._before_change(operation, subject)
        with self._translated(service, operation, subject):
            answer: Mapping[str, Any] = getattr(self.client(service), operation)(**arguments)
        return answer

    def pages(self, service: str, operation: str, key: str, *, subject: str = "", **arguments: Any) -> Iterator[Any]:
        """All items under `key` of all pages."""
        with self._translated(service, operation, subject):
            for page in self.client(service).get_paginator(operation).paginate(**arguments):
                yield from page.get(key, ())

    @contextmanager
    def _translated(self, service: str, operation: str, subject: str) -> Iterator[None]:
        try:
            yield
        except FAILURES as error:
            raise translate(error, service=service, operation=operation, region=self.region, subject=subject) from error


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def tag_map(tags: Any) -> dict[str, str]:
    return {tag["Key"]: tag.get("Value", "") for tag in tags or ()}
