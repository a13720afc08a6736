"""The steps of a push: each is one idempotent verb of the fleet, a wait, or an end. `sentence` is for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from include.fleet import Capacity, ClusterRef, GroupSpec, ScalingPolicy
from include.redblack.look import WatchRequest


@dataclass(frozen=True)
class CreateGroup:
    spec: GroupSpec

    @property
    def sentence(self) -> str:
        return f"launch {self.spec.name} with {self.spec.capacity.desired} instances of {self.spec.image_id}"


@dataclass(frozen=True)
class CreateRed(CreateGroup):
    """The new group, pinned, with what could interfere suspended."""


@dataclass(frozen=True)
class SetWeights:
    """One change of the listener; `weights` are all it is to have."""

    cluster: ClusterRef
    weights: Mapping[str, int]

    @property
    def split(self) -> str:
        whole = sum(self.weights.values()) or 1
        return ", ".join(f"{name} {100 * weight / whole:.1f} %" for name, weight in sorted(self.weights.items()))

    @property
    def sentence(self) -> str:
        return f"traffic: {self.split or 'none'}"


@dataclass(frozen=True)
class AttachGroups(SetWeights):
    """Without traffic: only a target group that a listener lists is health-checked."""

    @property
    def sentence(self) -> str:
        return "attach without traffic: " + ", ".join(sorted(n for n, weight in self.weights.items() if weight == 0))


@dataclass(frozen=True)
class AttachRed(AttachGroups):
    """Red, with weight 0."""


@dataclass(frozen=True)
class ShareTraffic(SetWeights):
    """Red beside previous (red/red), each instance with the same load; or a canary and its baseline."""

    @property
    def sentence(self) -> str:
        return f"share traffic: {self.split}"


@dataclass(frozen=True)
class DisablePrevious(SetWeights):
    """Red takes it all; previous becomes black: attached with weight 0, its instances online and checked."""

    @property
    def sentence(self) -> str:
        return f"take the previous group out of traffic: {self.split}"


@dataclass(frozen=True)
class EnableBlack(SetWeights):
    """Rollback: the group to go back to takes traffic, all of it or what it can carry."""

    @property
    def sentence(self) -> str:
        return f"give traffic back: {self.split}"


@dataclass(frozen=True)
class DisableRed(SetWeights):
    """Rollback: the bad group goes out of traffic."""

    @property
    def sentence(self) -> str:
        return f"take the bad group out of traffic: {self.split}"


@dataclass(frozen=True)
class RestoreMain(SetWeights):
    """Canary and baseline out of traffic; main groups as they were among each other."""


@dataclass(frozen=True)
class ResizeGroup:
    name: str
    capacity: Capacity

    @property
    def sentence(self) -> str:
        wanted = self.capacity
        return f"resize {self.name} to {wanted.desired} (from {wanted.minimum} to {wanted.maximum})"


@dataclass(frozen=True)
class GrowRed(ResizeGroup):
    """The previous group grew since red was launched."""


@dataclass(frozen=True)
class GrowBlack(ResizeGroup):
    """Rollback: the group to go back to is too small for the traffic of now."""


@dataclass(frozen=True)
class Unpin(ResizeGroup):
    """The minimum back to the cluster's own; the wish stays."""


@dataclass(frozen=True)
class PutScalingPolicy:
    name: str
    policy: ScalingPolicy

    @property
    def sentence(self) -> str:
        return f"scale {self.name} at {self.policy.target_rps:g} requests/s an instance"


@dataclass(frozen=True)
class SuspendProcesses:
    name: str
    processes: frozenset[str]

    @property
    def sentence(self) -> str:
        return f"suspend {', '.join(sorted(self.processes))} on {self.name}"


@dataclass(frozen=True)
class SuspendBlack(SuspendProcesses):
    """So that the black group cannot drift while nobody uses it."""


@dataclass(frozen=True)
class ResumeProcesses:
    name: str
    processes: frozenset[str]

    @property
    def sentence(self) -> str:
        return f"resume {', '.join(sorted(self.processes))} on {self.name}"


@dataclass(frozen=True)
class TagGroup:
    name: str
    tags: Mapping[str, str]

    @property
    def sentence(self) -> str:
        return f"note on {self.name}: " + ", ".join(f"{key} = {value!r}" for key, value in sorted(self.tags.items()))


@dataclass(frozen=True)
class MarkFailed(TagGroup):
    """From here on every look at the cluster rolls back, whoever looks."""

    reason: str = ""

    @property
    def sentence(self) -> str:
        return f"roll back {self.name}: {self.reason}"


@dataclass(frozen=True)
class MarkSoakEnd(TagGroup):
    """The absolute end of the soak; no retry or restart moves it."""


@dataclass(frozen=True)
class DeleteGroup:
    name: str

    @property
    def sentence(self) -> str:
        return f"delete {self.name}"


@dataclass(frozen=True)
class RetireOlder(DeleteGroup):
    """A black group of an earlier push, beyond those to keep."""


@dataclass(frozen=True)
class DeleteRed(DeleteGroup):
    """The end of a rollback: traffic is back where it was. The push has failed for `reason`."""

    reason: str = ""


@dataclass(frozen=True)
class Wait:
    """Nothing to do but look again; `missing` is what is waited for, one entry an instance or part."""

    what: str
    missing: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        shown = "; ".join(self.missing[:5])
        more = f"; and {len(self.missing) - 5} more" if len(self.missing) > 5 else ""
        return f"wait until {self.what}" + (f": {shown}{more}" if shown else "")


@dataclass(frozen=True)
class WaitHealthy(Wait):
    """Instances that are not healthy yet, each with why."""


@dataclass(frozen=True)
class WaitTakingTraffic(Wait):
    """Instances on which no request has been seen yet."""


@dataclass(frozen=True)
class WaitHeld(Wait):
    """Somebody holds the cluster: no push goes forward."""


@dataclass(frozen=True)
class WaitPeak(Wait):
    """The push would run into a peak: it goes on when that is over, at `again` (None: not within the days known)."""

    again: datetime | None = None


@dataclass(frozen=True)
class WaitGuard(Wait):
    """The traffic guard refuses the next step; capacity or traffic may change."""


@dataclass(frozen=True)
class WatchRed(Wait):
    """Red is watched until `request.until`; what was found is in the next look."""

    request: WatchRequest | None = None


@dataclass(frozen=True)
class Done:
    summary: str
    group: str = ""

    @property
    def sentence(self) -> str:
        return self.summary


@dataclass(frozen=True)
class Failed:
    """The push ended without success; `reason` says why and how the cluster was left."""

    reason: str

    @property
    def sentence(self) -> str:
        return self.reason


Verb = (
    CreateGroup
    | SetWeights
    | ResizeGroup
    | PutScalingPolicy
    | SuspendProcesses
    | ResumeProcesses
    | TagGroup
    | DeleteGroup
)  # every one of these is exactly one call of the fleet's port
End = Done | Failed
Step = Verb | Wait | End
