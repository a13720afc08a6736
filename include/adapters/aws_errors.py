"""Calls to AWS with one kind of error: retryable or refused, naming the call, the region and the thing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError
from botocore.parsers import ResponseParserError

from include.errors import RedstartError, RefusedError, RetryableError

ClientFactory = Callable[[str], Any]
"""The boto3 client of a service ("autoscaling", "ec2", "elbv2", "cloudwatch") in the adapter's region."""

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


class AwsRefusedError(RefusedError):
    """AWS's own no; `code` is its error code."""

    def __init__(self, reason: str, *, code: str) -> None:
        super().__init__(reason)
        self.code = code


def translate(error: Exception, *, operation: str, region: str, subject: str) -> RedstartError:
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
        return AwsRefusedError(f"{place}: {code}: {text}", code=code)
    if isinstance(error, ConnectionError | HTTPClientError):
        return RetryableError(f"{place}: no answer ({error})", next_delay_seconds=5.0)
    if isinstance(error, ResponseParserError):  # a 5xx whose body is not AWS's, as load balancers send it
        return RetryableError(f"{place}: an answer that cannot be read ({error})", next_delay_seconds=5.0)
    return RefusedError(f"{place}: {error}")


class AwsCalls:
    """The calls of one region. Clients are made when first used and kept."""

    def __init__(self, region: str, clients: ClientFactory) -> None:
        self.region = region
        self._clients = clients
        self._made: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        if service not in self._made:
            self._made[service] = self._clients(service)
        return self._made[service]

    def call(self, service: str, operation: str, *, subject: str = "", **arguments: Any) -> Mapping[str, Any]:
        """One call; RetryableError or RefusedError (AwsRefusedError with AWS's code) where it fails."""
        try:
            answer: Mapping[str, Any] = getattr(self.client(service), operation)(**arguments)
        except (ClientError, BotoCoreError, ResponseParserError) as error:
            raise translate(error, operation=operation, region=self.region, subject=subject) from error
        return answer

    def pages(self, service: str, operation: str, key: str, *, subject: str = "", **arguments: Any) -> Iterator[Any]:
        """All items under `key` of all pages."""
        try:
            for page in self.client(service).get_paginator(operation).paginate(**arguments):
                yield from page.get(key, ())
        except (ClientError, BotoCoreError, ResponseParserError) as error:
            raise translate(error, operation=operation, region=self.region, subject=subject) from error


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def tag_map(tags: Any) -> dict[str, str]:
    return {tag["Key"]: tag.get("Value", "") for tag in tags or ()}
