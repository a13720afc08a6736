"""What every metric store offers, and how a store that throttles or fails is asked again.

A store answers for each name on its own: a wrong query fails its metric, a store that throttles is asked again with
back-off, and only a store that stays away fails a fetch. `StoreHealth` counts it apart from what was measured.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol, TypeVar

import tenacity

from include.canary.series import MetricGrid
from include.errors import ConfigError, RetryableError

PATIENCE_SECONDS = 120.0
Scope = Mapping[str, str]
Stat = str | Callable[[str], str]

_FIRST_WAIT_SECONDS = 0.25
_LONGEST_WAIT_SECONDS = 15.0
_NEXT_TRY_SECONDS = 30.0
# So many failed calls one after the other, of whatever names, and the time is up: the rest is not asked at all.
_AWAY_AFTER_FAILURES = 8
# More unanswered names than this are no matter of single names.
_AWAY_SHARE = 0.5
_T = TypeVar("_T")


class MetricStore(Protocol):
    """Names and values of groups' series. A scope is the exact labels (dimensions) of one group.

    `patience_seconds` bounds how long calls that fail are made again; a store that answers is read to the end.
    """

    @property
    def health(self) -> StoreHealth:
        """What went wrong on the way since the store was made."""

    def discover(
        self, scope: Scope, start: datetime, end: datetime, *, patience_seconds: float = PATIENCE_SECONDS
    ) -> list[str]:
        """Sorted names of the scope's series with data in [start, end), as far as the store can tell."""

    def fetch(
        self,
        names: Sequence[str],
        scopes: Mapping[str, Scope],
        start: datetime,
        end: datetime,
        step_seconds: int,
        stat: Stat = "Average",
        *,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> MetricGrid:
        """Every name in every scope (label -> labels) over the whole steps inside [start, end), NaN for gaps.

        Steps lie on multiples of `step_seconds` since the epoch. `stat` (Average, Sum, Minimum, Maximum) says what
        to make of a step's samples and a group's instances, for all names or name by name. A name that was refused
        or stayed unanswered in any scope is NaN in all and stands in `errors`. Raises ConfigError for what cannot be
        asked, RefusedError where the store refuses altogether, RetryableError where it stays away.
        """


class NoAnswerError(Exception):
    """One call without a usable answer: throttled, failed on the other side, or not reached. Worth asking again."""

    def __init__(self, reason: str, *, is_throttled: bool = False, retry_after_seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.is_throttled, self.retry_after_seconds = is_throttled, retry_after_seconds


@dataclass
class StoreHealth:
    """How a store behaved: calls made, how many failed (of these throttled) or left names out, names never answered."""

    calls: int = 0
    failed: int = 0
    throttled: int = 0
    incomplete: int = 0
    unanswered: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def count_call(self, error: NoAnswerError | None = None) -> None:
        with self._lock:
            self.calls += 1
            self.failed += error is not None
            self.throttled += error is not None and error.is_throttled

    def count_incomplete(self) -> None:
        with self._lock:
            self.incomplete += 1

    def describe(self) -> str:
        """A sentence for people; empty where the store answered every call at once."""
        if not (self.failed or self.incomplete or self.unanswered):
            return ""
        words = f"{self.failed} of {self.calls} calls to the metric store failed"
        if self.throttled:
            words += f" ({self.throttled} were throttled)"
        if self.incomplete:
            words += f"; {self.incomplete} answers left metrics out"
        if self.unanswered:
            words += f"; unanswered: {_some_of(self.unanswered)}"
        return words


class Patience:
    """The time that one fetch has for asking again, shared by its threads: a store that throttles throttles all."""

    def __init__(
        self,
        seconds: float,
        health: StoreHealth,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.seconds, self.health = seconds, health
        self._clock, self._sleep = clock, sleep
        self._deadline = clock() + seconds
        self._not_before = 0.0
        self._failures_in_a_row = 0
        self._backoff = tenacity.wait_exponential_jitter(
            _FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS, jitter=_FIRST_WAIT_SECONDS
        )

    def ask(self, call: Callable[[], _T]) -> _T:
        """What `call` returns, however often it takes; the last NoAnswerError where time runs out."""
        return self.repeat(lambda: self._once(call))

    def repeat(self, work: Callable[[], _T]) -> _T:
        """As `ask` for work that is made of calls: it is done again as a whole, and not counted itself."""
        again = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(NoAnswerError),
            wait=self._next_wait,
            stop=self._is_over,
            sleep=self._sleep,
            reraise=True,
        )
        return again(work)

    def require_answers(self, names: int, unanswered: Mapping[str, str], store: str) -> None:
        """Note the names that stayed unanswered; RetryableError where these are so many that the store is away."""
        self.health.unanswered.update(unanswered)
        if len(unanswered) > names * _AWAY_SHARE:
            raise self.away(f"{store} left {len(unanswered)} of {names} metrics", next(iter(unanswered.values())))

    def away(self, what: str, words: object) -> RetryableError:
        """The error for a store that stayed away: `what` it left unanswered, and its last words."""
        reason = f"{what} unanswered for {self.seconds:g} s: {words}"
        return RetryableError(reason, next_delay_seconds=max(_NEXT_TRY_SECONDS, self._not_before - self._clock()))

    def _once(self, call: Callable[[], _T]) -> _T:
        if self._clock() >= self._deadline and self._failures_in_a_row >= _AWAY_AFTER_FAILURES:
            raise NoAnswerError(f"not asked, since the store failed {self._failures_in_a_row} times in a row")
        if (held := min(self._not_before, self._deadline) - self._clock()) > 0:
            self._sleep(held)
        try:
            answer = call()
        except NoAnswerError as error:
            self.health.count_call(error)
            self._failures_in_a_row += 1
            self._not_before = max(self._not_before, self._clock() + error.retry_after_seconds)
            raise
        self.health.count_call()
        self._failures_in_a_row = 0
        return answer

    def _next_wait(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked_for = error.retry_after_seconds if isinstance(error, NoAnswerError) else 0.0
        return max(asked_for, self._backoff(state))

    def _is_over(self, state: tenacity.RetryCallState) -> bool:
        return self._clock() + state.upcoming_sleep >= self._deadline


def whole_steps(start: datetime, end: datetime, step_seconds: int) -> tuple[datetime, int]:
    """The first whole step inside [start, end), on a multiple of `step_seconds` since the epoch, and their number.

    Raises ConfigError for times without zone or a step that is not over 0.
    """
    for key, value in (("start", start), ("end", end)):
        if value.tzinfo is None:
            raise ConfigError("needs a time zone", source="metric query", key=key, value=value.isoformat())
    if step_seconds <= 0:
        raise ConfigError("must be over 0", source="metric query", key="step_seconds", value=step_seconds)
    first = -(-start.timestamp() // step_seconds) * step_seconds
    return datetime.fromtimestamp(first, UTC), int(max(0, (end.timestamp() - first) // step_seconds))


def stat_by_name(stat: Stat) -> Callable[[str], str]:
    """The statistic of each name."""
    return stat if callable(stat) else lambda _name: stat


def run_at_once(work: Callable[[_T], None], items: Iterable[_T], concurrency: int, thread_name: str) -> None:
    """`work` for every item, so many at once; after the first error no further item is begun."""
    has_failed = threading.Event()

    def begin(item: _T) -> None:
        if has_failed.is_set():
            return
        try:
            work(item)
        except BaseException:
            has_failed.set()
            raise

    with ThreadPoolExecutor(concurrency, thread_name_prefix=thread_name) as pool:
        list(pool.map(begin, items))


def retry_after_seconds(header: str | None, now: datetime) -> float:
    """The seconds that a Retry-After header (RFC 9110 10.2.3: seconds or a date) asks for; 0 where it says nothing."""
    if not header:
        return 0.0
    try:
        if header.strip().isdigit():
            return float(header)
        moment = parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    if moment.tzinfo is None:  # "-0000" is UTC as well
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def _some_of(names: Iterable[str], most: int = 5) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
