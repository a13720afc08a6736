"""HTTP/1.1 on one connection: requests are read, and answered in their order, for as long as the client likes.

An idle connection is not closed before IDLE_SECONDS, so that a router that keeps connections never sends a request
into one that is just being closed.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import NamedTuple, Protocol

IDLE_SECONDS = 130.0
HEAD_LIMIT_BYTES = 16_384
BODY_LIMIT_BYTES = 1 << 20
REASONS = {
    200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 411: "Length Required",
    413: "Content Too Large", 431: "Request Header Fields Too Large", 500: "Internal Server Error",
    503: "Service Unavailable",
}  # fmt: skip


class Request(NamedTuple):
    """`began` is when its last byte was read (perf_counter)."""

    method: str
    path: str
    began: float


class Answer(NamedTuple):
    status: int
    body: bytes


class Application(Protocol):
    is_stopping: bool
    served_by: bytes

    async def respond(self, request: Request) -> Answer: ...

    def opened(self, connection: Connection) -> None: ...

    def closed(self, connection: Connection) -> None: ...


class Malformed(Exception):
    """Not a request that can be answered; the connection ends after `status`."""

    def __init__(self, status: int) -> None:
        super().__init__(REASONS[status])
        self.status = status


class Connection(asyncio.Protocol):
    """One client's connection; one request of it is worked on at a time, the next waits in the buffer."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self.used_at = perf_counter()

    @property
    def is_idle(self) -> bool:
        return self._task is None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._application.opened(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._application.closed(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._task is None:
            self._next()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _next(self) -> None:
        """Begin with the next whole request in the buffer, if there is one."""
        try:
            found = take_request(self._buffer)
        except Malformed as problem:
            self._send(Answer(problem.status, b""), is_last=True)
            return
        if found is not None:
            request, wants_close = found
            self._task = asyncio.get_running_loop().create_task(self._answer(request, wants_close))

    async def _answer(self, request: Request, wants_close: bool) -> None:
        answer = await self._application.respond(request)
        self._task = None
        self.used_at = perf_counter()
        is_last = wants_close or self._application.is_stopping
        self._send(answer, is_last=is_last, without_body=request.method == "HEAD")
        if self._buffer and not is_last:
            self._next()

    def _send(self, answer: Answer, *, is_last: bool, without_body: bool = False) -> None:
        if self._transport is None:
            return
        self._transport.write(
            b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nx-served-by: %b\r\n%b\r\n%b"
            % (
                answer.status,
                REASONS[answer.status].encode(),
                len(answer.body),
                self._application.served_by,
                b"connection: close\r\n" if is_last else b"",
                b"" if without_body else answer.body,
            )
        )
        if is_last:
            self._transport.close()


def take_request(buffer: bytearray) -> tuple[Request, bool] | None:
    """Remove the first whole request from `buffer`: it, and whether the client wants the connection closed.

    None while it is not whole. Bodies are read past: no endpoint uses one. Raises Malformed.
    """
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        if len(buffer) > HEAD_LIMIT_BYTES:
            raise Malformed(431)
        return None
    head = bytes(buffer[:end])
    line, _, fields = head.partition(b"\r\n")
    words = line.split(b" ")
    if len(words) != 3 or not words[2].startswith(b"HTTP/1.") or not words[1].startswith(b"/"):
        raise Malformed(400)
    lower = b"\r\n" + fields.lower()
    if b"\r\ntransfer-encoding:" in lower:
        raise Malformed(411)
    whole = end + 4 + _content_length(lower)
    if len(buffer) < whole:
        return None
    del buffer[:whole]
    wants_close = words[2] == b"HTTP/1.0" or b"\r\nconnection: close" in lower
    return Request(words[0].decode("latin-1"), words[1].decode("latin-1"), perf_counter()), wants_close


def _content_length(lower: bytes) -> int:
    _, found, rest = lower.partition(b"\r\ncontent-length:")
    if not found:
        return 0
    value = rest.split(b"\r\n", 1)[0].strip()
    if not value.isdigit():
        raise Malformed(400)
    if int(value) > BODY_LIMIT_BYTES:
        raise Malformed(413)
    return int(value)
