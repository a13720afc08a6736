"""Reads one HTTP/1.1 answer at a time from whatever pieces it arrives in; keeps of it only what is counted."""

from __future__ import annotations

from typing import NamedTuple

HEAD_LIMIT_BYTES = 65_536
_UNTIL_CLOSE = -1


class Response(NamedTuple):
    """`served_by` is the header x-served-by; `keeps_open` says whether the connection may carry another request."""

    status: int
    served_by: bytes
    keeps_open: bool


class MalformedError(Exception):
    """What arrived is no HTTP answer, or more than one."""


class ResponseReader:
    """Feed it what arrives; it returns the response when its last byte is there."""

    def __init__(self) -> None:
        self._buffer = b""
        self._response: Response | None = None
        self._left = 0
        self._is_chunked = False

    def feed(self, data: bytes) -> Response | None:
        """Raises MalformedError."""
        self._buffer = self._buffer + data if self._buffer else data
        if self._response is None and not self._read_head():
            return None
        if self._is_chunked:
            return self._take_chunks()
        if self._left == _UNTIL_CLOSE:
            self._buffer = b""
            return None
        if len(self._buffer) < self._left:
            self._left -= len(self._buffer)
            self._buffer = b""
            return None
        if len(self._buffer) > self._left:
            raise MalformedError("bytes after the end of the answer")
        return self._finish()

    def end(self) -> Response | None:
        """The peer closed: the response, if that is how its end is said."""
        return self._finish() if self._response is not None and self._left == _UNTIL_CLOSE else None

    def _finish(self) -> Response | None:
        response, self._response = self._response, None
        self._buffer, self._is_chunked = b"", False
        return response

    def _read_head(self) -> bool:
        while True:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self._buffer) > HEAD_LIMIT_BYTES:
                    raise MalformedError("an endless head")
                return False
            head, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
            if not head.startswith(b"HTTP/1.") or not head[9:12].isdigit():
                raise MalformedError("no status line")
            status = int(head[9:12])
            if status >= 200:
                break  # a 1xx only announces the answer
        self._understand(status, head)
        return True

    def _understand(self, status: int, head: bytes) -> None:
        lower = head.lower()
        length = _value(lower, head, b"\r\ncontent-length:")
        self._is_chunked = b"chunked" in _value(lower, lower, b"\r\ntransfer-encoding:")
        if status in {204, 304}:
            self._left, self._is_chunked = 0, False
        elif length.isdigit():
            self._left = int(length)
        else:
            self._left = 0 if self._is_chunked else _UNTIL_CLOSE
        keeps_open = b"close" not in _value(lower, lower, b"\r\nconnection:") and head[7:8] == b"1"
        keeps_open = keeps_open and self._left != _UNTIL_CLOSE
        self._response = Response(status, _value(lower, head, b"\r\nx-served-by:"), keeps_open)

    def _take_chunks(self) -> Response | None:
        """Chunks are read past as they come whole; trailers are not asked for and refused."""
        while True:
            line, separator, rest = self._buffer.partition(b"\r\n")
            if not separator:
                return None
            try:
                size = int(line.split(b";")[0], 16)
            except ValueError:
                raise MalformedError("no chunk size") from None
            if len(rest) < size + 2:
                return None
            if rest[size : size + 2] != b"\r\n":
                raise MalformedError("a chunk of another length than said")
            self._buffer = rest[size + 2 :]
            if size == 0:
                if self._buffer:
                    raise MalformedError("bytes after the last chunk")
                return self._finish()


def _value(lower: bytes, head: bytes, name: bytes) -> bytes:
    """The value of a header in `head`, found in its lower-case copy; empty where it is not there."""
    start = lower.find(name)
    if start < 0:
        return b""
    start += len(name)
    end = head.find(b"\r\n", start)
    return head[start : end if end >= 0 else len(head)].strip()
