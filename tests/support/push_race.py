"""Several runs at once on one cluster: real threads, each with a ledger connection of its own, on one world's clock.

Time stands still while anybody works and goes on when all wait, so whoever acts at the same moment really races.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from include.adapters.aws_errors import BeforeChange
from include.adapters.aws_fleet import AwsFleet
from include.errors import RefusedError, RetryableError
from include.redblack import Progress
from tests.support.direct_clients import DirectClients
from tests.support.ledger import open_ledger
from tests.support.push_tasks import Tasks
from tests.support.push_world import CLUSTER, LOAD_BALANCER, PLACE, READS, REGION, TRAFFIC, PushWorld

RETRY_SECONDS = 10.0


class Race:
    """The world that the racers share."""

    def __init__(self, world: PushWorld) -> None:
        self.world = world
        self.calls = threading.RLock()
        self.trespasses: list[str] = []
        self._turn = threading.Condition()
        self._wakes: dict[int, float] = {}
        self._running = 0

    def run(self, *entries: Callable[[], object]) -> None:
        """All at once, to the end of all."""
        threads = [threading.Thread(target=self._enter, args=(entry,)) for entry in entries]
        self._running = len(threads)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def wait(self, seconds: float) -> None:
        """Until the clock is that far on; the last to wait moves it to whoever is to wake first."""
        clock, me = self.world.cloud.clock, threading.get_ident()
        with self._turn:
            self._wakes[me] = until = clock.now() + seconds
            while clock.now() < until:
                if len(self._wakes) == self._running:
                    self.world.advance(max(min(self._wakes.values()) - clock.now(), 1))
                    self._wakes = {one: at for one, at in self._wakes.items() if at > clock.now()}
                    self._turn.notify_all()
                else:
                    self._turn.wait(1)
            self._wakes.pop(me, None)

    def _enter(self, entry: Callable[[], object]) -> None:
        try:
            entry()
        finally:
            with self._turn:
                self._running -= 1
                self._turn.notify_all()


@dataclass
class Racer:
    """One run's process; `outcome` is how it ended."""

    race: Race
    run: str
    cluster = CLUSTER
    outcome: object = None
    ledger: Any = field(init=False)

    def __post_init__(self) -> None:
        self.ledger = open_ledger(self.race.world.database)
        self._clients = _WatchedClients(self)

    def fleet(self, before_change: BeforeChange) -> AwsFleet:
        return AwsFleet(REGION, self._clients, LOAD_BALANCER, TRAFFIC, self.now, before_change)

    def now(self) -> datetime:
        return self.race.world.now()

    def wait(self, progress: Progress) -> None:
        self.race.wait(max(progress.pause_seconds, 0.0))

    def carry_out(self, tasks: Tasks, *, after: float) -> None:
        """As Airflow does: `after` so many seconds, and again where a task asks for it."""
        self.race.wait(after)
        while self.outcome is None:
            try:
                self.outcome = tasks.run()
            except RetryableError:
                self.race.wait(RETRY_SECONDS)
            except RefusedError as error:
                self.outcome = error


class _WatchedClients(DirectClients):
    """One call at a time, as on AWS; a change by whoever does not hold the lock is noted."""

    def __init__(self, racer: Racer) -> None:
        super().__init__(racer.race.world.cloud.application, REGION, whose=racer.run)
        self._racer = racer

    def _send(self, request: AWSPreparedRequest, event_name: str, **named: Any) -> AWSResponse:
        race, operation = self._racer.race, event_name.rpartition(".")[2]
        with race.calls:
            if not operation.startswith(READS):
                lease = self._racer.ledger.lease(PLACE)
                if lease is None or lease.owner != self._racer.run:
                    race.trespasses.append(f"{self._racer.run}: {operation}")
            answer = super()._send(request, event_name, **named)
            race.world.check_need(operation)
            return answer
