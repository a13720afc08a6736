"""One instance from boot to SIGTERM: who it is, its listener, its clock of five seconds, its end."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import time
import zlib
from pathlib import Path
from random import Random
from time import perf_counter

from api.agent import Agent, Batch
from api.connection import Connection
from api.endpoints import Endpoints
from api.identity import DEFAULT_ENDPOINT, Identity, Metadata, read_identity
from api.metrics import Series
from api.runtime import Runtime
from api.server import Server
from api.signing import Credentials

PERIOD_SECONDS = 5
LAG_PROBE_SECONDS = 0.1
QUIET_SECONDS = 0.5
DRAIN_LIMIT_SECONDS = 3.5
FLUSH_LIMIT_SECONDS = 1.0
FOLDER = Path(__file__).resolve().parents[1]


class Service:
    """Everything that one instance runs."""

    def __init__(self, identity: Identity, metadata: Metadata | None, version: str) -> None:
        self.identity = identity
        self.endpoints = Endpoints(FOLDER / "settings", Random())
        self.server = Server(self.endpoints, f"{identity.group}/{identity.instance_id}/{version}")
        self.runtime = Runtime()
        self._metadata = metadata
        self._agent: Agent | None = None
        self._stop = asyncio.Event()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        listener = await loop.create_server(
            lambda: Connection(self.server), self.identity.address, self.identity.port, backlog=1024
        )
        self._start_agent()
        gc.collect()
        gc.freeze()  # what was made at boot stays: collections need not look at it again
        ticking = [loop.create_task(self._publish_periods()), loop.create_task(self._probe_lag())]
        print(f"api: {self.server.served_by.decode()} on {self.identity.address}:{self.identity.port}", flush=True)
        await self._stop.wait()
        listener.close()
        await self.server.drain(quiet_seconds=QUIET_SECONDS, limit_seconds=DRAIN_LIMIT_SECONDS)
        for task in ticking:
            task.cancel()
        self._publish(int(time.time() // PERIOD_SECONDS) * PERIOD_SECONDS)
        if self._agent is not None:
            self._agent.close(FLUSH_LIMIT_SECONDS)

    def series(self) -> list[tuple[str, float]]:
        """All series of the period that ends now; begins the next."""
        found = [*self.server.tally.series("http")]
        self.server.tally.clear()
        for endpoint in self.endpoints.all:
            found += endpoint.tally.series(f"endpoint.{endpoint.name}")
            endpoint.tally.clear()
        for dependency in self.endpoints.dependencies.values():
            found += dependency.tally.series(f"dependency.{dependency.name}")
            dependency.tally.clear()
        found += [*self.runtime.series(), *self.server.load.series(), *self._own_series()]
        return found

    def _own_series(self) -> Series:
        yield "runtime.connections", len(self.server.connections)
        yield "runtime.metrics_dropped", self._agent.dropped if self._agent else 0
        yield "runtime.tasks", len(asyncio.all_tasks())

    def _start_agent(self) -> None:
        if not self.identity.metrics_url:
            return
        # Instances that published at the same moment would make the metric store's load a series of spikes.
        delay_seconds = zlib.crc32(self.identity.instance_id.encode()) % 1000 / 1000
        self._agent = Agent(self.identity.metrics_url, self.identity.region, self._credentials, delay_seconds)
        self._agent.start()

    def _credentials(self) -> Credentials:
        if self._metadata is not None:
            return self._metadata.credentials()
        environ = os.environ
        return Credentials(
            environ.get("AWS_ACCESS_KEY_ID", "alone"),
            environ.get("AWS_SECRET_ACCESS_KEY", "alone"),
            environ.get("AWS_SESSION_TOKEN", ""),
        )

    async def _publish_periods(self) -> None:
        """At each multiple of the period on the wall clock publish what came before it."""
        while True:
            start = int(time.time() // PERIOD_SECONDS) * PERIOD_SECONDS
            while (left := start + PERIOD_SECONDS - time.time()) > 0:
                await asyncio.sleep(left)
            self._publish(start)
            self.server.close_idle()

    def _publish(self, start: int) -> None:
        requests = len(self.server.tally.latencies_ms)
        values = self.series()
        if self._agent is None:
            return
        group, instance = ("AutoScalingGroupName", self.identity.group), ("InstanceId", self.identity.instance_id)
        self._agent.publish([
            Batch("Redstart/Instance", (group, instance), start, [("RequestCount", requests)]),
            Batch("Api", (group,), start, values),
        ])  # fmt: skip

    async def _probe_lag(self) -> None:
        while True:
            due = perf_counter() + LAG_PROBE_SECONDS
            await asyncio.sleep(LAG_PROBE_SECONDS)
            self.runtime.lag(perf_counter() - due)


def read_version() -> str:
    """The first word of what the build wrote; a work tree has none."""
    path = FOLDER / "VERSION"
    return path.read_text("utf-8").split()[0] if path.exists() else "unbuilt"


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s", stream=sys.stderr)
    metadata = Metadata(os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or DEFAULT_ENDPOINT)
    try:
        identity = read_identity(os.environ, metadata)
    except (OSError, LookupError, ValueError) as error:
        sys.exit(f"api: cannot find out who this instance is: {error}")
    asked = None if "API_ADDRESS" in os.environ else metadata

    async def run() -> None:
        await Service(identity, asked, read_version()).run()

    try:
        asyncio.run(run())
    except OSError as error:
        sys.exit(f"api: cannot listen on {identity.address}:{identity.port}: {error.strerror or error}")
