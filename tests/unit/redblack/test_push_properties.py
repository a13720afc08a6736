"""Whatever happens to the world and to the engine meanwhile: a push ends, and the cluster keeps serving."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.errors import RetryableError
from include.fleet import Capacity, ClusterRef
from include.redblack import Build, Done, GroupTemplate, PushGoal, SizeBounds, drive_push
from include.redblack.drive import Progress
from include.redblack.roles import PUSH_SUSPENDED
from tests.support.fake_fleet import FakeFleet, Killed

CLUSTER = ClusterRef("api", "main", "us-east-1")
GOAL = PushGoal(
    CLUSTER, Build("ami-new"), "push-1", GroupTemplate("m5.large", 8080, "/health"), SizeBounds(1, 40),
    launch_within_seconds=120,
)  # fmt: skip
PREVIOUS, RED, OTHER = "api-main-v041", "api-main-v042", "api-main-canary-v007"
MOMENTS = st.integers(0, 45)
EVENTS = st.sampled_from(
    ["drop", "kill_red", "kill_previous", "break_red", "mend_red", "grow_previous", "shrink_previous", "silence",
     "throttle", "lose_reply", "die_in_call"]
)  # fmt: skip
SCRIPTS = st.lists(st.tuples(MOMENTS, EVENTS), max_size=6)


class World:
    """A cluster with a previous group and somebody else's canary, and what a change of traffic may not do."""

    def __init__(self, size: int) -> None:
        self.fleet = FakeFleet()
        self.fleet.seed(CLUSTER, PREVIOUS, "ami-old", size, weight=90)
        self.fleet.seed(CLUSTER, OTHER, "ami-x", 1, weight=10)
        self.fleet.records[OTHER].tags["redstart:role"] = "canary"
        self.fleet.hook = self.hook
        self.before = 0
        self.next_fault = ""

    def healthy(self, name: str) -> int:
        group = self.fleet.view_cluster(CLUSTER).group(name)
        return group.healthy_count if group else 0

    def mains_in_traffic(self) -> int:
        return sum(self.healthy(name) for name in (PREVIOUS, RED) if self.fleet.listener.get(name, 0) > 0)

    def hook(self, call: str, moment: str) -> None:
        assert OTHER not in call, call
        fault, lost = self.next_fault, moment == "after"
        if fault == "die_in_call" or fault == ("lose_reply" if lost else "throttle"):
            self.next_fault = ""
            raise Killed if fault == "die_in_call" else RetryableError(f"{call}: {fault}")
        if call == "modify_listener" and not lost:
            self.before = self.mains_in_traffic()
        elif call == "modify_listener":
            after = self.mains_in_traffic()
            assert after >= min(self.before, max(self.healthy(PREVIOUS), 1)), (self.before, after, self.fleet.listener)
            assert self.fleet.listener[OTHER] > 0

    def happen(self, event: str) -> None:
        records = self.fleet.records
        if event in ("throttle", "lose_reply", "die_in_call"):
            self.next_fault = event
        elif event == "kill_red" and RED in records and records[RED].members:
            self.fleet.kill_instance(RED)
        elif event == "kill_previous" and records[PREVIOUS].members:
            self.fleet.kill_instance(PREVIOUS)
        elif event in ("break_red", "mend_red"):
            (self.fleet.broken_images.add if event == "break_red" else self.fleet.broken_images.discard)("ami-new")
        elif event == "silence":
            self.fleet.silent_images.add("ami-new")
        elif event in ("grow_previous", "shrink_previous"):
            old = records[PREVIOUS].capacity
            wanted = max(old.desired + (2 if event == "grow_previous" else -1), 1)
            records[PREVIOUS].capacity = Capacity(1, wanted, 99)


def run(world: World, script: list[tuple[int, str]]) -> Progress:
    turns = iter(range(1500))
    while True:
        try:
            for progress in drive_push(world.fleet, GOAL, world.fleet.clock):
                turn = next(turns)
                if progress.end:
                    return progress
                due = [event for moment, event in script if moment == turn]
                for event in due:
                    world.happen(event)
                world.fleet.advance(progress.pause_seconds)
                if "drop" in due:
                    break
        except Killed:
            continue


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 12), SCRIPTS)
def test_a_push_ends_and_never_leaves_the_cluster_short(size: int, script: list[tuple[int, str]]) -> None:
    world = World(size)
    progress = run(world, script)
    world.next_fault = ""
    world.fleet.broken_images.clear()
    world.fleet.advance(60)
    fleet = world.fleet
    enabled = [name for name, weight in fleet.listener.items() if weight > 0 and name != OTHER]
    assert len(enabled) == 1
    if isinstance(progress.end, Done):
        red = fleet.records[enabled[0]]
        assert red.spec.image_id == "ami-new"
        assert not red.suspended & PUSH_SUSPENDED
        assert red.capacity.minimum == 1
    else:
        assert enabled == [PREVIOUS]
        assert not fleet.records[PREVIOUS].suspended
        assert "ami-new" not in {record.spec.image_id for record in fleet.records.values()}
    assert sum(world.healthy(name) for name in enabled) >= 1
