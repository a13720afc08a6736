"""Calls to AWS of a push, a rollback and the janitor, for 3, 30 and 300 instances, counted where they arrive.

The local cloud without processes, in its own time. A poll is a look between two turns of a wait. Before and after a
deed the look is whole: it also reads the health of all groups, the traffic, and, the first time, half-made groups.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "plugins")]

from include.adapters.aws_fleet import AwsFleet  # noqa: E402
from include.adapters.aws_groups import GroupSettings  # noqa: E402
from include.fleet import ClusterRef, ScalingPolicy  # noqa: E402
from include.localcloud.clock import utc  # noqa: E402
from include.redblack import (  # noqa: E402
    Build,
    Done,
    GroupTemplate,
    JanitorGoal,
    Need,
    Progress,
    PushGoal,
    RollbackGoal,
    SizeBounds,
    drive_janitor,
    drive_push,
    drive_rollback,
)
from include.redblack.steps import Wait  # noqa: E402
from include.services.settings import PROD_ACCOUNT  # noqa: E402
from tests.support.local_cloud import LocalCloud  # noqa: E402

SIZES = (3, 30, 300)
REGION = "us-east-1"
CLUSTER = ClusterRef("api", "main", REGION)
TEMPLATE = GroupTemplate("m5.large", 8080, "/health")
RPS_PER_INSTANCE = 50.0
READS = ("Describe", "Get", "List")
SCALING = ScalingPolicy(30.0, 60.0)
MOST_MUTATING, MOST_READS, MOST_POLLS, MOST_QUICK = 25, 3, 12, 15
QUICK_SECONDS = 2.0
BETWEEN_SECONDS = 120.0
WATCH_SECONDS = 180.0


@dataclass
class Account:
    """The calls of one drive. `polls`: (moment, seconds until the next look) of each."""

    mutating: Counter[str] = field(default_factory=Counter)
    reads: int = 0
    reads_of_poll: int = 0
    reads_of_whole_look: int = 0
    polls: list[tuple[float, float]] = field(default_factory=list)
    seconds: float = 0.0
    is_waiting: bool = False

    def note(self, calls: Counter[str], progress: Progress, now: float) -> None:
        reads = sum(count for name, count in calls.items() if name.startswith(READS))
        self.mutating += Counter({name: count for name, count in calls.items() if not name.startswith(READS)})
        self.reads += reads
        is_wait = isinstance(progress.step, Wait)
        if is_wait and self.is_waiting:
            self.reads_of_poll = max(self.reads_of_poll, reads)
        else:
            self.reads_of_whole_look = max(self.reads_of_whole_look, reads)
        if is_wait:
            self.polls.append((now, progress.pause_seconds))
        self.is_waiting = is_wait

    @property
    def polls_a_minute(self) -> int:
        """The most in any minute, bursts aside."""
        slow = [at for at, pause in self.polls if pause > QUICK_SECONDS]
        return max((sum(start <= at < start + 60 for at in slow) for start in slow), default=0)

    @property
    def quick_polls(self) -> int:
        """The longest row of looks without much of a pause."""
        longest = row = 0
        for _, pause in self.polls:
            row = row + 1 if pause <= QUICK_SECONDS else 0
            longest = max(longest, row)
        return longest


class Site:
    """A cluster of `size` instances with as much traffic as 60 % of them carry."""

    def __init__(self, cloud: LocalCloud, size: int) -> None:
        cloud.reset()
        self.cloud, self.size = cloud, size
        self.bounds = SizeBounds(size, size * 2)
        self.need = Need(RPS_PER_INSTANCE, start_seconds=60)
        cloud.client("ec2", REGION)
        self.account = Account()
        seed = replace(self.push_goal("seed"), needs_traffic=False, watch_seconds=0.0)
        self.run(drive_push(self.fleet(), seed, self.now))
        cloud.serve(0.6 * size * RPS_PER_INSTANCE, REGION)
        self.advance(120)

    def now(self) -> datetime:
        return utc(self.cloud.clock.now())

    def fleet(self) -> AwsFleet:
        settings = GroupSettings(traffic_period_seconds=5)
        return AwsFleet(REGION, self.cloud.client, "api-main", settings, self.now)

    def push_goal(self, run: str) -> PushGoal:
        image_id = self.cloud.world.register_base_image(PROD_ACCOUNT, REGION, run, run)
        return PushGoal(
            CLUSTER, Build(image_id, "1.1", "c" * 40), run, TEMPLATE, self.bounds, self.need,
            side_by_side_seconds=60, watch_seconds=WATCH_SECONDS, scaling=SCALING,
        )  # fmt: skip

    def run(self, turns: Iterator[Progress]) -> Account:
        """Drive to the end, counting what each turn calls."""
        self.account = account = Account()
        self.cloud.calls.clear()
        began = self.cloud.clock.now()
        for progress in turns:
            calls = Counter({one["action"]: one["count"] for one in self.cloud.calls.since(0)})
            account.note(calls, progress, self.cloud.clock.now())
            self.advance(progress.pause_seconds)
            self.cloud.calls.clear()
        assert isinstance(progress.end, Done), progress.sentence
        account.seconds = self.cloud.clock.now() - began
        return account

    def advance(self, seconds: float) -> None:
        """Every 5 s the agents of the instances in traffic say that they serve."""
        end = self.cloud.clock.now() + seconds
        while self.cloud.clock.now() < end:
            self.cloud.advance(min(1.0, end - self.cloud.clock.now()))
            if self.cloud.clock.now() % 5 < 1:
                self._publish()

    def _publish(self) -> None:
        router = self.cloud.router(REGION)
        health, weights = router.health(), router.listeners[0].weights if router.listeners else {}
        for group in router.groups:
            for target in group.targets if weights.get(group.name) else ():
                if health.get((group.name, target.instance_id)) == "healthy":
                    self.cloud.publish_requests(group.name, target.instance_id, 100.0, REGION)


def drives(site: Site) -> Iterator[tuple[str, Iterator[Progress]]]:
    """What is measured, one after the other on the same cluster."""
    yield "push", drive_push(site.fleet(), site.push_goal("push-1"), site.now)
    site.advance(BETWEEN_SECONDS)
    goal = RollbackGoal(CLUSTER, "rollback-1", "users see errors", site.bounds, site.need)
    yield "rollback", drive_rollback(site.fleet(), goal, site.now)
    site.advance(BETWEEN_SECONDS)
    yield "janitor", drive_janitor(site.fleet(), JanitorGoal(CLUSTER, BETWEEN_SECONDS, 1, site.need), site.now)


def main() -> int:
    sizes = [int(one) for one in sys.argv[1:]] or SIZES
    cloud, rows = LocalCloud(), {}
    print("           instances  mutating  reads a poll  a whole look  polls a minute  quick polls  all reads  minutes")
    for size in sizes:
        site = Site(cloud, size)
        for name, turns in drives(site):
            row = rows[name, size] = site.run(turns)
            print(
                f"{name:10} {size:9}  {row.mutating.total():8}  {row.reads_of_poll:12}  {row.reads_of_whole_look:12}  "
                f"{row.polls_a_minute:14}  {row.quick_polls:11}  {row.reads:9}  {row.seconds / 60:7.1f}",
                flush=True,
            )
    cloud.close()
    print(
        "a push's mutating calls:",
        ", ".join(f"{n} {name}" for name, n in sorted(rows["push", sizes[0]].mutating.items())),
    )
    wrong = [f"{name} at {size}: {what}" for (name, size), row in rows.items() for what in faults_of(row)]
    wrong += [
        f"{name} grows with instances"
        for name in ("push", "rollback", "janitor")
        if len({rows[name, size].mutating.total() for size in sizes}) > 1
    ]
    print("PASS" if not wrong else "FAIL: " + "; ".join(wrong))
    return bool(wrong)


def faults_of(row: Account) -> Iterator[str]:
    limits = (
        ("mutating calls", row.mutating.total(), MOST_MUTATING),
        ("reads a poll", row.reads_of_poll, MOST_READS),
        ("polls a minute", row.polls_a_minute, MOST_POLLS),
        ("quick polls", row.quick_polls, MOST_QUICK),
    )
    yield from (f"{found} {what}, at most {most}" for what, found, most in limits if found > most)


if __name__ == "__main__":
    sys.exit(main())
