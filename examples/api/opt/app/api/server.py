"""Requests to answers: a fixed number at a time, every one counted, none able to end the service."""

from __future__ import annotations

import asyncio
import logging
from time import perf_counter

from api.connection import IDLE_SECONDS, Answer, Connection, Request
from api.endpoints import Endpoint, Endpoints, NotFound
from api.metrics import RequestTally
from api.runtime import Load

PLACES = 64
QUEUE_LIMIT = 512
HEALTH_PATH = "/healthcheck"
METHODS = {"GET", "HEAD", "POST"}
LOG_PERIOD_SECONDS = 10.0

_log = logging.getLogger("api")


class Server:
    """The application behind all connections; `served_by` goes into every answer's x-served-by."""

    def __init__(self, endpoints: Endpoints, served_by: str) -> None:
        self.endpoints = endpoints
        self.served_by = served_by.encode("latin-1")
        self.tally = RequestTally()
        self.load = Load()
        self.connections: set[Connection] = set()
        self.is_stopping = False
        self._places = asyncio.Semaphore(PLACES)
        self._logged_at = -LOG_PERIOD_SECONDS

    def opened(self, connection: Connection) -> None:
        self.connections.add(connection)

    def closed(self, connection: Connection) -> None:
        self.connections.discard(connection)

    async def respond(self, request: Request) -> Answer:
        """Health checks are neither counted nor queued: they say whether this process can answer at all."""
        if request.path == HEALTH_PATH:
            return Answer(200, b'{"status":"up"}')
        if request.method not in METHODS:
            return self._count(None, request, Answer(405, b""))
        try:
            endpoint, argument = self.endpoints.find(request.path)
        except NotFound:
            return self._count(None, request, Answer(404, b'{"error":"no such page"}'))
        if self.load.waiting >= QUEUE_LIMIT:
            self.load.rejected += 1
            return self._count(endpoint, request, Answer(503, b'{"error":"too busy"}'))
        return self._count(endpoint, request, await self._work(endpoint, argument, request))

    async def _work(self, endpoint: Endpoint, argument: str, request: Request) -> Answer:
        self.load.queue()
        async with self._places:
            self.load.leave_queue(perf_counter() - request.began)
            self.load.begin()
            try:
                return Answer(200, await self.endpoints.answer(endpoint, argument))
            except NotFound:
                return Answer(404, b'{"error":"no such title"}')
            except Exception as error:  # a page that cannot be made must not end the service
                self.tally.exceptions += 1
                endpoint.tally.exceptions += 1
                self._log_rarely(request, error)
                return Answer(500, b'{"error":"internal"}')
            finally:
                self.load.end()

    def _count(self, endpoint: Endpoint | None, request: Request, answer: Answer) -> Answer:
        latency_ms = (perf_counter() - request.began) * 1000
        self.tally.add(answer.status, latency_ms, len(answer.body))
        if endpoint is not None:
            endpoint.tally.add(answer.status, latency_ms, len(answer.body))
        return answer

    def _log_rarely(self, request: Request, error: Exception) -> None:
        """One traceback in ten seconds: a failing page must not fill the disk."""
        if perf_counter() - self._logged_at > LOG_PERIOD_SECONDS:
            self._logged_at = perf_counter()
            _log.error("%s %s failed", request.method, request.path, exc_info=error)

    def close_idle(self, idle_seconds: float = IDLE_SECONDS) -> None:
        """Close connections that nobody used for so long."""
        limit = perf_counter() - idle_seconds
        for connection in [one for one in self.connections if one.is_idle and one.used_at < limit]:
            connection.close()

    async def drain(self, *, quiet_seconds: float, limit_seconds: float) -> None:
        """Answer what still comes (and say goodbye with each answer) until it is quiet, then close all."""
        self.is_stopping = True
        began = perf_counter()
        while perf_counter() - began < limit_seconds:
            last = max((one.used_at for one in self.connections), default=began)
            is_busy = any(not one.is_idle for one in self.connections)
            if not is_busy and (not self.connections or perf_counter() - max(last, began) > quiet_seconds):
                break
            await asyncio.sleep(0.05)
        for connection in list(self.connections):
            connection.close()
