"""The Prometheus metric store (or what speaks its HTTP API): names of a group's series, and their values on a grid."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Self

import httpx
import numpy as np

from include.adapters.metric_store import (
    PATIENCE_SECONDS,
    NoAnswerError,
    Patience,
    Scope,
    Stat,
    StoreHealth,
    retry_after_seconds,
    run_at_once,
    stat_by_name,
    whole_steps,
)
from include.adapters.prometheus_query import (
    Floats,
    PrometheusSeries,
    group_query,
    is_counter,
    read_matrix,
    scope_labels,
    select,
)
from include.canary.series import MetricGrid
from include.errors import ConfigError, RefusedError

CONCURRENCY = 4
POINTS_PER_CALL = 11_000
TIMEOUT_SECONDS = 30.0
# A sample on a step's very end belongs to the next step; Prometheus 2 takes both ends of a range in, 3 only the later.
_LAST_MOMENT_SECONDS = 0.001
# Names' endings say nearly as much as the metadata.
_KINDS_PATIENCE_SECONDS = 5.0
_WRONG_QUERY = frozenset({400, 422})
_NOT_NOW = frozenset({408, 425, 429})
_NEVER = frozenset({501, 505})


@dataclass
class _Fetch:
    """What the threads of one fetch share; each writes rows of its own."""

    scopes: Sequence[Scope]
    start: datetime
    step_seconds: int
    values: Floats
    patience: Patience
    errors: dict[str, str] = field(default_factory=dict)
    unanswered: dict[str, str] = field(default_factory=dict)


class PrometheusMetrics:
    """Reads series over HTTP, a few queries at once, one for each name; `client` may bring its own transport.

    `token` is sent as bearer, `login` (user, password) as basic auth. Raises ConfigError for an address that is none.
    A context manager: it holds connections.
    """

    def __init__(
        self,
        base_url: str,
        *,
        token: str | None = None,
        login: tuple[str, str] | None = None,
        concurrency: int = CONCURRENCY,
        timeout_seconds: float = TIMEOUT_SECONDS,
        client: httpx.Client | None = None,
    ) -> None:
        self._url = _to_url(base_url)
        # Compression costs a server on the same network more than it saves.
        self._headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {token}"} if token else {})
        limits = httpx.Limits(max_connections=concurrency)
        self._client = client or httpx.Client(timeout=timeout_seconds, limits=limits, auth=login)
        self._concurrency = concurrency
        self._health = StoreHealth()
        self._kinds: Mapping[str, str] | None = None
        self._lock = threading.Lock()

    @property
    def health(self) -> StoreHealth:
        return self._health

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def discover(
        self, scope: Scope, start: datetime, end: datetime, *, patience_seconds: float = PATIENCE_SECONDS
    ) -> list[str]:
        """Sorted names with series of exactly these label values; Prometheus looks by blocks of about two hours."""
        asked = {"match[]": select(scope), "start": _seconds(start), "end": _seconds(end)}
        patience = Patience(patience_seconds, self._health)
        return sorted(self._ask_alone(patience, "GET", "/api/v1/label/__name__/values", asked, read=_read_names))

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
        """As MetricStore.fetch. A counter's value is its increase in the step, as Prometheus extrapolates it.

        An increase needs two samples: `step_seconds` has to be at least twice the scrape interval. Prometheus keeps
        no data for a step without samples: it is NaN. Spans of over 11,000 steps are read in pieces.
        """
        first, points = whole_steps(start, end, step_seconds)
        values = np.full((len(scopes), len(names), points), np.nan)
        wanted = tuple(scopes.values())
        scope_labels(wanted)
        queries: list[tuple[int, str, str]] = []
        if points and names and wanted:
            kinds, stat_of = self._read_kinds(patience_seconds), stat_by_name(stat)
            for row, name in enumerate(names):
                counts = is_counter(name, kinds)
                queries.append((row, name, group_query(name, wanted, step_seconds, stat_of(name), counts=counts)))
        patience = Patience(patience_seconds, self._health)
        fetch = _Fetch(wanted, first, step_seconds, values, patience)
        run_at_once(lambda query: self._read_name(fetch, *query), queries, self._concurrency, "prometheus")
        patience.require_answers(len(names), fetch.unanswered, f"Prometheus at {self._url}")
        errors = fetch.errors | fetch.unanswered
        values[:, [row for row, name in enumerate(names) if name in errors]] = np.nan
        return MetricGrid(tuple(names), tuple(scopes), first, step_seconds, values, errors)

    def query(
        self,
        promql: str,
        start: datetime,
        end: datetime,
        step_seconds: int,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> list[PrometheusSeries]:
        """The series of one query of any kind, evaluated at `start`, `start` + step ... up to and with `end`.

        Raises RefusedError with Prometheus' words for a wrong query, RetryableError where it stays away.
        """
        asked = {"query": promql, "start": _seconds(start), "end": _seconds(end), "step": step_seconds}
        patience = Patience(patience_seconds, self._health)
        return self._ask_alone(patience, "POST", "/api/v1/query_range", asked, read=read_matrix)

    def _read_name(self, fetch: _Fetch, row: int, name: str, query: str) -> None:
        points = fetch.values.shape[2]
        try:
            for begin in range(0, points, POINTS_PER_CALL):
                self._read_piece(fetch, row, query, begin, min(points, begin + POINTS_PER_CALL))
        except _WrongQueryError as error:
            fetch.errors[name] = str(error)
        except NoAnswerError as error:
            fetch.unanswered[name] = str(error)

    def _read_piece(self, fetch: _Fetch, row: int, query: str, begin: int, end: int) -> None:
        """Points `begin` to `end` of one name: point k is evaluated at the last moment of its step."""
        first = fetch.start.timestamp() + fetch.step_seconds - _LAST_MOMENT_SECONDS
        asked = {
            "query": query,
            "start": f"{first + begin * fetch.step_seconds:.3f}",
            "end": f"{first + (end - 1) * fetch.step_seconds:.3f}",
            "step": fetch.step_seconds,
        }
        labels = scope_labels(fetch.scopes)
        places = {tuple(scope[label] for label in labels): place for place, scope in enumerate(fetch.scopes)}
        call = partial(self._call, "POST", "/api/v1/query_range", asked, read=read_matrix)
        for series in fetch.patience.ask(call):
            place = places.get(tuple(series.tags.get(label, "") for label in labels))
            if place is not None:
                steps = np.rint((series.times - first) / fetch.step_seconds).astype(np.int64)
                inside = (steps >= begin) & (steps < end)
                fetch.values[place, row, steps[inside]] = series.values[inside]

    def _read_kinds(self, patience_seconds: float) -> Mapping[str, str]:
        """Types of the names that the server has metadata of, asked for once; a server may well have none."""
        with self._lock:
            if self._kinds is None:
                patience = Patience(min(patience_seconds, _KINDS_PATIENCE_SECONDS), self._health)
                try:
                    self._kinds = patience.ask(partial(self._call, "GET", "/api/v1/metadata", {}, read=_read_kinds))
                except (_WrongQueryError, RefusedError):
                    self._kinds = {}  # some that speak the API have no metadata; what is truly wrong shows again
                except NoAnswerError:
                    return {}
            return self._kinds

    def _ask_alone(self, patience: Patience, method: str, path: str, asked: Mapping[str, Any], *, read: Any) -> Any:
        try:
            return patience.ask(partial(self._call, method, path, asked, read=read))
        except _WrongQueryError as error:
            raise RefusedError(f"Prometheus at {self._url} refuses {path}: {error}") from error
        except NoAnswerError as error:
            raise patience.away(f"Prometheus at {self._url} left {path}", error) from error

    def _call(self, method: str, path: str, asked: Mapping[str, Any], *, read: Any) -> Any:
        sent: dict[str, Any] = {"params": asked} if method == "GET" else {"data": asked}
        try:
            answer = self._client.request(method, f"{self._url}{path}", headers=self._headers, **sent)
        except httpx.HTTPError as error:
            raise NoAnswerError(f"{type(error).__name__} {error}".strip()) from error
        if answer.status_code != httpx.codes.OK:
            self._refuse(answer, path)
        try:
            return read(answer.content)
        except (ValueError, TypeError, KeyError) as error:
            raise NoAnswerError(f"an answer that cannot be read ({error}): {answer.text[:80]!r}") from error

    def _refuse(self, answer: httpx.Response, path: str) -> None:
        words = f"{answer.status_code} {_words_of(answer)}".strip()
        if answer.status_code in _WRONG_QUERY:
            raise _WrongQueryError(words)
        if answer.status_code in _NOT_NOW or (answer.is_server_error and answer.status_code not in _NEVER):
            wait = retry_after_seconds(answer.headers.get("Retry-After"), datetime.now(UTC))
            throttled = answer.status_code == httpx.codes.TOO_MANY_REQUESTS
            raise NoAnswerError(words, is_throttled=throttled, retry_after_seconds=wait)
        raise RefusedError(f"Prometheus at {self._url} refuses {path}: {words}")


class _WrongQueryError(Exception):
    """Prometheus will not take, or cannot carry out, this one query."""


def _to_url(base_url: str) -> str:
    """The address without the last slash; who logs in is no part of it, since it stands in every message."""
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise ConfigError(f"is no address: {error}", source="prometheus", key="base_url", value=base_url) from error
    if url.userinfo:
        raise ConfigError("must not hold a password; give it as login", source="prometheus", key="base_url")
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigError("must begin with http:// or https://", source="prometheus", key="base_url", value=base_url)
    return str(url).rstrip("/")


def _seconds(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ConfigError("needs a time zone", source="metric query", key="time", value=moment.isoformat())
    return f"{moment.timestamp():.3f}"


def _read_names(body: bytes) -> list[str]:
    names = json.loads(body)["data"]
    if not isinstance(names, list):
        raise ValueError("no list of names")
    return names


def _read_kinds(body: bytes) -> dict[str, str]:
    return {name: entries[0]["type"] for name, entries in json.loads(body)["data"].items() if entries}


def _words_of(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:200].strip() or answer.reason_phrase
