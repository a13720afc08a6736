"""Sends requests at the moments that were meant for them, whatever became of those before: an open loop.

A closed loop waits for an answer before it asks again, and so asks least when the service is slowest (coordinated
omission). Here the moments are drawn beforehand (Poisson), and latency counts from the moment, not from the sending.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from itertools import cycle
from math import ceil, inf
from random import Random
from time import perf_counter

from include.loadgen.counters import TIMEOUT, Counters, FailureSample, Recorder
from include.loadgen.mix import MixEntry
from include.loadgen.plan import Plan, Target
from include.loadgen.pool import Exchange, Pool
from include.loadgen.response import Response

SWEEP_SECONDS = 0.05
# After a longer standstill (a laptop's sleep) the requests missed are counted, not sent all at once.
CATCH_UP_SECONDS = 5.0


class Generator:
    """One plan being carried out in the running event loop. `run` may be called once."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._rng = Random(plan.seed)
        self._choose = plan.mix.chooser(self._rng)
        self._recorder = Recorder()
        share = max(plan.connections // len(plan.targets), 1)
        self._pools = [Pool(target, share, self) for target in plan.targets]
        self._turns = cycle(self._pools)
        self._rps = plan.rps
        self._next_at = inf
        self._timer: asyncio.TimerHandle | None = None
        self._under_way: deque[Exchange] = deque()
        self._is_sending = False

    @property
    def rps(self) -> float:
        return self._rps

    @property
    def sent(self) -> int:
        """Requests so far, whatever became of them."""
        return self._recorder.sent

    @property
    def open_connections(self) -> int:
        return sum(pool.open_connections for pool in self._pools)

    @property
    def failures(self) -> tuple[FailureSample, ...]:
        """The first 50, oldest first."""
        return tuple(self._recorder.samples)

    def counters(self) -> Counters:
        """What has been seen until now; subtract an earlier value for an interval."""
        return self._recorder.snapshot()

    def set_rps(self, rps: float) -> None:
        """From now on; 0 pauses. ValueError below 0."""
        if not 0 <= rps < inf:
            raise ValueError(f"{rps} requests per second cannot be sent")
        self._rps = rps
        if self._is_sending:
            self._next_at = perf_counter() + self._gap()
            self._arm()

    async def run(self, until: asyncio.Event, *, grace_seconds: float = 2.0) -> None:
        """Send until the event is set, then wait for what is under way, but not beyond the grace."""
        self._is_sending = True
        self._next_at = perf_counter() + self._gap()
        self._arm()
        try:
            await self._sweep_until(until)
        finally:
            self._is_sending = False
            if self._timer is not None:
                self._timer.cancel()
            await self._finish(grace_seconds)

    async def run_for(self, seconds: float, *, grace_seconds: float = 2.0) -> None:
        """`run` for a time."""
        until = asyncio.Event()
        timer = asyncio.get_running_loop().call_later(seconds, until.set)
        try:
            await self.run(until, grace_seconds=grace_seconds)
        finally:
            timer.cancel()

    def answered(self, exchange: Exchange, response: Response) -> None:
        """Called by the pools."""
        exchange.is_done = True
        self._recorder.answered(response.status, response.served_by, (perf_counter() - exchange.intended) * 1000)
        if response.status >= 500:
            group = response.served_by.partition(b"/")[0].decode("latin-1")
            self._sample(exchange, str(response.status), group)

    def broken(self, exchange: Exchange, kind: str) -> None:
        """Called by the pools."""
        if exchange.is_done:
            return
        exchange.is_done = True
        self._recorder.failed(kind, None)
        self._sample(exchange, kind, "")

    def _sample(self, exchange: Exchange, kind: str, group: str) -> None:
        self._recorder.sample(FailureSample(time.time(), exchange.path, kind, group))

    def _gap(self) -> float:
        return self._rng.expovariate(self._rps) if self._rps > 0 else inf

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._next_at < inf:
            # Loops count whole milliseconds; one that is woken too early would only have to sleep again.
            delay = ceil(max(self._next_at - perf_counter(), 0.0) * 1000) / 1000
            self._timer = asyncio.get_running_loop().call_later(delay, self._send_due)

    def _send_due(self) -> None:
        self._timer = None
        now = perf_counter()
        while self._next_at < now - CATCH_UP_SECONDS:
            self._recorder.skipped += 1
            self._next_at += self._gap()
        while self._next_at <= now:
            self._send(self._next_at)
            self._next_at += self._gap()
            now = perf_counter()
        self._arm()

    def _send(self, intended: float) -> None:
        entry, path = self._choose()
        pool = next(self._turns)
        exchange = Exchange(intended, path, write_request(entry, path, pool.target))
        self._recorder.sent += 1
        self._recorder.late((perf_counter() - intended) * 1000)
        self._under_way.append(exchange)
        pool.send(exchange)

    async def _sweep_until(self, until: asyncio.Event) -> None:
        waiting = asyncio.get_running_loop().create_task(until.wait())
        try:
            while not waiting.done():
                await asyncio.wait([waiting], timeout=SWEEP_SECONDS)
                self._sweep()
        finally:
            waiting.cancel()

    def _sweep(self) -> None:
        """Give up what has had its time; all have the same time, so the oldest come first."""
        limit = perf_counter() - self.plan.timeout_seconds
        while self._under_way and (self._under_way[0].is_done or self._under_way[0].intended <= limit):
            exchange = self._under_way.popleft()
            if exchange.is_done:
                continue
            exchange.is_done = True
            self._recorder.failed(TIMEOUT, self.plan.timeout_seconds * 1000)
            self._sample(exchange, TIMEOUT, "")
            if exchange.connection is not None:
                exchange.connection.drop()
        for pool in self._pools:
            pool.forget_done()

    async def _finish(self, grace_seconds: float) -> None:
        deadline = perf_counter() + grace_seconds
        while any(not one.is_done for one in self._under_way) and perf_counter() < deadline:
            await asyncio.sleep(0.01)
            self._sweep()
        for exchange in self._under_way:
            if not exchange.is_done:
                exchange.is_done = True
                self._recorder.abandoned += 1
        await asyncio.gather(*(pool.close() for pool in self._pools))


def write_request(entry: MixEntry, path: str, target: Target) -> bytes:
    """The request's bytes."""
    length = f"content-length: {len(entry.body)}\r\n" if entry.body or entry.method != "GET" else ""
    head = f"{entry.method} {path} HTTP/1.1\r\nhost: {target.authority}\r\nuser-agent: redstart-loadgen\r\n{length}\r\n"
    return head.encode("latin-1") + entry.body
