"""Reading answers, in whatever pieces they arrive."""

from __future__ import annotations

import pytest

from include.loadgen.response import MalformedError, Response, ResponseReader

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Served-By: g/i/V\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\n\r\n"
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
CLOSING = b"HTTP/1.1 404 Not Found\r\nconnection: Close\r\ncontent-length: 0\r\n\r\n"
CONTINUED = b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN
OLD = b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (PLAIN, Response(200, b"g/i/V", True)),
        (CHUNKED, Response(503, b"", True)),
        (EMPTY, Response(204, b"", True)),
        (CLOSING, Response(404, b"", False)),
        (CONTINUED, Response(200, b"g/i/V", True)),
        (OLD, Response(200, b"", False)),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_an_answer_in_pieces_is_whole_at_its_last_byte(data: bytes, expected: Response, size: int) -> None:
    reader = ResponseReader()
    for _ in range(2):  # and the connection carries the next
        found = [reader.feed(data[start : start + size]) for start in range(0, len(data), size)]
        assert found == [None] * (len(found) - 1) + [expected]


def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    reader = ResponseReader()
    assert reader.feed(b"HTTP/1.1 200 OK\r\n\r\nsome") is None
    assert reader.feed(b" more") is None
    assert reader.end() == Response(200, b"", False)


def test_a_cut_off_answer_is_none() -> None:
    reader = ResponseReader()
    assert reader.feed(PLAIN[:-1]) is None
    assert reader.end() is None


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        PLAIN + b"x",
        b"y" * 70_000,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc\r\n",
    ],
)
def test_what_is_no_answer_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        ResponseReader().feed(data)
