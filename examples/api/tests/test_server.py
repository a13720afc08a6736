"""What is answered and counted, whatever happens to a page."""

from __future__ import annotations

import asyncio
import unittest
from random import Random
from time import perf_counter
from unittest import mock

from api.connection import Request
from api.endpoints import Endpoints
from api.server import HEALTH_PATH, PLACES, QUEUE_LIMIT, Server

from tests.test_endpoints import SETTINGS, quick


class Requests(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        self.server = Server(quick(Endpoints(SETTINGS, Random(1))), "g/i/v")

    async def ask(self, path: str, method: str = "GET") -> int:
        return (await self.server.respond(Request(method, path, perf_counter()))).status

    async def test_answers_are_counted_by_class(self) -> None:
        statuses = [await self.ask(path) for path in ("/home", "/titles/999999", "/nope")]
        statuses.append(await self.ask("/home", "DELETE"))
        self.assertEqual(statuses, [200, 404, 404, 405])
        series = dict(self.server.tally.series("http"))
        self.assertEqual((series["http.requests"], series["http.2xx"], series["http.4xx"]), (4, 1, 3))

    async def test_the_health_check_is_not_counted(self) -> None:
        self.assertEqual(await self.ask(HEALTH_PATH), 200)
        self.assertEqual(dict(self.server.tally.series("http"))["http.requests"], 0)

    async def test_a_page_that_cannot_be_made_is_an_exception_and_no_more(self) -> None:
        with mock.patch("api.endpoints.build_page", side_effect=KeyError("x")), self.assertLogs("api"):
            self.assertEqual(await self.ask("/home"), 500)
        series = dict(self.server.endpoints.find("/home")[0].tally.series("home"))
        self.assertEqual((series["home.5xx"], series["home.exceptions"]), (1, 1))
        self.assertEqual(await self.ask("/home"), 200)

    async def test_only_so_many_are_worked_on_at_a_time(self) -> None:
        statuses = await asyncio.gather(*(self.ask("/genres") for _ in range(PLACES + QUEUE_LIMIT + 5)))
        self.assertLessEqual(self.server.load.in_flight_max, PLACES)
        self.assertLessEqual(self.server.load.queue_depth_max, QUEUE_LIMIT)
        self.assertIn(503, statuses)
        self.assertEqual(statuses.count(503), self.server.load.rejected)
        self.assertEqual((self.server.load.in_flight, self.server.load.waiting), (0, 0))
