"""No-process mode: machines and routers that only keep records and follow the clock.

A machine whose user data switches it off (`shutdown` or `poweroff`) runs for `build_seconds` and is stopped then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from include.errors import RefusedError
from include.localcloud.seams import (
    Clock,
    ListenerSpec,
    MachineSpec,
    MachineState,
    TargetGroupCounts,
    TargetGroupSpec,
    TargetHealth,
)


@dataclass
class _Record:
    spec: MachineSpec
    launched_at: float
    boot_seconds: float
    state: MachineState | None = None  # None: follows the clock
    is_refused: bool = False


@dataclass
class RecordMachines:
    """`Machines` in memory. Levers: `boot_seconds`, `build_seconds`, `refuses_boot` (asked at launch), `sicken`."""

    clock: Clock
    boot_seconds: Callable[[], float] = lambda: 1.0
    build_seconds: float = 5.0
    refuses_boot: Callable[[MachineSpec], bool] = lambda spec: False
    sick: set[str] = field(default_factory=set)
    specs: dict[str, MachineSpec] = field(default_factory=dict)
    _records: dict[str, _Record] = field(default_factory=dict)
    _snapshots: int = 0

    def launch(self, spec: MachineSpec) -> None:
        if spec.instance_id not in self._records:
            refused = self.refuses_boot(spec)
            self._records[spec.instance_id] = _Record(spec, self.clock.now(), self.boot_seconds(), None, refused)
            self.specs[spec.instance_id] = spec

    def state(self, instance_id: str) -> MachineState:
        record = self._records.get(instance_id)
        if record is None:
            return "terminated"
        if record.state is not None:
            return record.state
        age = self.clock.now() - record.launched_at
        if age < record.boot_seconds:
            return "booting"
        switches_off = b"shutdown" in record.spec.user_data or b"poweroff" in record.spec.user_data
        if record.is_refused or (switches_off and age >= record.boot_seconds + self.build_seconds):
            return "stopped"
        return "running"

    def stop(self, instance_id: str) -> None:
        record = self._records.get(instance_id)
        if record is not None:
            record.state = "stopped"

    def terminate(self, instance_id: str) -> None:
        self._records.pop(instance_id, None)

    def kill(self, instance_id: str) -> None:
        self.stop(instance_id)

    def sicken(self, instance_id: str) -> None:
        """From now on its health checks fail; `heal` undoes it."""
        self.sick.add(instance_id)

    def heal(self, instance_id: str) -> None:
        self.sick.discard(instance_id)

    def answers(self, instance_id: str) -> bool:
        return self.state(instance_id) == "running" and instance_id not in self.sick

    def snapshot(self, instance_id: str) -> str:
        if self.state(instance_id) in {"terminated", "booting"}:
            raise RefusedError(f"{instance_id} is {self.state(instance_id)}: its disk cannot be kept")
        self._snapshots += 1
        return f"content-of-{instance_id}-{self._snapshots}"

    def console(self, instance_id: str) -> str:
        return f"{instance_id} says nothing of itself\n" if instance_id in self._records else ""

    def close(self) -> None:
        """Also the reset between tests: no machine, no lever is left."""
        self._records.clear()
        self.specs.clear()
        self.sick.clear()
        self.boot_seconds, self.build_seconds, self.refuses_boot = lambda: 1.0, 5.0, lambda spec: False


@dataclass
class _Check:
    """`since`: when its answer last changed."""

    is_good: bool
    since: float
    known: TargetHealth | None = None


class RecordRouter:
    """`Router` in memory. A target's answer must stay the same for (threshold - 1) intervals to count.

    `rps` is the pretended traffic on each listener, shared by the groups' weights.
    """

    def __init__(self, clock: Clock, machines: RecordMachines) -> None:
        self._clock, self._machines = clock, machines
        self.groups: tuple[TargetGroupSpec, ...] = ()
        self.listeners: tuple[ListenerSpec, ...] = ()
        self.applied: list[tuple[tuple[TargetGroupSpec, ...], tuple[ListenerSpec, ...]]] = []
        self.rps = 0.0
        self._checks: dict[tuple[str, str], _Check] = {}
        self._served: dict[str, float] = {}
        self._counted_at = clock.now()

    def apply(self, target_groups: Sequence[TargetGroupSpec], listeners: Sequence[ListenerSpec]) -> None:
        wished = tuple(target_groups), tuple(listeners)
        if wished == (self.groups, self.listeners):
            return
        self._serve()
        self.groups, self.listeners = wished
        self.applied.append(wished)
        known = {(group.name, target.instance_id) for group in self.groups for target in group.targets}
        self._checks = {key: check for key, check in self._checks.items() if key in known}
        self.health()

    def health(self) -> Mapping[tuple[str, str], TargetHealth]:
        now = self._clock.now()
        for group in self.groups:
            for target in group.targets:
                is_good = self._machines.answers(target.instance_id)
                check = self._checks.setdefault((group.name, target.instance_id), _Check(is_good, now, "initial"))
                if check.is_good != is_good:
                    check.is_good, check.since = is_good, now
                threshold = group.healthy_threshold if is_good else group.unhealthy_threshold
                if now - check.since >= (threshold - 1) * group.interval_seconds:
                    check.known = "healthy" if is_good else "unhealthy"
        return {key: check.known for key, check in self._checks.items() if check.known}

    def counts(self) -> Mapping[str, TargetGroupCounts]:
        self._serve()
        return {
            name: TargetGroupCounts(requests=int(count), responses_2xx=int(count), latency_buckets={25.0: int(count)})
            for name, count in self._served.items()
        }

    def close(self) -> None:
        self.groups, self.listeners = (), ()

    def _serve(self) -> None:
        now = self._clock.now()
        seconds, self._counted_at = now - self._counted_at, now
        for listener in self.listeners:
            total = sum(listener.weights.values())
            for name, weight in listener.weights.items():
                if total and self.rps:
                    self._served[name] = self._served.get(name, 0.0) + seconds * self.rps * weight / total
