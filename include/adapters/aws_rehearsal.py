"""A region's AWS to rehearse on: the adapters of the deed ask it as they ask boto3, and nothing happens.

What is there is read from the real account, by reads alone (aws_rehearsal_reads.py); what is changed is noted, and
changed in memory. Time stands still until it is moved. Ids that only AWS can give are words in parentheses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from include.adapters.aws_errors import READS, ClientFactory
from include.adapters.aws_fleet import AwsFleet
from include.adapters.aws_groups import GroupSettings
from include.adapters.aws_rehearsal_balancing import RehearsedBalancing
from include.adapters.aws_rehearsal_others import RehearsedCompute, RehearsedMetrics
from include.adapters.aws_rehearsal_reads import RealReads
from include.adapters.aws_rehearsal_scaling import RehearsedScaling
from include.adapters.aws_rehearsal_state import Clock
from include.errors import RefusedError
from include.fleet.tags import FENCE
from include.redblack.region_plan import PlannedCall

CALL_SECONDS = 0.25
"""What a changing call takes with the look before it, as measured of rollbacks, which are safe with their third."""
NEW_ARN = re.compile(r"^\(new\):targetgroup/(.+)/\(id\)$")
FENCE_WORDS = "(token of the lock)"
Note = Callable[[str, str, Mapping[str, Any]], None]


class AwsRehearsal:
    """The stage of a plan (include/redblack/rehearsal.py) for one region.

    `clients` are the real ones; `start` is the moment at which the rehearsal begins, `start_seconds` the time from an
    instance's launch until it serves. `ahead_seconds`: so far is `start` in the future; the traffic is that of now.
    """

    def __init__(
        self,
        region: str,
        clients: ClientFactory,
        load_balancer: str,
        settings: GroupSettings,
        start: datetime,
        start_seconds: float,
        ahead_seconds: float = 0.0,
    ) -> None:
        self._region, self._load_balancer, self._settings = region, load_balancer, settings
        self._clock, reads = Clock(start), RealReads(clients)
        scaling = RehearsedScaling(reads, self._clock, start_seconds)
        balancing = RehearsedBalancing(reads, self._clock, scaling)
        metrics = RehearsedMetrics(reads, self._clock, scaling, balancing, ahead_seconds)
        services = {
            "autoscaling": scaling,
            "elbv2": balancing,
            "ec2": RehearsedCompute(reads),
            "cloudwatch": metrics,
        }
        self._clients = {name: RehearsedClient(name, service, self._note) for name, service in services.items()}
        self._calls: list[PlannedCall] = []

    def fleet(self) -> AwsFleet:
        """The deed's own adapter, new as in a task that has just begun."""
        clients = self._clients.__getitem__
        return AwsFleet(self._region, clients, self._load_balancer, self._settings, self._clock.now)

    def now(self) -> datetime:
        return self._clock.now()

    def advance(self, seconds: float) -> None:
        self._clock.advance(seconds)

    def take_calls(self) -> list[PlannedCall]:
        taken, self._calls = self._calls, []
        return taken

    def _note(self, service: str, operation: str, parameters: Mapping[str, Any]) -> None:
        self._calls.append(PlannedCall(self.now(), service, operation, in_words(parameters)))
        self._clock.advance(CALL_SECONDS)


class RehearsedClient:
    """In place of a boto3 client. Only what the rehearsal knows can be asked of it."""

    def __init__(self, name: str, service: Any, note: Note) -> None:
        self._name, self._service, self._note = name, service, note

    def __getattr__(self, operation: str) -> Callable[..., Mapping[str, Any]]:
        answer = getattr(self._service, operation, None) if not operation.startswith("_") else None
        if answer is None:
            raise RefusedError(f"A plan cannot tell what {operation} of {self._name} would do: it was not rehearsed.")
        if operation.startswith(READS):
            found: Callable[..., Mapping[str, Any]] = answer
            return found

        def changed(**parameters: Any) -> Mapping[str, Any]:
            self._note(self._name, operation, parameters)
            done: Mapping[str, Any] = answer(**parameters)
            return done

        return changed

    def get_paginator(self, operation: str) -> Paginator:
        return Paginator(getattr(self, operation))


class Paginator:
    """All in one page."""

    def __init__(self, ask: Callable[..., Mapping[str, Any]]) -> None:
        self._ask = ask

    def paginate(self, **parameters: Any) -> list[Mapping[str, Any]]:
        return [self._ask(**parameters)]


def in_words(value: Any) -> Any:
    """A copy, in which the ARN of what is not made yet says what it is, and a token whose it will be."""
    if isinstance(value, Mapping):
        told = {"Value": FENCE_WORDS} if value.get("Key") == FENCE else {}
        return {key: in_words(one) for key, one in value.items()} | told
    if isinstance(value, list | tuple):
        return [in_words(one) for one in value]
    return NEW_ARN.sub(r"(target group of \1)", value) if isinstance(value, str) else value
