"""What a push is to reach: values that a task is given, the same at every retry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from include.fleet import Capacity, ClusterRef, Group, GroupSpec, Image
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
class PushGoal:
    """`build` is to take all main traffic of `cluster`.

    `run` owns what the push makes and survives retries. `red` is the name intended for the new group; None, or
    a name that somebody else has taken meanwhile: the next free one. `launch_within_seconds` is the time from
    the group's creation until all its instances are healthy and take traffic; later than that it is rolled back.
    `keep_black` groups out of traffic are kept, the newest first. `needs_traffic` is off for clusters that
    nobody calls: there "taking traffic" cannot be seen.
    """

    cluster: ClusterRef
    build: Build
    run: str
    template: GroupTemplate
    size: SizeBounds
    red: str | None = None
    headroom_pct: int = 10
    launch_within_seconds: float = 900.0
    keep_black: int = 1
    needs_traffic: bool = True


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
    launch_within_seconds: float = 900.0
    needs_traffic: bool = True
