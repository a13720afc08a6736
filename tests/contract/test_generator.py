"""The generator against small servers that answer, stall, close, reset and refuse."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from include.loadgen import Counters, Generator, Mix, MixEntry, Plan, Target, new_event_loop

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-served-by: g/i-1/v1\r\n\r\nok"
MIX = Mix((MixEntry("/a", 3), MixEntry("/b")))


class Site:
    """A server on a free loopback port; `requests` are the heads it got, `connections` how many were made."""

    def __init__(self, behave: Callable[[Site, asyncio.StreamWriter, bytes], Awaitable[bool]]) -> None:
        self._behave = behave
        self.requests: list[bytes] = []
        self.connections = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.requests.append(head)
                if not await self._behave(self, writer, head):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def answer(site: Site, writer: asyncio.StreamWriter, head: bytes) -> bool:
    writer.write(OK)
    return True


def run(site: Site | None, seconds: float, rps: float = 200.0, **changes: object) -> tuple[Generator, Counters]:
    """The generator and its counters after `seconds` against the site; None: nobody listens."""

    async def live() -> Generator:
        server = await asyncio.start_server(site.serve if site else answer_nobody, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        if site is None:
            server.close()
            await server.wait_closed()
        plan = replace(Plan((Target("127.0.0.1", port),), rps, MIX, seed=3), **changes)
        generator = Generator(plan)
        await generator.run_for(seconds, grace_seconds=0.5)
        server.close()
        return generator

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        generator = runner.run(live())
    return generator, generator.counters()


async def answer_nobody(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


def test_every_request_is_counted_once_and_connections_are_kept() -> None:
    site = Site(answer)
    _, counters = run(site, 0.5)
    assert counters.sent == counters.ok == len(site.requests) > 60
    assert counters.latency.count == counters.lateness.count == counters.sent
    assert counters.served_by == {"g/i-1/v1": counters.sent}
    assert site.connections < counters.sent / 5
    assert {head.split(b" ")[1] for head in site.requests} == {b"/a", b"/b"}


def test_a_stall_is_in_the_latency_of_all_that_were_meant_for_it() -> None:
    """A closed loop would have asked a handful; here each moment that passed counts from when it was meant."""

    async def stall_once(site: Site, writer: asyncio.StreamWriter, head: bytes) -> bool:
        if len(site.requests) == 1:
            await asyncio.sleep(0.4)
        writer.write(OK)
        return True

    _, counters = run(Site(stall_once), 0.5, connections=1)
    assert counters.ok == counters.sent
    assert counters.latency.quantile(0.5) > 100
    assert counters.latency.maximum_ms >= 400
    assert counters.lateness.quantile(0.99) < 100  # the generator itself was on time


def test_timeouts_count_as_the_timeout() -> None:
    async def never(site: Site, writer: asyncio.StreamWriter, head: bytes) -> bool:
        await asyncio.sleep(5)
        return False

    generator, counters = run(Site(never), 0.4, timeout_seconds=0.2)
    assert counters.errors["timeout"] == counters.failed == counters.sent - counters.abandoned
    assert counters.latency.count == counters.failed
    assert 200 <= counters.latency.quantile(0.5) <= 205
    assert generator.failures[0].kind == "timeout"


def test_what_is_under_way_at_the_end_is_abandoned_not_failed() -> None:
    async def never(site: Site, writer: asyncio.StreamWriter, head: bytes) -> bool:
        await asyncio.sleep(5)
        return False

    _, counters = run(Site(never), 0.2)
    assert (counters.failed, counters.abandoned, counters.under_way) == (0, counters.sent, 0)


def test_refused_connections_are_failures_by_kind() -> None:
    _, counters = run(None, 0.2)
    assert counters.errors == {"refused": counters.sent}
    assert counters.latency.count == 0


def test_a_connection_that_ends_in_mid_answer_fails_its_request_and_nothing_is_sent_twice() -> None:
    async def cut(site: Site, writer: asyncio.StreamWriter, head: bytes) -> bool:
        writer.write(OK[:-1])
        return False

    site = Site(cut)
    generator, counters = run(site, 0.3)
    assert counters.errors == {"closed": counters.sent}
    assert len(site.requests) == counters.sent
    assert len(generator.failures) == min(counters.sent, 50)


def test_an_idle_connection_that_the_peer_closed_costs_no_request() -> None:
    async def close_after(site: Site, writer: asyncio.StreamWriter, head: bytes) -> bool:
        writer.write(OK)
        await writer.drain()
        return False  # without having said so

    site = Site(close_after)
    _, counters = run(site, 0.5, rps=40.0)
    assert counters.ok == counters.sent == len(site.requests)
    assert site.connections == counters.sent


def test_5xx_is_a_failure_with_a_sample_and_404_is_none() -> None:
    async def mixed(site: Site, writer: asyncio.StreamWriter, head: bytes) -> bool:
        status = b"500 No" if head.startswith(b"GET /b") else b"404 No"
        writer.write(b"HTTP/1.1 %b\r\ncontent-length: 0\r\nx-served-by: g9/i/v\r\n\r\n" % status)
        return True

    generator, counters = run(Site(mixed), 0.4)
    assert counters.failed == counters.statuses[500] > 0
    assert counters.ok == counters.statuses[404]
    assert (generator.failures[0].path, generator.failures[0].kind, generator.failures[0].group) == ("/b", "500", "g9")


def test_the_rate_changes_while_it_runs() -> None:
    site = Site(answer)

    async def live() -> list[Counters]:
        server = await asyncio.start_server(site.serve, "127.0.0.1", 0)
        plan = Plan((Target("127.0.0.1", server.sockets[0].getsockname()[1]),), 0.0, MIX)
        generator, until, seen = Generator(plan), asyncio.Event(), []
        running = asyncio.create_task(generator.run(until))
        for rps in (0.0, 400.0, 0.0):
            generator.set_rps(rps)
            before = generator.counters()
            await asyncio.sleep(0.4)
            seen.append(generator.counters() - before)
        with pytest.raises(ValueError):
            generator.set_rps(-1)
        until.set()
        await running
        server.close()
        return seen

    paused, busy, paused_again = asyncio.run(live())
    assert (paused.sent, paused_again.sent) == (0, 0)
    assert 100 < busy.sent < 230


def test_arrivals_are_poisson_at_the_rate() -> None:
    _, counters = run(Site(answer), 1.0, rps=500.0)
    assert counters.sent == pytest.approx(500, abs=90)
