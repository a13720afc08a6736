"""One small tree of errors; the Airflow layer translates it in one place (plugins/redstart/operators/outcome.py)."""

from __future__ import annotations


class RedstartError(Exception):
    """Anything Redstart raises on purpose; `str(error)` is a sentence for the person on call."""


class ConfigError(RedstartError):
    """A setting that cannot be used: names the file (or variable), the key and the value it found."""

    def __init__(self, reason: str, *, source: str, key: str = "", value: object = None) -> None:
        place = f"{source}: {key}" if key else source
        shown = f" (found {value!r})" if value is not None else ""
        super().__init__(f"{place}: {reason}{shown}")
        self.source, self.key, self.value = source, key, value


class RetryableError(RedstartError):
    """The world was not ready or did not answer; the same call may succeed after `next_delay_seconds`."""

    def __init__(self, reason: str, *, next_delay_seconds: float = 5.0) -> None:
        super().__init__(reason)
        self.next_delay_seconds = next_delay_seconds


class RefusedError(RedstartError):
    """The answer is no, and asking again will not change it: a person has to decide."""
