"""The image workshop's port over EC2: images, copies and shares of one region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from include.adapters.aws_builders import AwsBuilders
from include.adapters.aws_errors import AwsCalls, AwsRefusedError, ClientFactory, tag_list, tag_map
from include.adapters.aws_groups import GroupSettings
from include.errors import RefusedError, RetryableError
from include.fleet.tags import IDENTITY
from include.fleet.values import Image

NAME_TAKEN = "InvalidAMIName.Duplicate"
GONE = ("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable")


class AwsImages(AwsBuilders):
    """Images of one region; see include/fleet/port.py. `base_image_owners` are whose base images are trusted.

    A name is an image's once in a region: AWS refuses a second one, so of two that make it at once one adopts.
    """

    def __init__(
        self,
        region: str,
        clients: ClientFactory,
        settings: GroupSettings | None = None,
        base_image_owners: Sequence[str] = ("self",),
    ) -> None:
        super().__init__(AwsCalls(region, clients), settings or GroupSettings())
        self.region = region
        self._base_image_owners = list(base_image_owners)

    def find_images(self, tags: Mapping[str, str]) -> list[Image]:
        filters = [{"Name": f"tag:{key}", "Values": [value]} for key, value in sorted(tags.items())]
        return self._find(filters, ["self"])

    def find_base_image(self, name_pattern: str) -> Image:
        filters = [{"Name": "name", "Values": [name_pattern]}, {"Name": "state", "Values": ["available"]}]
        found = self._find(filters, self._base_image_owners)
        if not found:
            raise RefusedError(f"describe_images in {self.region}: no available image is named {name_pattern}")
        return found[0]

    def create_image(self, builder: str, name: str, tags: Mapping[str, str]) -> Image:
        found = self._named(name)
        if found is None:
            stopped = [one for one in self._builders(builder) if one["State"]["Name"] == "stopped"]
            if not stopped:
                raise RefusedError(f"create_image in {self.region}: no stopped builder {builder}")
            instance_id = stopped[0]["InstanceId"]
            found = self._make("create_image", name, tags, InstanceId=instance_id, NoReboot=True)
        return self._of_same_code("create_image", found, tags)

    def copy_image(self, source_region: str, image: Image) -> Image:
        found = self._named(image.name)
        if found is None:
            source = {"SourceImageId": image.image_id, "SourceRegion": source_region}
            found = self._make("copy_image", image.name, image.tags, **source)
        self._of_same_code("copy_image", found, image.tags)
        missing = {key: value for key, value in image.tags.items() if key not in found.tags}
        if missing:
            self._calls.call(
                "ec2", "create_tags", subject=image.name, Resources=[found.image_id], Tags=tag_list(missing)
            )
        return Image(found.image_id, found.name, found.state, found.created_at, {**missing, **found.tags})

    def share_image(self, image_id: str, account_ids: Sequence[str]) -> None:
        if not account_ids:
            return
        self._calls.call(
            "ec2",
            "modify_image_attribute",
            subject=image_id,
            ImageId=image_id,
            LaunchPermission={"Add": [{"UserId": account_id} for account_id in account_ids]},
        )
        for snapshot_id in self._snapshots(image_id):
            self._calls.call(
                "ec2",
                "modify_snapshot_attribute",
                subject=snapshot_id,
                SnapshotId=snapshot_id,
                Attribute="createVolumePermission",
                OperationType="add",
                UserIds=list(account_ids),
            )

    def delete_image(self, image_id: str) -> None:
        try:
            self._calls.call(
                "ec2", "deregister_image", subject=image_id, ImageId=image_id, DeleteAssociatedSnapshots=True
            )
        except AwsRefusedError as error:
            if error.code not in GONE:
                raise

    def _make(self, operation: str, name: str, tags: Mapping[str, str], **of: Any) -> Image:
        """The image of that name just made, or the one that somebody was quicker to make."""
        specifications = [{"ResourceType": kind, "Tags": tag_list(tags)} for kind in ("image", "snapshot")]
        try:
            made = self._calls.call("ec2", operation, subject=name, Name=name, TagSpecifications=specifications, **of)
        except AwsRefusedError as error:
            if error.code != NAME_TAKEN:
                raise
            found = self._named(name)
            if found is None:
                raise RetryableError(
                    f"{operation} in {self.region}: {name} was just made and is not shown yet"
                ) from error
            return found
        # What was just made may not be shown yet.
        return self._named(name) or Image(str(made["ImageId"]), name, "pending", datetime.now(UTC), dict(tags))

    def _of_same_code(self, operation: str, image: Image, tags: Mapping[str, str]) -> Image:
        """Who made it and from which branch may differ; a copy that was interrupted has no tags yet."""
        foreign = [key for key, value in _identity(tags).items() if image.tags.get(key, value) != value]
        if foreign:
            raise RefusedError(
                f"{operation} in {self.region}: {image.name} ({image.image_id}) is another image "
                f"({', '.join(foreign)} differ): deregister or rename it"
            )
        return image

    def _find(self, filters: list[dict[str, Any]], owners: list[str]) -> list[Image]:
        found = self._calls.pages("ec2", "describe_images", "Images", Filters=filters, Owners=owners)
        images = [_read_image(one) for one in found]
        return sorted(images, key=lambda one: (one.created_at, one.image_id), reverse=True)

    def _named(self, name: str) -> Image | None:
        return next(iter(self._find([{"Name": "name", "Values": [name]}], ["self"])), None)

    def _snapshots(self, image_id: str) -> list[str]:
        found = self._calls.call("ec2", "describe_images", subject=image_id, ImageIds=[image_id])["Images"]
        disks = [disk.get("Ebs", {}) for one in found for disk in one.get("BlockDeviceMappings", ())]
        return [str(disk["SnapshotId"]) for disk in disks if disk.get("SnapshotId")]


def _identity(tags: Mapping[str, str]) -> dict[str, str]:
    return {key: tags[key] for key in IDENTITY if key in tags}


def _read_image(found: Mapping[str, Any]) -> Image:
    disks = [disk.get("Ebs", {}) for disk in found.get("BlockDeviceMappings", ())]
    return Image(
        image_id=found["ImageId"],
        name=found.get("Name", ""),
        state=found.get("State", ""),
        created_at=datetime.fromisoformat(found["CreationDate"].replace("Z", "+00:00")),
        tags=tag_map(found.get("Tags")),
        size_gib=sum(int(disk.get("VolumeSize") or 0) for disk in disks),
    )
