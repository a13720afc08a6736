"""A cluster in the local cloud's no-process mode, its ledger, its traffic, and a clock that only tests move.

After each call that changes something, and after each second, what serves is compared with what the traffic needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import Any

from include.adapters.aws_errors import BeforeChange, allow
from include.adapters.aws_fleet import AwsFleet
from include.adapters.aws_groups import GroupSettings
from include.fleet import ClusterRef, ClusterView
from include.ledger import Place
from include.localcloud.recorded import RecordRouter
from include.redblack import Build, Done, GroupTemplate, Need, Progress, PushGoal, RollbackGoal, SizeBounds, drive_push
from include.services.settings import PROD_ACCOUNT
from tests.support.direct_clients import DirectClients, Listen, nobody
from tests.support.ledger import fresh_ledger
from tests.support.listened_ledger import ListenedLedger
from tests.support.local_cloud import LocalCloud

REGION = "us-east-1"
CLUSTER = ClusterRef("api", "main", REGION)
PLACE = Place("api", "main", REGION)
TRAFFIC = GroupSettings(traffic_period_seconds=5)
LOAD_BALANCER = "api-main"
TEMPLATE = GroupTemplate("m5.large", 8080, "/health")
RPS_PER_INSTANCE = 100.0
MOST_INSTANCES = 30
SIZE = SizeBounds(2, MOST_INSTANCES)
NEED = Need(RPS_PER_INSTANCE, start_seconds=60, floor=2)
PUBLISH_SECONDS = 5
READS = ("Describe", "Get", "List", "ledger.check", "ledger.events", "ledger.hold", "ledger.lease")


@dataclass(frozen=True)
class Serving:
    """What the listener's traffic meets at one moment: weight and healthy instances of each group."""

    groups: dict[str, tuple[int, tuple[str, ...]]]

    @property
    def healthy(self) -> int:
        return sum(len(ids) for weight, ids in self.groups.values() if weight)

    def share(self, group: str) -> float:
        whole = sum(weight for weight, _ in self.groups.values())
        return self.groups[group][0] / whole if whole else 0.0


class PushWorld:
    """`listen` is told of every call to AWS and every verb of the ledger, before and after, and may end the caller."""

    def __init__(self, cloud: LocalCloud, database: Path, listen: Listen = nobody) -> None:
        self.cloud, self.listen = cloud, listen
        self.cluster = CLUSTER
        self.changes = 0
        self.plans: list[tuple[float, Callable[[], object]]] = []
        self.rps = 0.0
        self.shortfalls: list[str] = []
        self.least_spare = MOST_INSTANCES
        cloud.client("ec2", REGION)  # makes the region's network
        self.clients = DirectClients(cloud.application, REGION, self._hear)
        self._policies = DirectClients(cloud.application, REGION, whose="policies")
        fresh_ledger(database).close()
        self.open_ledger(database)

    def open_ledger(self, database: Path) -> None:
        self.database = database
        self.ledger: Any = ListenedLedger(database, self._hear)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.cloud.clock.now(), UTC)

    def fleet(self, before_change: BeforeChange = allow) -> AwsFleet:
        return AwsFleet(REGION, self.clients, LOAD_BALANCER, TRAFFIC, self.now, before_change)

    def view(self) -> ClusterView:
        return self.fleet().view_cluster(CLUSTER)

    def image(self, name: str) -> str:
        """The id of an image of that name."""
        return self.cloud.world.register_base_image(PROD_ACCOUNT, REGION, name, name)

    def seed(self, instances: int, rps: float) -> None:
        """Group v000 serves `rps` with `instances`, and has done so for some minutes."""
        goal = PushGoal(
            CLUSTER, Build(self.image("first"), "1.0"), "seed", TEMPLATE, SizeBounds(instances, MOST_INSTANCES),
            NEED, needs_traffic=False,
        )  # fmt: skip
        for progress in drive_push(self.fleet(), goal, self.now):
            self.wait(progress)
        assert isinstance(progress.end, Done), progress.sentence
        self.serve(rps)
        self.advance(300)

    def push_goal(self, run: str, **changes: Any) -> PushGoal:
        """To an image of that run's own."""
        watches = {"side_by_side_seconds": 6.0, "watch_seconds": 6.0}
        return PushGoal(
            CLUSTER, Build(self.image(run), "1.1", "c" * 7), run, TEMPLATE, SIZE, NEED, **{**watches, **changes}
        )

    def rollback_goal(self, run: str, **changes: Any) -> RollbackGoal:
        return RollbackGoal(CLUSTER, run, "users see errors", SIZE, NEED, **changes)

    def serve(self, rps: float) -> None:
        self.rps = rps
        self.cloud.serve(rps, REGION)

    def scale(self, group: str, desired: int) -> None:
        """As an autoscaler does; nobody's fault point."""
        self._policies("autoscaling").set_desired_capacity(AutoScalingGroupName=group, DesiredCapacity=desired)

    def mark(self) -> tuple[int, float]:
        """The same at two moments between which neither AWS nor the ledger nor the time has changed."""
        return self.changes, self.cloud.clock.now()

    def plan(self, seconds: float, action: Callable[[], object]) -> None:
        """Something that happens so many seconds from now."""
        self.plans.append((self.cloud.clock.now() + seconds, action))

    def wait(self, progress: Progress) -> None:
        self.advance(progress.pause_seconds)

    def advance(self, seconds: float) -> None:
        """Time goes by; every 5 s the agents on the instances say what they have served."""
        for _ in range(ceil(seconds)):
            self.cloud.advance(1)
            self._carry_out()
            if self.cloud.clock.now() % PUBLISH_SECONDS == 0:
                self._publish()
            self.check_need("a second")

    def serving(self) -> Serving:
        router: RecordRouter = self.cloud.router(REGION)
        health = router.health()
        targets = {
            group.name: [one.instance_id for one in group.targets if not one.is_draining] for group in router.groups
        }
        weights = router.listeners[0].weights if router.listeners else {}
        return Serving(
            {
                name: (weight, tuple(one for one in targets.get(name, ()) if health.get((name, one)) == "healthy"))
                for name, weight in weights.items()
            }
        )

    @property
    def need(self) -> int:
        return ceil(self.rps / RPS_PER_INSTANCE)

    def check_need(self, what: str) -> None:
        healthy = self.serving().healthy
        if self.rps:
            self.least_spare = min(self.least_spare, healthy - self.need)
        if self.rps and healthy < self.need:
            self.shortfalls.append(f"{what}: {healthy} healthy instances in traffic, {self.need} needed")

    def _hear(self, moment: str, operation: str) -> None:
        if not operation.startswith(READS) and (moment == "after" or operation.startswith("the commit")):
            self.changes += 1
            self.check_need(operation)
        self.listen(moment, operation)

    def _carry_out(self) -> None:
        now = self.cloud.clock.now()
        due = [action for at, action in self.plans if at <= now]
        self.plans = [(at, action) for at, action in self.plans if at > now]
        for action in due:
            action()

    def _publish(self) -> None:
        serving = self.serving()
        for name, (_, healthy) in serving.groups.items():
            for instance in healthy if serving.share(name) else ():
                count = PUBLISH_SECONDS * self.rps * serving.share(name) / len(healthy)
                self.cloud.publish_requests(name, instance, count)
