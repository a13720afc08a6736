"""What a push is to reach: values that a task is given, the same at every retry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from include.fleet import Capacity, ClusterRef, Group, GroupSpec, Image, ScalingPolicy
from include.fleet.tags import APP, CLUSTER, COMMIT, IMAGE, ROLE, RUN, STACK, VERSION
from include.redblack.capacity import SizeBounds


@dataclass(frozen=True)
class Build:
    """Which code: an image of one region, and what it was made from."""

    image_id: str
    version: str = ""
    commit: str = ""

    @classmethod
    def of_image(cls, image: Image) -> Build:
        return cls(image.image_id, image.tags.get(VERSION, ""), image.tags.get(COMMIT, ""))

    @classmethod
    def of_group(cls, group: Group) -> Build:
        return cls(group.image_id, group.tags.get(VERSION, ""), group.tags.get(COMMIT, ""))


@dataclass(frozen=True)
class GroupTemplate:
    """What all groups of a cluster have in common."""

    instance_type: str
    port: int
    health_path: str
    user_data: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    def spec(
        self,
        name: str,
        cluster: ClusterRef,
        build: Build,
        capacity: Capacity,
        *,
        role: str,
        run: str,
        suspended: frozenset[str] = frozenset(),
        extra_tags: Mapping[str, str] | None = None,
    ) -> GroupSpec:
        """The group named `name`, owned by `run`."""
        tags = {
            APP: cluster.app,
            STACK: cluster.stack,
            CLUSTER: cluster.name,
            ROLE: role,
            RUN: run,
            IMAGE: build.image_id,
            VERSION: build.version,
            COMMIT: build.commit,
        }
        return GroupSpec(
            name=name,
            cluster=cluster,
            image_id=build.image_id,
            capacity=capacity,
            instance_type=self.instance_type,
            port=self.port,
            health_path=self.health_path,
            user_data=self.user_data,
            suspended=suspended,
            tags={**self.tags, **tags, **(extra_tags or {})},
        )


@dataclass(frozen=True)
class Need:
    """How much a cluster must be able to serve: `rps_per_instance` is what one instance carries at most, `target_rps`
    what it should have on average (0: the same); `start_seconds` from an instance's launch until it serves; `floor`
    the fewest healthy instances in traffic, whatever the traffic."""

    rps_per_instance: float
    target_rps: float = 0.0
    start_seconds: float = 120.0
    floor: int = 1

    @property
    def comfortable_rps(self) -> float:
        return self.target_rps or self.rps_per_instance


class AtPeak(StrEnum):
    """What becomes of a push that will run into a peak."""

    FINISH = "finish"
    HOLD = "hold"
    ROLL_BACK = "roll_back"


@dataclass(frozen=True)
class QuietTime:
    """The market is quiet until `until`, and again from `again` on (None: not within the days that are known).
    `may_begin`: a push may begin, though it would not be over by then: there are no longer windows, or it comes a few
    minutes late. It is held later. `are_all_short`: there are no longer windows: what has begun goes on until `until`,
    or no window would ever see its end."""

    until: datetime
    again: datetime | None = None
    at_peak: AtPeak = AtPeak.FINISH
    may_begin: bool = False
    are_all_short: bool = False


@dataclass(frozen=True)
class PushGoal:
    """`build` is to take all main traffic of `cluster`.

    `run` owns what the push makes and survives retries. `launch_within_seconds` is the time from the group's creation
    until all its instances are healthy and take traffic; later than that it is rolled back. Red is watched beside
    previous for `side_by_side_seconds`, and alone for `watch_seconds` (0: not at all); a watch that learns nothing for
    as long again is a failed one. `keep_black` groups out of traffic are kept, the newest first. `needs_traffic` is off
    for clusters that nobody calls: there "taking traffic" cannot be seen. `attempt`: how often this push failed before
    and was begun again by a person. `token`: the lease's; 0 where there is none. `quiet`: what is known of the peak to
    come; None: no peak matters.
    """

    cluster: ClusterRef
    build: Build
    run: str
    template: GroupTemplate
    size: SizeBounds
    need: Need
    headroom_pct: int = 10
    launch_within_seconds: float = 900.0
    side_by_side_seconds: float = 0.0
    watch_seconds: float = 0.0
    scaling: ScalingPolicy | None = None
    keep_black: int = 1
    needs_traffic: bool = True
    attempt: int = 0
    token: int = 0
    quiet: QuietTime | None = None


@dataclass(frozen=True)
class RollbackGoal:
    """The cluster is to go back to `to` (a group's name; "": the one before, unless it was rolled back itself).

    `run` owns the rollback, `reason` is why. `is_severe`: black takes at once what it can carry, and grows meanwhile;
    else it is grown first. `token`: the lease's; 0 where there is none.
    """

    cluster: ClusterRef
    run: str
    reason: str
    size: SizeBounds
    need: Need
    to: str = ""
    is_severe: bool = True
    needs_traffic: bool = True
    token: int = 0


@dataclass(frozen=True)
class JanitorGoal:
    """Black groups go after `black_seconds` out of traffic, and those beyond the newest `keep_black` at once."""

    cluster: ClusterRef
    black_seconds: float
    keep_black: int
    need: Need
    token: int = 0


@dataclass(frozen=True)
class CanaryGoal:
    """Canary and baseline of the same `size`, each with `share_pct` % of the cluster's traffic, for a soak.

    `run` owns the pair. `soak_seconds` begin when both take traffic; their end is written on the canary once.
    """

    cluster: ClusterRef
    canary: Build
    baseline: Build
    run: str
    template: GroupTemplate
    size: int
    share_pct: float
    soak_seconds: float
    need: Need
    launch_within_seconds: float = 900.0
    needs_traffic: bool = True
    token: int = 0
