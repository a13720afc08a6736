"""The port of the fleet: what the product may see and do in one region. Every verb is idempotent.

A verb that finds its work done returns silently; one that finds something foreign in its place raises
RefusedError; one that the cloud could not answer raises RetryableError. Each failure says why, naming the
call, the region and the thing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from include.fleet.values import (
    Builder,
    BuilderSpec,
    Capacity,
    ClusterRef,
    ClusterView,
    GroupSpec,
    Image,
    ScalingPolicy,
    TrafficHistory,
)


class Fleet(Protocol):
    """Groups of one region."""

    region: str

    def view_cluster(self, cluster: ClusterRef, *, health_of: Collection[str] | None = None) -> ClusterView:
        """Groups (tagged `redstart:cluster` = its name), listener weights, and target health of `health_of`.

        Two reads and one for each group whose health is asked for; None: every attached group's. Groups whose
        health was not read say so (`is_health_read`).
        """

    def create_group(self, spec: GroupSpec) -> None:
        """Target group, launch template and Auto Scaling group of `spec.name`; adopts its own half-made parts."""

    def set_weights(self, cluster: ClusterRef, weights: Mapping[str, int]) -> None:
        """Give the cluster's listener exactly these group weights (0-999) in one change; absent means removed."""

    def resize_group(self, name: str, capacity: Capacity) -> None: ...

    def suspend_processes(self, name: str, processes: Sequence[str]) -> None: ...

    def resume_processes(self, name: str, processes: Sequence[str]) -> None: ...

    def tag_group(self, name: str, tags: Mapping[str, str]) -> None: ...

    def delete_group(self, name: str) -> None:
        """Group, its instances, launch template and target group; a group with weight > 0 is refused."""

    def put_scaling_policy(self, name: str, policy: ScalingPolicy) -> None:
        """The group's only policy of ours, then noted on it; its target group must be attached to the listener."""

    def address(self) -> str:
        """Base URL at which clients reach whatever the listener forwards to: `http://<name>:<port>`."""

    def read_traffic(self, cluster: ClusterRef, *, seconds: int) -> TrafficHistory:
        """What the cluster's listener has served in the last `seconds`, in one read."""

    def count_requests(self, group: str, *, seconds: int) -> dict[str, float]:
        """Requests served per instance id in the last `seconds`, from the metric store (absent = none seen)."""


class ImageWorkshop(Protocol):
    """Images of one region."""

    region: str

    def find_images(self, tags: Mapping[str, str]) -> list[Image]:
        """Own images that carry all `tags`, newest first."""

    def find_base_image(self, name_pattern: str) -> Image:
        """The newest available image whose name matches AWS's wildcard pattern; none: RefusedError."""

    def launch_builder(self, spec: BuilderSpec) -> str:
        """The id of the (new or adopted) builder instance."""

    def view_builder(self, name: str) -> Builder:
        """The builder named `name`; one that is there before one that is gone."""

    def view_console(self, name: str) -> str:
        """The last lines that the builder wrote to its console, as far as the cloud has kept them; "" for none."""

    def find_builders(self, app: str) -> list[Builder]:
        """The application's builders that are there, one a name (of several the youngest), oldest first."""

    def create_image(self, builder: str, name: str, tags: Mapping[str, str]) -> Image:
        """Image of the stopped builder named `builder`; an image of that name and of the same code is adopted.

        The same code: the tags of `IDENTITY` are the same. The others may differ: who came first has named itself.
        """

    def copy_image(self, source_region: str, image: Image) -> Image:
        """A copy of `image` in this region, with its name and tags; an existing copy is adopted."""

    def share_image(self, image_id: str, account_ids: Sequence[str]) -> None:
        """Let these accounts launch the image, and copy it (which takes its snapshots)."""

    def end_builder(self, name: str) -> None:
        """Terminate the builder named `name` if it is there."""

    def delete_image(self, image_id: str) -> None:
        """Deregister the image and delete its snapshots; one that is gone already is as good as deleted."""
