"""The one place where the product's errors become Airflow's: what fails for good, what is tried again, and when."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from airflow.sdk import ExceptionRetryPolicy, RetryDecision, RetryRule
from airflow.sdk.exceptions import AirflowFailException

from include.errors import ConfigError, RefusedError, RetryableError

RETRIES = 4
RETRY_DELAY = timedelta(seconds=15)


@contextmanager
def translated() -> Iterator[None]:
    """Refused and misconfigured: failed at once, with the reason. Everything else keeps its retries."""
    try:
        yield
    except (ConfigError, RefusedError) as error:
        raise AirflowFailException(str(error)) from error


class ErrorsOwnDelay(ExceptionRetryPolicy):
    """A RetryableError is tried again after the delay it carries; the task's own `retries` still bound it."""

    def __init__(self) -> None:
        super().__init__(rules=[RetryRule(exception=RetryableError)])

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: Any = None) -> RetryDecision:
        if isinstance(exception, RetryableError):
            delay = timedelta(seconds=exception.next_delay_seconds)
            return RetryDecision.retry(delay, reason=str(exception)[:500])
        return RetryDecision.default()


def with_defaults(of: type, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a task of class `of`: retries as all our tasks have them, documented by its docstring."""
    ours = {
        "retries": RETRIES,
        "retry_delay": RETRY_DELAY,
        "retry_policy": ErrorsOwnDelay(),
        "doc_md": inspect.getdoc(of),
    }
    return {**ours, **kwargs}
