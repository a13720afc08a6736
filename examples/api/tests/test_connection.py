"""Reading requests, and answering them in order on a connection that is kept."""

from __future__ import annotations

import asyncio
import unittest

from api.connection import Answer, Connection, Malformed, Request, take_request


class Echo:
    """An application that answers with the path."""

    served_by = b"g/i/v"
    is_stopping = False

    async def respond(self, request: Request) -> Answer:
        await asyncio.sleep(0)
        return Answer(200, request.path.encode())

    def opened(self, connection: Connection) -> None: ...

    def closed(self, connection: Connection) -> None: ...


class TakeRequest(unittest.TestCase):
    def test_a_request_in_pieces_is_taken_when_it_is_whole(self) -> None:
        buffer = bytearray(b"GET /home HTTP/1.1\r\nhost: x\r\n")
        self.assertIsNone(take_request(buffer))
        buffer += b"\r\n"
        request, wants_close = take_request(buffer)
        self.assertEqual((request.method, request.path, wants_close), ("GET", "/home", False))
        self.assertEqual(buffer, b"")

    def test_a_body_is_read_past(self) -> None:
        buffer = bytearray(b"POST /play/report HTTP/1.1\r\nContent-Length: 3\r\n\r\nab")
        self.assertIsNone(take_request(buffer))
        buffer += b"cGET"
        self.assertIsNotNone(take_request(buffer))
        self.assertEqual(buffer, b"GET")

    def test_the_clients_wish_to_close_is_heard(self) -> None:
        for head in (b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"):
            self.assertTrue(take_request(bytearray(head))[1])

    def test_what_is_no_request_is_refused(self) -> None:
        bad = {
            b"nonsense\r\n\r\n": 400,
            b"GET / HTTP/1.1\r\ncontent-length: -1\r\n\r\n": 400,
            b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n": 411,
            b"POST / HTTP/1.1\r\ncontent-length: 99999999\r\n\r\n": 413,
            b"GET /" + b"x" * 20_000: 431,
        }
        for data, status in bad.items():
            with self.assertRaises(Malformed) as caught:
                take_request(bytearray(data))
            self.assertEqual(caught.exception.status, status)


class KeptConnection(unittest.IsolatedAsyncioTestCase):
    async def ask(self, data: bytes) -> bytes:
        server = await asyncio.get_running_loop().create_server(lambda: Connection(Echo()), "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(data)
            answer = await asyncio.wait_for(reader.read(), 5)
            writer.close()
            return answer

    async def test_requests_sent_at_once_are_answered_in_order(self) -> None:
        answer = await self.ask(b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\nconnection: close\r\n\r\n")
        bodies = [part.partition(b"\r\n\r\n")[2] for part in answer.split(b"HTTP/1.1 200 OK\r\n")[1:]]
        self.assertEqual(bodies, [b"/1", b"/2"])
        self.assertEqual(answer.count(b"x-served-by: g/i/v\r\n"), 2)

    async def test_head_has_the_length_and_no_body(self) -> None:
        answer = await self.ask(b"HEAD /12345 HTTP/1.1\r\nconnection: close\r\n\r\n")
        self.assertIn(b"content-length: 6\r\n", answer)
        self.assertTrue(answer.endswith(b"\r\n\r\n"))

    async def test_nonsense_is_answered_and_the_connection_closed(self) -> None:
        self.assertTrue((await self.ask(b"\x16\x03\x01\r\n\r\n")).startswith(b"HTTP/1.1 400 "))
