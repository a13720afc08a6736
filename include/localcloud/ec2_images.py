"""EC2's images: states, names, copies and sharing, which moto's records leave out.

Mended gaps of moto 5.2.5 (amis.py): images are `available` at once; duplicate names are accepted; copy_image
ignores CopyImageTags, TagSpecifications, ClientToken and where the copy came from; register_image ignores
TagSpecifications; deregister_image ignores DeleteAssociatedSnapshots; LaunchPermission is stored, but another account
sees nothing; any image boots.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError, InvalidAMIIdError, UnvailableAMIIdError
from moto.ec2.models import ec2_backends
from moto.ec2.models.amis import Ami, AmiBackend
from moto.ec2.responses.amis import AmisResponse
from moto.ec2.utils import generic_filter

from include.localcloud.clock import utc
from include.localcloud.moto_library import made_backends
from include.localcloud.stage import current

log = logging.getLogger(__name__)
TagSpecifications = Iterable[Mapping[str, Any]]


def tags_for(kind: str, specifications: TagSpecifications) -> dict[str, str]:
    return {
        tag["Key"]: tag.get("Value", "")
        for specification in specifications
        if specification["ResourceType"] == kind
        for tag in specification.get("Tags", ())
    }


class ImagesBackend(AmiBackend):
    """Mixed into the EC2 backend of one account and region. Images have `content_id`, `available_at`, `snapshot`."""

    account_id: str
    region_name: str
    amis: dict[str, Any]
    snapshots: dict[str, Any]
    deleted_amis: list[str]

    def create_image(
        self, instance_id: str, name: str, description: str, tag_specifications: list[dict[str, Any]]
    ) -> Ami:
        world = current()
        self._refuse_taken_name(name)
        instance = self.get_instance(instance_id)
        if instance.state not in {"running", "stopped"}:
            raise EC2ClientError(
                "IncorrectState", f"The instance '{instance_id}' is in the '{instance.state}' state: no image of it"
            )
        tags = tags_for("image", tag_specifications)
        image = super().create_image(instance_id, name, description, [])
        self._begin(image, "", tags)
        image.snapshot = world.run_aside(lambda: world.machines.snapshot(instance_id))
        image.ebs_snapshot.add_tags(tags_for("snapshot", tag_specifications))
        instance.snapshots = [*getattr(instance, "snapshots", ()), image.snapshot]
        return image

    def copy_image(
        self,
        source_image_id: str,
        source_region: str,
        name: str | None = None,
        description: str | None = None,
        *,
        copies_tags: bool = False,
        tag_specifications: TagSpecifications = (),
        client_token: str = "",
    ) -> Ami:
        if client_token and client_token in self._copies():
            return self.amis[self._copies()[client_token]]
        backend = ec2_backends[self.account_id][source_region]
        source = backend.bootable_image(source_image_id)
        self._refuse_taken_name(name or source.name)
        image = super().copy_image(source_image_id, source_region, name, description)
        own_tags = {tag["key"]: tag["value"] for tag in source.get_tags()} if copies_tags else {}
        own_tags = {key: value for key, value in own_tags.items() if not key.startswith("aws:")}
        self._begin(image, source.content_id, {**own_tags, **tags_for("image", tag_specifications)})
        image.ebs_snapshot.add_tags(tags_for("snapshot", tag_specifications))
        image.source_image_id, image.source_image_region = source_image_id, source_region
        if client_token:
            self._copies()[client_token] = image.id
        return image

    def register_image(
        self,
        name: str | None = None,
        description: str | None = None,
        *,
        architecture: str = "x86_64",
        tag_specifications: TagSpecifications = (),
        content_id: str = "",
    ) -> Ami:
        self._refuse_taken_name(name)
        image = super().register_image(name, description)
        image.architecture, image.virtualization_type = architecture, "hvm"
        self._begin(image, content_id, tags_for("image", tag_specifications))
        return image

    def describe_images(
        self,
        ami_ids: list[str] | None = None,
        filters: dict[str, Any] | None = None,
        exec_users: list[str] | None = None,
        owners: list[str] | None = None,
    ) -> list[Ami]:
        shared = [image for image in self._others() if _names(image, self.account_id)]
        if ami_ids and (gone := [ami_id for ami_id in ami_ids if ami_id in self.deleted_amis]):
            raise UnvailableAMIIdError(gone[0])
        if ami_ids:
            known = {image.id: image for image in [*self.amis.values(), *shared]}
            missing = [ami_id for ami_id in ami_ids if ami_id not in known]
            images = (
                super().describe_images(missing) if missing else [known[ami_id] for ami_id in dict.fromkeys(ami_ids)]
            )
        else:
            images = [*self.amis.values(), *shared]
        if exec_users:
            users = {self.account_id if user == "self" else user for user in exec_users}
            images = [image for image in images if any(_names(image, user) for user in users)]
        if owners:
            accounts = {self.account_id if owner == "self" else owner for owner in owners}
            images = [image for image in images if image.owner_id in accounts or image.owner_alias in accounts]
        return generic_filter(filters or {}, images)

    def deregister_image(self, ami_id: str, *, deletes_snapshots: bool = False) -> None:
        snapshot = self.amis[ami_id].ebs_snapshot.id if ami_id in self.amis else None
        super().deregister_image(ami_id)
        if deletes_snapshots and snapshot in self.snapshots:
            self.delete_snapshot(snapshot)

    def modify_image_attribute(self, ami_id: str, *permissions: Any, **more: Any) -> None:
        if ami_id not in self.amis and self.describe_images(ami_ids=[ami_id]):
            raise EC2ClientError("AuthFailure", f"Not authorized for image:{ami_id}")
        super().modify_image_attribute(ami_id, *permissions, **more)

    def bootable_image(self, ami_id: str) -> Any:
        """The image, own or shared, that is available here; else AWS's refusal."""
        if ami_id in self.deleted_amis:
            raise UnvailableAMIIdError(ami_id)
        image = next(iter(self.describe_images(ami_ids=[ami_id])), None)
        if image is None:
            raise InvalidAMIIdError([ami_id])
        if image.state != "available":
            raise EC2ClientError(
                "InvalidAMIID.Unavailable", f"The image ID '{ami_id}' is not available: its state is {image.state}"
            )
        return image

    def settle_images(self, now: float) -> None:
        """pending -> available (or failed) when its disk is kept and its time has come."""
        for image in list(self.amis.values()):
            if image.state == "pending" and now >= image.available_at:
                snapshot: Future[str] | None = getattr(image, "snapshot", None)
                if snapshot is None:
                    image.state = "available"
                elif snapshot.done():
                    self._finish(image, snapshot)

    def _finish(self, image: Any, snapshot: Future[str]) -> None:
        error = snapshot.exception()
        if error is None:
            image.content_id, image.state = snapshot.result(), "available"
            return
        log.error("no image %s of %s: %r", image.id, image.instance_id, error)
        image.state, image.state_reason = "failed", {"Code": "Server.InternalError", "Message": str(error)}

    def _begin(self, image: Any, content_id: str, tags: Mapping[str, str]) -> None:
        world = current()
        image.state = "pending"
        image.content_id = content_id
        image.creation_date = utc(world.clock.now())
        image.available_at = world.clock.now() + world.speeds.image_seconds
        image.source_image_id = image.source_image_region = None
        image.add_tags(dict(tags))

    def _refuse_taken_name(self, name: str | None) -> None:
        for image in self.amis.values():
            if name and image.name == name:
                raise EC2ClientError("InvalidAMIName.Duplicate", f"AMI name {name} is already in use by AMI {image.id}")

    def _others(self) -> Iterable[Any]:
        """Images of other accounts in this region; seen from here they carry none of their owner's tags."""
        for account, region, backend in made_backends(ec2_backends):
            if region == self.region_name and account != self.account_id:
                for image in backend.amis.values():
                    seen = copy.copy(image)
                    seen.ec2_backend = self
                    yield seen

    def _copies(self) -> dict[str, str]:
        return self.__dict__.setdefault("copies_by_token", {})


def _names(image: Any, account: str) -> bool:
    """Whether a launch permission names the account (its owner needs none)."""
    return any(one.get("UserId") == account or one.get("Group") == "all" for one in image.launch_permissions)


class ImagesResponse(AmisResponse):
    """The parameters that moto does not pass on."""

    def copy_image(self) -> ActionResult:
        self.error_on_dryrun()
        image = self.ec2_backend.copy_image(
            self._get_param("SourceImageId"),
            self._get_param("SourceRegion"),
            self._get_param("Name"),
            self._get_param("Description"),
            copies_tags=bool(self._get_bool_param("CopyImageTags", False)),
            tag_specifications=self._get_param("TagSpecifications", []),
            client_token=self._get_param("ClientToken", ""),
        )
        return ActionResult({"ImageId": image.id})

    def deregister_image(self) -> ActionResult:
        self.error_on_dryrun()
        deletes = bool(self._get_bool_param("DeleteAssociatedSnapshots", False))
        self.ec2_backend.deregister_image(self._get_param("ImageId"), deletes_snapshots=deletes)
        return ActionResult({"Return": True})

    def register_image(self) -> ActionResult:
        self.error_on_dryrun()
        image = self.ec2_backend.register_image(
            self._get_param("Name"),
            self._get_param("Description", ""),
            architecture=self._get_param("Architecture", "x86_64"),
            tag_specifications=self._get_param("TagSpecifications", []),
        )
        return ActionResult({"ImageId": image.id})


def register_base_image(account: str, region: str, name: str, content_id: str) -> str:
    """An image that is available at once and boots from `content_id`; the id of the one of that name if it is there."""
    backend = ec2_backends[account][region]
    for image in backend.amis.values():
        if image.name == name:
            return str(image.id)
    image = backend.register_image(name, "base image of the local cloud", content_id=content_id)
    image.state = "available"
    return str(image.id)
