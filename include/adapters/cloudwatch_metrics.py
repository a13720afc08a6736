"""The CloudWatch metric store: names of a group's series, and their values on one grid of times.

Works on any boto3 CloudWatch client, which wants `max_pool_connections` >= 4. What its own retries (mode `standard`)
leave unanswered is asked again as long as the caller's patience lasts. Nothing here knows which cloud answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from include.adapters.aws_metric_data import WrongQueryError, as_list, dimensions_of, get_metric_data, list_metrics
from include.adapters.metric_store import (
    PATIENCE_SECONDS,
    NoAnswerError,
    Patience,
    Scope,
    Stat,
    StoreHealth,
    run_at_once,
    stat_by_name,
    whole_steps,
)
from include.canary.series import MetricGrid
from include.errors import ConfigError, RefusedError

QUERIES_PER_CALL = 500
POINTS_PER_CALL = 100_800
CONCURRENCY = 4
_SHORT_STEPS = frozenset({1, 5, 10, 20, 30})
# A call refused for one query is halved until that query stands alone: 9 more calls for each bad name in 500. If
# more than this many calls are refused, it is not a matter of single names.
_MAX_REFUSED_CALLS = 200


@dataclass(frozen=True, eq=False)
class _Query:
    """One series to be read; `row` is its place in the grid's values: (scope, name)."""

    name: str
    namespace: str
    dimensions: Mapping[str, str]
    stat: str
    row: tuple[int, int]


@dataclass
class _Grid:
    """What the calls of one fetch share; calls run in threads, but each writes rows of its own."""

    start: datetime
    step_seconds: int
    values: npt.NDArray[np.float64]
    patience: Patience
    errors: dict[str, str] = field(default_factory=dict)
    unanswered: dict[str, str] = field(default_factory=dict)
    refused_calls: int = 0

    @property
    def points(self) -> int:
        return int(self.values.shape[2])

    @property
    def end(self) -> datetime:
        return self.start + timedelta(seconds=self.step_seconds * self.points)


class CloudWatchMetrics:
    """Reads series through `client`, a boto3 CloudWatch client of one account and region."""

    def __init__(self, client: Any, *, concurrency: int = CONCURRENCY) -> None:
        self._client = client
        self._concurrency = concurrency
        self._health = StoreHealth()

    @property
    def health(self) -> StoreHealth:
        return self._health

    def of_namespace(self, namespace: str) -> CloudWatchNamespace:
        """One namespace as a MetricStore."""
        return CloudWatchNamespace(self, namespace)

    def discover(self, namespace: str, dimensions: Scope, *, patience_seconds: float = PATIENCE_SECONDS) -> list[str]:
        """Sorted names of the series whose dimensions are exactly these; RetryableError if CloudWatch did not answer.

        On AWS a new series is listed up to 15 minutes after its first datum.
        """
        wanted = dict(dimensions)
        patience = Patience(patience_seconds, self._health)
        asked = {"Namespace": namespace, "Dimensions": as_list(wanted)}
        metrics = list_metrics(self._client, patience, **asked)
        return sorted({metric["MetricName"] for metric in metrics if dimensions_of(metric) == wanted})

    def fetch(
        self,
        names: Sequence[str],
        namespace: str,
        scopes: Mapping[str, Scope],
        start: datetime,
        end: datetime,
        step_seconds: int,
        stat: Stat = "Average",
        *,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> MetricGrid:
        """As MetricStore.fetch for the series of one namespace whose dimensions are exactly a scope's.

        `stat` is any of CloudWatch's words. CloudWatch serves steps under 60 s for 3 hours only: older ones are NaN.
        Raises ConfigError for a step that CloudWatch does not know.
        """
        first, points = _whole_steps(start, end, step_seconds)
        values = np.full((len(scopes), len(names), points), np.nan)
        grid = _Grid(first, step_seconds, values, Patience(patience_seconds, self._health))
        stat_of = stat_by_name(stat)
        queries = [
            _Query(name, namespace, dimensions, stat_of(name), (scope_index, name_index))
            for name_index, name in enumerate(names)
            for scope_index, dimensions in enumerate(scopes.values())
        ]
        if points:
            size = max(1, min(QUERIES_PER_CALL, POINTS_PER_CALL // points))
            batches = [queries[index : index + size] for index in range(0, len(queries), size)]
            run_at_once(lambda batch: self._read_batch(batch, grid), batches, self._concurrency, "cloudwatch")
        grid.patience.require_answers(len(names), grid.unanswered, "CloudWatch")
        errors = grid.unanswered | grid.errors
        values[:, [row for row, name in enumerate(names) if name in errors]] = np.nan
        return MetricGrid(tuple(names), tuple(scopes), first, step_seconds, values, errors)

    def _read_batch(self, batch: list[_Query], grid: _Grid) -> None:
        """Read a batch, and what failed of it on CloudWatch's side again while patience lasts."""
        left = batch

        def read_rest() -> None:
            nonlocal left
            failed = self._read_once(left, grid)
            left = list(failed) or left
            if failed:
                self._health.count_incomplete()
                raise NoAnswerError(next(iter(failed.values())))

        try:
            grid.patience.repeat(read_rest)
        except NoAnswerError as error:
            grid.unanswered.update({query.name: str(error) for query in left})

    def _read_once(self, batch: list[_Query], grid: _Grid) -> dict[_Query, str]:
        """The queries that CloudWatch itself failed on, with its words; a wrong one is looked for by halves."""
        queries = [_to_query(f"q{index}", query, grid) for index, query in enumerate(batch)]
        failed: dict[_Query, str] = {}
        try:
            for result in get_metric_data(self._client, queries, grid.start, grid.end, grid.patience):
                _store_result(result, batch[int(result["Id"][1:])], grid, failed)
        except WrongQueryError as error:
            grid.refused_calls += 1
            if grid.refused_calls > _MAX_REFUSED_CALLS:
                raise RefusedError(f"CloudWatch refuses too many queries, the last for: {error}") from error
            if len(batch) == 1:
                grid.errors[batch[0].name] = str(error)
                return {}
            half = len(batch) // 2
            return self._read_once(batch[:half], grid) | self._read_once(batch[half:], grid)
        return failed


@dataclass(frozen=True)
class CloudWatchNamespace:
    """A namespace of CloudWatch as a MetricStore: a scope is the exact dimensions of a group's series."""

    metrics: CloudWatchMetrics
    namespace: str

    @property
    def health(self) -> StoreHealth:
        return self.metrics.health

    def discover(
        self, scope: Scope, start: datetime, end: datetime, *, patience_seconds: float = PATIENCE_SECONDS
    ) -> list[str]:
        """As CloudWatchMetrics.discover: CloudWatch lists names of the last two weeks, whatever the time asked for."""
        del start, end
        return self.metrics.discover(self.namespace, scope, patience_seconds=patience_seconds)

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
        """As CloudWatchMetrics.fetch."""
        return self.metrics.fetch(
            names, self.namespace, scopes, start, end, step_seconds, stat, patience_seconds=patience_seconds
        )


def _whole_steps(start: datetime, end: datetime, step_seconds: int) -> tuple[datetime, int]:
    if step_seconds not in _SHORT_STEPS and (step_seconds <= 0 or step_seconds % 60):
        reason = "must be 1, 5, 10, 20, 30 or a multiple of 60"
        raise ConfigError(reason, source="metric query", key="step_seconds", value=step_seconds)
    return whole_steps(start, end, step_seconds)


def _to_query(query_id: str, query: _Query, grid: _Grid) -> dict[str, Any]:
    metric = {"Namespace": query.namespace, "MetricName": query.name, "Dimensions": as_list(query.dimensions)}
    return {"Id": query_id, "MetricStat": {"Metric": metric, "Period": grid.step_seconds, "Stat": query.stat}}


def _store_result(result: Mapping[str, Any], query: _Query, grid: _Grid, failed: dict[_Query, str]) -> None:
    if result["StatusCode"] in {"InternalError", "Forbidden"}:
        said = " ".join(message.get("Value", "") for message in result.get("Messages", []))
        words = f"{result['StatusCode']} {said}".strip()
        if result["StatusCode"] == "InternalError":
            failed[query] = words
        else:
            grid.errors[query.name] = words
        return
    first = grid.start.timestamp()
    times = np.fromiter((time.timestamp() for time in result["Timestamps"]), np.float64, len(result["Timestamps"]))
    steps = ((times - first) // grid.step_seconds).astype(np.int64)
    inside = (steps >= 0) & (steps < grid.points)
    grid.values[query.row][steps[inside]] = np.asarray(result["Values"], np.float64)[inside]
