"""CloudWatch's two reading calls, page by page, their words for dimensions, and what their errors mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from botocore.parsers import ResponseParserError

from include.adapters.aws_errors import THROTTLED
from include.adapters.metric_store import NoAnswerError, Patience, retry_after_seconds
from include.errors import RefusedError

_WRONG_QUERY = frozenset(
    {
        "ValidationError",
        "ValidationException",
        "InvalidParameterValue",
        "InvalidParameterCombination",
        "MissingParameter",
    }
)
# A gateway's HTML in place of an answer is a ResponseParserError, which is no BotoCoreError.
_NO_ANSWER = (BotoCoreError, ResponseParserError)
_REFUSED = frozenset({"AccessDenied", "AccessDeniedException", "UnrecognizedClientException", "InvalidClientTokenId"})
_TOO_MANY_REQUESTS = 429
_T = TypeVar("_T")


class WrongQueryError(Exception):
    """CloudWatch (or botocore's own check) will not take at least one query of the call."""


def get_metric_data(
    client: Any, queries: list[dict[str, Any]], start: datetime, end: datetime, patience: Patience
) -> Iterator[dict[str, Any]]:
    """Results of all pages; one Id may come on several. A page that fails is asked for again, those before it are not.

    Raises WrongQueryError, RefusedError, NoAnswerError where patience ends.
    """
    token: str | None = None
    while True:
        more = {"NextToken": token} if token else {}
        read = partial(client.get_metric_data, MetricDataQueries=queries, StartTime=start, EndTime=end, **more)
        page = patience.ask(partial(_call, "GetMetricData", client, read))
        yield from page["MetricDataResults"]
        token = page.get("NextToken")
        if not token:
            return


def list_metrics(client: Any, patience: Patience, **asked: Any) -> list[dict[str, Any]]:
    """All pages of ListMetrics as one list. Raises RefusedError, RetryableError where patience ends."""

    def read() -> list[dict[str, Any]]:
        pages = client.get_paginator("list_metrics").paginate(**asked)
        return [metric for page in pages for metric in page["Metrics"]]

    try:
        return patience.ask(lambda: _call("ListMetrics", client, read))
    except WrongQueryError as error:
        raise RefusedError(f"ListMetrics in {client.meta.region_name}: {error}") from error
    except NoAnswerError as error:
        raise patience.away("CloudWatch left the list of metrics", error) from error


def as_list(dimensions: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in dimensions.items()]


def dimensions_of(metric: Mapping[str, Any]) -> dict[str, str]:
    return {dimension["Name"]: dimension["Value"] for dimension in metric.get("Dimensions", [])}


def _call(name: str, client: Any, call: Callable[[], _T]) -> _T:
    try:
        return call()
    except ParamValidationError as error:
        raise WrongQueryError(str(error)) from error
    except ClientError as error:
        raise _translate(error, f"{name} in {client.meta.region_name}: {error}") from error
    except _NO_ANSWER as error:
        raise NoAnswerError(f"{name} in {client.meta.region_name}: {error}") from error


def _translate(error: ClientError, words: str) -> Exception:
    code = error.response["Error"]["Code"]
    if code in _WRONG_QUERY:
        return WrongQueryError(error.response["Error"]["Message"])
    if code in _REFUSED:
        return RefusedError(words)
    about = error.response.get("ResponseMetadata", {})
    return NoAnswerError(
        words,
        is_throttled=code in THROTTLED or about.get("HTTPStatusCode") == _TOO_MANY_REQUESTS,
        retry_after_seconds=retry_after_seconds(about.get("HTTPHeaders", {}).get("retry-after"), datetime.now(UTC)),
    )
