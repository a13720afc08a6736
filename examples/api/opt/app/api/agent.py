"""Publishes series to CloudWatch from a thread of its own: a slow or dead metric store never disturbs serving.

What cannot be delivered is dropped and counted, never kept: old gauges are of no use, and memory is.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from api.http_client import exchange
from api.signing import Credentials, sign

TARGET = "GraniteServiceVersion20100801.PutMetricData"
CONTENT_TYPE = "application/x-amz-json-1.0"
DATUMS_PER_CALL = 1000
PENDING_PERIODS = 3
RENEW_BEFORE_SECONDS = 300

_log = logging.getLogger("api.agent")


class Batch(NamedTuple):
    """One period's values of one namespace; `timestamp` is the period's start, in seconds since the epoch."""

    namespace: str
    dimensions: tuple[tuple[str, str], ...]
    timestamp: int
    values: Sequence[tuple[str, float]]


class Agent:
    """`credentials` is asked when needed; `delay_seconds` spreads the instances of a group over the period."""

    def __init__(self, url: str, region: str, credentials: Callable[[], Credentials], delay_seconds: float = 0) -> None:
        self._url, self._region = url, region
        self._ask_credentials = credentials
        self._credentials: Credentials | None = None
        self._delay_seconds = delay_seconds
        self._queue: queue.Queue[Sequence[Batch] | None] = queue.Queue(PENDING_PERIODS)
        self._thread = threading.Thread(target=self._run, name="agent", daemon=True)
        self.dropped = 0
        self._is_silent = False

    def start(self) -> None:
        self._thread.start()

    def publish(self, batches: Sequence[Batch]) -> None:
        """Never waits; dropped when the store has fallen behind."""
        try:
            self._queue.put_nowait(batches)
        except queue.Full:
            self.dropped += sum(len(batch.values) for batch in batches)

    def close(self, limit_seconds: float) -> None:
        """Deliver what is pending, but wait no longer than that."""
        self._delay_seconds = 0
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(limit_seconds)

    def _run(self) -> None:
        while (batches := self._queue.get()) is not None:
            time.sleep(self._delay_seconds)
            for batch in batches:
                for first in range(0, len(batch.values), DATUMS_PER_CALL):
                    self._send(batch, batch.values[first : first + DATUMS_PER_CALL])

    def _send(self, batch: Batch, values: Sequence[tuple[str, float]]) -> None:
        try:
            status, answer = self._put(pack(batch, values))
        except Exception as error:  # whatever happens here, serving goes on
            status, answer = 0, repr(error).encode()
        if status == 200:
            self._is_silent = False
            return
        self.dropped += len(values)
        self._credentials = None
        if not self._is_silent:  # once per outage
            self._is_silent = True
            _log.warning("metrics are not delivered: %s %s", status, answer[:200])

    def _put(self, body: bytes) -> tuple[int, bytes]:
        now = time.time()
        if self._credentials is None or self._credentials.expires_at - now < RENEW_BEFORE_SECONDS:
            self._credentials = self._ask_credentials()
        headers = {"content-type": CONTENT_TYPE, "content-encoding": "gzip", "x-amz-target": TARGET}
        signed = sign(self._url, headers, body, self._credentials, self._region, "monitoring", now)
        return exchange("POST", self._url, signed, body)


def pack(batch: Batch, values: Sequence[tuple[str, float]]) -> bytes:
    """A PutMetricData request's body, gzip; written by hand, since a thousand dictionaries would cost 5 ms."""
    dimensions = json.dumps([{"Name": name, "Value": value} for name, value in batch.dimensions])
    rest = f',"Dimensions":{dimensions},"Timestamp":{batch.timestamp},"StorageResolution":1}}'
    data = ",".join([f'{{"MetricName":"{name}","Value":{value:.6g}{rest}' for name, value in values])
    text = f'{{"Namespace":{json.dumps(batch.namespace)},"MetricData":[{data}]}}'
    packer = zlib.compressobj(1, wbits=31)
    return packer.compress(text.encode()) + packer.flush()
