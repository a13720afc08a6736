"""The traffic service's own small HTTP server on a loopback port: GET /counters, GET /health, POST /rps."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Protocol

from include.errors import RedstartError, RefusedError

HEAD_SECONDS = 5.0
BODY_LIMIT_BYTES = 65_536
REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Content Too Large",
    503: "Service Unavailable",
}


class Board(Protocol):
    """What is behind the paths."""

    def health(self) -> tuple[bool, Mapping[str, Any]]: ...

    def counters(self) -> Mapping[str, Any]: ...

    def set_rps(self, wished: Mapping[str, object]) -> Mapping[str, float]:
        """RefusedError for an unknown region or what is no rate; nothing was changed then."""


async def serve(board: Board, port: int) -> asyncio.Server:
    """Listens on 127.0.0.1; RedstartError when the port is taken."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                status, content = await _answer(board, reader)
                body = json.dumps(content).encode()
                head = f"HTTP/1.1 {status} {REASONS[status]}\r\ncontent-type: application/json\r\n"
                writer.write(f"{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body)
                await writer.drain()
        except (OSError, TimeoutError, EOFError, asyncio.LimitOverrunError):
            pass  # the client is gone, or never said what it wants
        finally:
            writer.close()

    try:
        return await asyncio.start_server(answer, "127.0.0.1", port)
    except OSError as error:
        raise RedstartError(f"127.0.0.1:{port} is in use ({error.strerror}); see REDSTART_TRAFFIC_PORT") from error


async def _answer(board: Board, reader: asyncio.StreamReader) -> tuple[int, Mapping[str, Any]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    method, _, rest = head.partition(" ")
    match method, rest.split(" ")[0].partition("?")[0]:
        case "GET", "/health":
            is_up, content = board.health()
            return (200 if is_up else 503), content
        case "GET", "/counters":
            return 200, board.counters()
        case "POST", "/rps":
            return await _change_rps(board, head, reader)
        case _, "/health" | "/counters" | "/rps":
            return 405, {"error": f"{method} is not for this path"}
        case _:
            return 404, {"error": "there are GET /counters, GET /health and POST /rps"}


async def _change_rps(board: Board, head: str, reader: asyncio.StreamReader) -> tuple[int, Mapping[str, Any]]:
    length = head.lower().partition("content-length:")[2].split("\r\n")[0].strip()
    if not length.isdecimal() or int(length) > BODY_LIMIT_BYTES:
        return 413, {"error": "a body of known, small length is needed"}
    try:
        wished = json.loads(await reader.readexactly(int(length)))
        if not isinstance(wished, dict):
            raise RefusedError("an object of region: requests per second is needed")
        return 200, {"rps": board.set_rps(wished)}
    except (RefusedError, ValueError) as error:
        return 400, {"error": str(error)}
