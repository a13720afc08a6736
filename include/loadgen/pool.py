"""Kept connections to one target, each carrying one request at a time.

Nothing is ever sent twice. A connection that the peer closed while it was idle is noticed before anything is sent on
it, and the request takes another; once a byte was handed over, whatever happens is that request's outcome.
"""

from __future__ import annotations

import asyncio
import errno
import select
from collections import deque
from typing import Protocol, cast

from include.loadgen.plan import Target
from include.loadgen.response import MalformedError, Response, ResponseReader

CONNECT_SECONDS = 10.0
CLOSED, RESET, REFUSED, MALFORMED = "closed", "reset", "refused", "malformed"


class Exchange:
    """One request from its intended moment (perf_counter) to its outcome; `is_done` once that is known."""

    __slots__ = ("connection", "intended", "is_done", "path", "request")

    def __init__(self, intended: float, path: str, request: bytes) -> None:
        self.intended, self.path, self.request = intended, path, request
        self.is_done = False
        self.connection: Connection | None = None


class Outcomes(Protocol):
    """Who is told what came of an exchange; never told twice of the same one."""

    def answered(self, exchange: Exchange, response: Response) -> None: ...

    def broken(self, exchange: Exchange, kind: str) -> None: ...


class Connection(asyncio.Protocol):
    """One connection of a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._reader = ResponseReader()
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._poll = select.poll()
        self.is_fresh = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one only by its methods
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN | select.POLLRDHUP)
        self._pool.opened(self)

    def is_usable(self) -> bool:
        """Open, and nothing arrived unasked: an idle connection has something to read only when it was closed."""
        return self._transport is not None and not self._transport.is_closing() and not self._poll.poll(0)

    def begin(self, exchange: Exchange) -> None:
        assert self._transport is not None
        self._exchange = exchange
        self.is_fresh = False
        exchange.connection = self
        self._transport.write(exchange.request)

    def drop(self) -> None:
        """Close without waiting, whatever is under way; the pool is told by `connection_lost`."""
        self._exchange = None
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            self.drop()
            return
        try:
            response = self._reader.feed(data)
        except MalformedError:
            self.drop()
            self._pool.outcomes.broken(exchange, MALFORMED)
            return
        if response is None:
            return
        self._exchange = None
        self._pool.outcomes.answered(exchange, response)
        if response.keeps_open:
            self._pool.release(self)
        else:
            self.drop()

    def connection_lost(self, error: Exception | None) -> None:
        exchange, self._exchange = self._exchange, None
        self._transport = None
        self._pool.lost(self)
        if exchange is None:
            return
        response = self._reader.end() if error is None else None
        if response is not None:
            self._pool.outcomes.answered(exchange, response)
        else:
            self._pool.outcomes.broken(exchange, CLOSED if error is None else kind_of(error))


class Pool:
    """At most `limit` connections to `target`; a request that finds none free waits, its time running."""

    def __init__(self, target: Target, limit: int, outcomes: Outcomes) -> None:
        self.target, self.outcomes = target, outcomes
        self._limit = limit
        self._idle: list[Connection] = []
        self._connections: set[Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._waiting: deque[Exchange] = deque()
        self._is_closed = False

    @property
    def open_connections(self) -> int:
        return len(self._connections) + len(self._opening)

    def send(self, exchange: Exchange) -> None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable():
                connection.begin(exchange)
                return
            connection.drop()
        self._waiting.append(exchange)
        self._grow()

    def release(self, connection: Connection) -> None:
        """The connection carries the next request that waits, or is kept."""
        if not connection.is_usable():
            connection.drop()
            return
        exchange = self._next_waiting()
        if exchange is None:
            self._idle.append(connection)
        else:
            connection.begin(exchange)

    def opened(self, connection: Connection) -> None:
        self._connections.add(connection)

    def lost(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if connection.is_fresh:  # a peer that accepts only to close would otherwise be asked again without end
            self._give_up_oldest(CLOSED)
        self._grow()

    def forget_done(self) -> None:
        """Requests that were given up while they waited, oldest first, make room."""
        while self._waiting and self._waiting[0].is_done:
            self._waiting.popleft()

    async def close(self) -> None:
        self._is_closed = True
        for task in list(self._opening):
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        for connection in list(self._connections):
            connection.drop()

    def _next_waiting(self) -> Exchange | None:
        self.forget_done()
        return self._waiting.popleft() if self._waiting else None

    def _grow(self) -> None:
        """One connection being opened for each request that waits, within the limit."""
        self.forget_done()
        while not self._is_closed and len(self._opening) < len(self._waiting) and self.open_connections < self._limit:
            task = asyncio.get_running_loop().create_task(self._open())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, connection = await loop.create_connection(
                    lambda: Connection(self), self.target.host, self.target.port
                )
        except OSError as error:  # TimeoutError is one
            self._give_up_oldest(kind_of(error))
            return
        self.release(connection)

    def _give_up_oldest(self, kind: str) -> None:
        exchange = self._next_waiting()
        if exchange is not None:
            self.outcomes.broken(exchange, kind)


def kind_of(error: Exception) -> str:
    """A word for a transport error, the same for all of its kind."""
    if isinstance(error, ConnectionRefusedError):
        return REFUSED
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return RESET
    number = getattr(error, "errno", None) or 0
    return errno.errorcode.get(number, type(error).__name__).lower()
