"""A push planned and then done in the same world, and both lists of changing calls made comparable."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from include.adapters.aws_errors import READS
from include.adapters.aws_fleet import AwsFleet
from include.adapters.aws_rehearsal import FENCE_WORDS, AwsRehearsal
from include.fleet.tags import FENCE
from include.redblack import Finding, Milestone, Progress, PushGoal, RollbackGoal, Watched, drive_push, drive_rollback
from include.redblack.region_plan import PlannedCall, RegionPlan
from include.redblack.rehearsal import plan_push
from tests.support.push_world import LOAD_BALANCER, REGION, TRAFFIC, PushWorld

Call = tuple[str, str, Any]
LIMIT_SECONDS = 1200.0
MOST_TURNS = 2000
ARN = re.compile(r"arn:aws:elasticloadbalancing:[^:]*:\d*:targetgroup/([^/]+)/\w+")
LABEL = re.compile(r"targetgroup/([^/]+)/[\w()]+")
INSTANCE = re.compile(r"\bi-[0-9a-f]{17}|\(? ?instance \d+ of [\w-]+\)?")
MOMENT = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d$")


class NotedClients:
    """Real clients; what changes anything is noted with its parameters, and every operation by name."""

    def __init__(self, clients: Callable[[str], Any]) -> None:
        self._clients = clients
        self.changes: list[tuple[str, str, Mapping[str, Any]]] = []
        self.operations: list[str] = []

    def __call__(self, service: str) -> Any:
        return _NotedClient(service, self._clients(service), self)


class _NotedClient:
    def __init__(self, service: str, client: Any, notes: NotedClients) -> None:
        self._service, self._client, self._notes = service, client, notes

    def __getattr__(self, operation: str) -> Any:
        found = getattr(self._client, operation)
        if operation in ("can_paginate", "meta"):
            return found

        def asked(*arguments: Any, **parameters: Any) -> Any:
            name = str(arguments[0]) if operation == "get_paginator" else operation
            self._notes.operations.append(name)
            if operation != "get_paginator" and not operation.startswith(READS):
                self._notes.changes.append((self._service, operation, parameters))
            return found(*arguments, **parameters)

        return asked


class PlanWorld:
    """Plans and deeds in a `PushWorld`, with the same goals. Instances start there within `start_seconds`."""

    def __init__(self, world: PushWorld, start_seconds: float = 12.0) -> None:
        self.world, self.start_seconds = world, start_seconds
        self.reader = NotedClients(world.clients)

    def plan(self, goal: PushGoal, back: RollbackGoal, **more: Any) -> RegionPlan:
        now = self.world.now()
        stage = AwsRehearsal(REGION, self.reader, LOAD_BALANCER, TRAFFIC, now, self.start_seconds)
        return plan_push(stage, goal, back, limit_seconds=LIMIT_SECONDS, **more)

    def push(self, goal: PushGoal) -> tuple[list[Call], list[Progress]]:
        """Both tasks of the push, each with a fleet of its own."""
        noted, world = NotedClients(self.world.clients), self.world
        ends = []
        for until in Milestone:
            loop = drive_push(
                self._fleet(noted), goal, world.now, watch=lambda _: Watched(Finding.SOUND, world.now()), until=until
            )
            ends.append(self._follow(loop))
        return comparable(noted.changes), ends

    def roll_back(self, goal: RollbackGoal) -> tuple[list[Call], Progress]:
        noted = NotedClients(self.world.clients)
        end = self._follow(drive_rollback(self._fleet(noted), goal, self.world.now))
        return comparable(noted.changes), end

    def _fleet(self, clients: NotedClients) -> AwsFleet:
        return AwsFleet(REGION, clients, LOAD_BALANCER, TRAFFIC, self.world.now)

    def _follow(self, loop: Any) -> Progress:
        for turn, progress in enumerate(loop):
            assert turn < MOST_TURNS, progress.sentence
            self.world.wait(progress)
        return progress  # type: ignore[no-any-return]


def planned(calls: tuple[PlannedCall, ...]) -> list[Call]:
    return comparable([(call.service, call.operation, call.parameters) for call in calls])


def comparable(calls: Any) -> list[Call]:
    """Ids that AWS gives and moments that pass are the same words in both."""
    return [(service, operation, _plain(parameters, operation)) for service, operation, parameters in calls]


def _plain(value: Any, operation: str) -> Any:
    if isinstance(value, Mapping):
        if "LaunchTemplateId" in value:
            return {"LaunchTemplateId": "(id)"}
        if value.get("Key") == FENCE:
            return {**value, "Value": FENCE_WORDS}
        return {key: _plain(one, operation) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one, operation) for one in value]
    if not isinstance(value, str):
        return value
    value = ARN.sub(r"(target group of \1)", value)
    value = LABEL.sub(r"targetgroup/\1/(id)", value)
    return "(moment)" if MOMENT.match(value) else INSTANCE.sub("(instance)", value).replace("  ", " ")
