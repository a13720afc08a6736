"""Whatever happens to the world and to the engines meanwhile: a push or a rollback ends, and the cluster keeps
serving."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from include.errors import RefusedError, RetryableError
from include.fleet import Capacity, ClusterRef
from include.redblack import (
    Build,
    Done,
    Finding,
    GroupTemplate,
    Need,
    Progress,
    PushGoal,
    RollbackGoal,
    SizeBounds,
    Watched,
    WatchRequest,
    drive_push,
    drive_rollback,
)
from include.redblack.roles import PUSH_SUSPENDED
from tests.support.fake_fleet import FakeFleet, Killed

CLUSTER = ClusterRef("api", "main", "us-east-1")
SIZE, NEED = SizeBounds(1, 40), Need(10.0, start_seconds=20)
GOAL = PushGoal(
    CLUSTER, Build("ami-new"), "push-1", GroupTemplate("m5.large", 8080, "/health"), SIZE, NEED,
    launch_within_seconds=120, side_by_side_seconds=10, watch_seconds=20,
)  # fmt: skip
BACK = RollbackGoal(CLUSTER, "rollback-1", "by hand", SIZE, NEED)
PREVIOUS, RED, OTHER = "api-main-v041", "api-main-v042", "api-main-canary-v007"
MOMENTS = st.integers(0, 60)
EVENTS = st.sampled_from(
    ["drop", "kill_red", "kill_previous", "break_red", "mend_red", "grow_previous", "shrink_previous", "silence",
     "throttle", "lose_reply", "die_in_call", "more_traffic", "less_traffic", "unknown_traffic", "alarm", "by_hand"]
)  # fmt: skip
SCRIPTS = st.lists(st.tuples(MOMENTS, EVENTS), max_size=7)


class World:
    """A cluster with a previous group and somebody else's canary, and what a change of traffic may not do."""

    def __init__(self, size: int) -> None:
        self.fleet = FakeFleet()
        self.fleet.seed(CLUSTER, PREVIOUS, "ami-old", size, weight=90)
        self.fleet.seed(CLUSTER, OTHER, "ami-x", 1, weight=10)
        self.fleet.records[OTHER].tags["redstart:role"] = "canary"
        self.fleet.advance(60)
        self.fleet.rps = 9.0 * size
        self.fleet.hook = self.hook
        self.lack_before = 0.0
        self.next_fault = ""
        self.alarm = False
        self.by_hand = False

    def healthy(self, name: str) -> int:
        group = self.fleet.view_cluster(CLUSTER).group(name)
        return group.healthy_count if group else 0

    def lack(self) -> float:
        """Instances that the main groups lack for their shares of the traffic; of no known traffic: 0."""
        weights = {name: weight for name, weight in self.fleet.listener.items() if weight > 0}
        whole, rps = sum(weights.values()), self.fleet.rps
        if rps is None or not whole:
            return 0.0
        mains = (name for name in weights if name != OTHER)
        return sum(max(rps * weights[name] / whole / 10.0 - self.healthy(name), 0.0) for name in mains)

    def hook(self, call: str, moment: str) -> None:
        assert OTHER not in call, call
        fault, lost = self.next_fault, moment == "after"
        if fault == "die_in_call" or fault == ("lose_reply" if lost else "throttle"):
            self.next_fault = ""
            raise Killed if fault == "die_in_call" else RetryableError(f"{call}: {fault}")
        if call == "modify_listener" and not lost:
            self.lack_before = self.lack()
        elif call == "modify_listener":
            assert self.lack() <= self.lack_before + 0.05, (self.lack(), self.lack_before, self.fleet.listener)
            assert self.fleet.listener[OTHER] > 0

    def happen(self, event: str) -> None:
        records, fleet = self.fleet.records, self.fleet
        if event in ("throttle", "lose_reply", "die_in_call"):
            self.next_fault = event
        elif event == "kill_red" and RED in records and records[RED].members:
            fleet.kill_instance(RED)
        elif event == "kill_previous" and records[PREVIOUS].members:
            fleet.kill_instance(PREVIOUS)
        elif event in ("break_red", "mend_red"):
            (fleet.broken_images.add if event == "break_red" else fleet.broken_images.discard)("ami-new")
        elif event == "silence":
            fleet.silent_images.add("ami-new")
        elif event in ("grow_previous", "shrink_previous") and fleet.listener.get(PREVIOUS):
            old = records[PREVIOUS].capacity
            wanted = max(old.desired + (2 if event == "grow_previous" else -1), 1)
            records[PREVIOUS].capacity = Capacity(1, wanted, 99)
        elif event in ("more_traffic", "less_traffic") and fleet.rps is not None:
            fleet.rps *= 1.3 if event == "more_traffic" else 0.7
        elif event == "unknown_traffic":
            fleet.rps = None
        elif event == "alarm":
            self.alarm = True
        elif event == "by_hand":
            self.by_hand = True

    def watch(self, request: WatchRequest) -> Watched:
        return Watched(Finding.UNSOUND if self.alarm else Finding.SOUND, self.fleet.now, "an alarm")

    def engine(self) -> Iterator[Progress]:
        """Whose turn it is: a rollback by hand goes before the push, and to its end."""
        if self.by_hand:
            return drive_rollback(self.fleet, BACK, self.fleet.clock)
        return drive_push(self.fleet, GOAL, self.fleet.clock, watch=self.watch)


def run(world: World, script: list[tuple[int, str]]) -> Progress:
    turns = iter(range(2500))
    while True:
        try:
            for progress in world.engine():
                turn = next(turns)
                was_by_hand = world.by_hand
                due = [event for moment, event in script if moment == turn]
                if progress.end and not (due and "by_hand" in due):
                    return progress
                for event in due:
                    world.happen(event)
                world.fleet.advance(progress.pause_seconds)
                if turn > 300 and world.fleet.rps is not None:
                    world.fleet.rps = 1.0  # the night comes: no step is refused for ever
                if "drop" in due or world.by_hand is not was_by_hand:
                    break
        except Killed:
            continue
        except RefusedError:  # the push had gone back by itself, to the only other group there is
            assert world.by_hand
            world.by_hand = False


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 12), SCRIPTS)
@example(1, [(15, "kill_previous"), (15, "break_red")])
def test_it_ends_and_never_makes_the_cluster_short(size: int, script: list[tuple[int, str]]) -> None:
    world = World(size)
    progress = run(world, script)
    world.next_fault = ""
    world.fleet.broken_images.clear()
    world.fleet.advance(60)
    fleet = world.fleet
    enabled = [name for name, weight in fleet.listener.items() if weight > 0 and name != OTHER]
    assert len(enabled) == 1
    serving = fleet.records[enabled[0]]
    assert not serving.suspended & PUSH_SUSPENDED
    assert serving.capacity.minimum == 1
    assert sum(world.healthy(name) for name in enabled) >= 1
    if isinstance(progress.end, Done) and not world.by_hand:
        assert serving.spec.image_id == "ami-new"
    elif not isinstance(progress.end, Done):
        assert enabled == [PREVIOUS]
        assert not serving.suspended
    assert fleet.records[OTHER].tags["redstart:role"] == "canary"
