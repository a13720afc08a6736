"""One blocking HTTP exchange, for the metadata service and the metric store; http.client would cost 4 MB."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import NamedTuple

READ_BYTES = 65_536


class Url(NamedTuple):
    is_secure: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """What belongs into the Host header."""
        return self.host if self.port == (443 if self.is_secure else 80) else f"{self.host}:{self.port}"


def parse_url(url: str) -> Url:
    """`http[s]://host[:port][/path]`; anything else is a ValueError."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in {"http", "https"}:
        raise ValueError(f"{url!r} is no http address")
    authority, slash, path = rest.partition("/")
    host, colon, port = authority.partition(":")
    number = int(port) if colon else (443 if scheme == "https" else 80)
    return Url(scheme == "https", host, number, slash + path or "/")


def exchange(
    method: str, url: str, headers: Mapping[str, str], body: bytes = b"", *, timeout_seconds: float = 2.0
) -> tuple[int, bytes]:
    """Status and body of one request on a connection of its own; OSError when there is no whole answer."""
    target = parse_url(url)
    lines = [f"{method} {target.path} HTTP/1.1", f"host: {target.authority}", "connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items() if name.lower() != "host"]
    lines.append(f"content-length: {len(body)}")
    with socket.create_connection((target.host, target.port), timeout_seconds) as plain:
        connection = _secured(plain, target.host) if target.is_secure else plain
        with connection:
            connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
            return _read_answer(connection)


def _secured(connection: socket.socket, host: str) -> socket.socket:
    import ssl  # only where it is needed: see lean.py

    return ssl.create_default_context().wrap_socket(connection, server_hostname=host)


def _read_answer(connection: socket.socket) -> tuple[int, bytes]:
    data = bytearray()
    while chunk := connection.recv(READ_BYTES):
        data += chunk
        head, separator, body = bytes(data).partition(b"\r\n\r\n")
        if separator and _is_whole(head, body):
            break
    head, separator, body = bytes(data).partition(b"\r\n\r\n")
    if not separator or not _is_whole(head, body):
        raise ConnectionError("the answer ended early")
    if b"transfer-encoding: chunked" in head.lower():
        body = _joined_chunks(body)
    return int(head.split(b" ", 2)[1]), body


def _is_whole(head: bytes, body: bytes) -> bool:
    lower = head.lower()
    if b"transfer-encoding: chunked" in lower:
        return body.endswith(b"0\r\n\r\n")
    _, found, rest = lower.partition(b"content-length:")
    return not found or len(body) >= int(rest.split(b"\r\n", 1)[0])


def _joined_chunks(body: bytes) -> bytes:
    parts = []
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size.split(b";")[0], 16)
        parts.append(rest[:length])
        body = rest[length + 2 :] if length else b""
    return b"".join(parts)
