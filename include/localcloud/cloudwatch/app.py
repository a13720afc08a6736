"""CloudWatch as a WSGI application: all of it is answered here, nothing by moto."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from include.localcloud.cloudwatch.alarms import Alarms
from include.localcloud.cloudwatch.ingest import read_put
from include.localcloud.cloudwatch.listing import list_metrics
from include.localcloud.cloudwatch.metric_statistics import get_metric_statistics
from include.localcloud.cloudwatch.protocol import CONTENT_TYPE, ApiError, ApiRequest, read_request, render_error
from include.localcloud.cloudwatch.queries import get_metric_data
from include.localcloud.cloudwatch.store import DEFAULT_MAX_SAMPLES, MetricStore, Row, sort_dimensions
from include.localcloud.seams import Clock

_log = logging.getLogger(__name__)
StartResponse = Callable[[str, list[tuple[str, str]]], object]


class CloudWatch:
    """WSGI callable for the service `monitoring`, and the door for publishers inside the process.

    `account_of` maps an access key to an account id; the region is the credential scope's. Requests may come from
    many threads at once and need no lock around them. At most `max_samples` samples are kept (see store).
    """

    def __init__(
        self, clock: Clock, account_of: Callable[[str], str], *, max_samples: int = DEFAULT_MAX_SAMPLES
    ) -> None:
        self._clock = clock
        self._account_of = account_of
        self.store = MetricStore(max_samples=max_samples)
        self._alarms = Alarms()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        try:
            body = self._answer(read_request(environ))
            status, headers = "200 OK", [("Content-Type", CONTENT_TYPE)]
        except ApiError as error:
            status, headers, body = render_error(error)
        except (TypeError, AttributeError, KeyError, ValueError) as error:
            # Wrongly shaped JSON surfaces as these deep inside; a client must get an answer that boto3 can read.
            _log.warning("malformed CloudWatch request: %r", error, exc_info=True)
            malformed = ApiError("SerializationException", f"the request is not shaped as CloudWatch's: {error!r}")
            status, headers, body = render_error(malformed)
        start_response(status, [*headers, ("Content-Length", str(len(body)))])
        return [body]

    def put(
        self,
        account: str,
        region: str,
        namespace: str,
        name: str,
        dimensions: Mapping[str, str],
        timestamp: float,
        values: Sequence[float],
        counts: Sequence[float] | None = None,
        *,
        unit: str = "None",
    ) -> None:
        """Publish at 1 s resolution from inside the process; `counts` (> 0, as many as values) defaults to ones.

        Unlike the API it may write to AWS's own namespaces. Raises ValueError for counts that do not fit.
        """
        if counts is not None and (len(counts) != len(values) or min(counts, default=1) <= 0):
            raise ValueError(f"{name}: {len(values)} values with counts {counts!r}")
        row = Row((name, sort_dimensions(dimensions)), int(timestamp), values, counts, unit, is_high_resolution=True)
        self.store.partition(account, region, namespace).append([row])
        self.store.sweep_if_due(self._clock.now())

    def reset(self) -> None:
        """Forget everything."""
        self.store.reset()
        self._alarms.reset()

    def _answer(self, request: ApiRequest) -> bytes:
        account, region, parameters = self._account_of(request.access_key), request.region, request.parameters
        now = self._clock.now()
        if request.operation == "PutMetricData":
            namespace, rows = read_put(parameters, now)
            self.store.partition(account, region, namespace).append(rows)
            self.store.sweep_if_due(now)
            return b"{}"
        if request.operation == "GetMetricData":
            return get_metric_data(self.store, account, region, parameters, now)
        return json.dumps(self._answer_rarely(request, account, now)).encode()

    def _answer_rarely(self, request: ApiRequest, account: str, now: float) -> dict[str, Any]:
        region, parameters = request.region, request.parameters
        match request.operation:
            case "GetMetricStatistics":
                return get_metric_statistics(self.store, account, region, parameters, now)
            case "ListMetrics":
                return list_metrics(self.store, account, region, parameters, now)
            case "PutMetricAlarm":
                self._alarms.put(account, region, parameters, now)
            case "DescribeAlarms":
                return self._alarms.describe(account, region, parameters)
            case "DeleteAlarms":
                self._alarms.delete(account, region, parameters)
            case other:
                raise ApiError("UnknownOperationException", f"the local cloud's CloudWatch has no {other}")
        return {}
