"""The image workshop's port over EC2: builders, images, copies and shares of one region."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from include.adapters.aws_errors import AwsCalls, AwsRefusedError, ClientFactory, tag_list, tag_map
from include.adapters.aws_groups import AwsGroups, GroupSettings
from include.errors import RefusedError
from include.fleet.tags import BUILDER
from include.fleet.values import BuilderSpec, Image

LIVE_STATES = ("pending", "running", "stopping", "stopped")
WORDS = {"shutting-down": "terminated"}


class AwsImages:
    """Images of one region; see include/fleet/port.py. `base_image_owners` are whose base images are trusted."""

    def __init__(
        self,
        region: str,
        clients: ClientFactory,
        settings: GroupSettings | None = None,
        base_image_owners: Sequence[str] = ("self",),
    ) -> None:
        self.region = region
        self._calls = AwsCalls(region, clients)
        self._settings = settings or GroupSettings()
        self._network = AwsGroups(self._calls, self._settings)
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

    def launch_builder(self, spec: BuilderSpec) -> str:
        builders = self._builders(spec.name)
        live = [one for one in builders if one["State"]["Name"] in LIVE_STATES]
        if live:
            return str(live[0]["InstanceId"])
        # The token makes a lost reply harmless; builders of that name that are over count, so that a new one can be.
        seed = "/".join([spec.name, *sorted(str(one["InstanceId"]) for one in builders)])
        arguments: dict[str, Any] = {}
        if self._settings.security_group_ids:
            arguments["SecurityGroupIds"] = list(self._settings.security_group_ids)
        made = self._calls.call(
            "ec2",
            "run_instances",
            subject=spec.name,
            ImageId=spec.base_image_id,
            InstanceType=spec.instance_type,
            MinCount=1,
            MaxCount=1,
            UserData=spec.user_data,
            SubnetId=self._network.subnets()[0]["SubnetId"],
            InstanceInitiatedShutdownBehavior="stop",
            MetadataOptions={"HttpTokens": "required", "HttpEndpoint": "enabled"},
            ClientToken=hashlib.sha256(seed.encode()).hexdigest(),
            TagSpecifications=[
                {"ResourceType": "instance", "Tags": tag_list({**spec.tags, BUILDER: spec.name, "Name": spec.name})}
            ],
            **arguments,
        )
        return str(made["Instances"][0]["InstanceId"])

    def builder_state(self, name: str) -> str:
        builders = self._builders(name)
        states = [str(one["State"]["Name"]) for one in builders]
        live = [state for state in states if state in LIVE_STATES]
        if live:
            return live[0]
        return WORDS.get(states[0], states[0]) if states else "missing"

    def create_image(self, builder: str, name: str, tags: Mapping[str, str]) -> Image:
        adopted = self._named(name)
        if adopted is not None:
            return self._own(adopted, tags)
        stopped = [one for one in self._builders(builder) if one["State"]["Name"] == "stopped"]
        if not stopped:
            raise RefusedError(f"create_image in {self.region}: no stopped builder {builder}")
        try:
            made = self._calls.call(
                "ec2",
                "create_image",
                subject=name,
                InstanceId=stopped[0]["InstanceId"],
                Name=name,
                NoReboot=True,
                TagSpecifications=[{"ResourceType": "image", "Tags": tag_list(tags)}],
            )
        except AwsRefusedError as error:
            duplicate = self._named(name) if error.code == "InvalidAMIName.Duplicate" else None
            if duplicate is None:
                raise
            return self._own(duplicate, tags)
        return self._made(str(made["ImageId"]), name, tags)

    def copy_image(self, source_region: str, image: Image) -> Image:
        found = self._named(image.name)
        if found is None:
            token = hashlib.sha256(f"{image.image_id}/{self.region}".encode()).hexdigest()
            made = self._calls.call(
                "ec2",
                "copy_image",
                subject=image.name,
                Name=image.name,
                SourceImageId=image.image_id,
                SourceRegion=source_region,
                ClientToken=token,
            )
            found = self._made(str(made["ImageId"]), image.name, {})
        foreign = {key for key, value in image.tags.items() if found.tags.get(key, value) != value}
        if foreign:
            raise RefusedError(
                f"copy_image in {self.region}: {image.name} is another image ({', '.join(sorted(foreign))} differ)"
            )
        if any(key not in found.tags for key in image.tags):
            self._calls.call(
                "ec2", "create_tags", subject=image.name, Resources=[found.image_id], Tags=tag_list(image.tags)
            )
        return Image(found.image_id, found.name, found.state, found.created_at, {**found.tags, **image.tags})

    def share_image(self, image_id: str, account_ids: Sequence[str]) -> None:
        if account_ids:
            self._calls.call(
                "ec2",
                "modify_image_attribute",
                subject=image_id,
                ImageId=image_id,
                LaunchPermission={"Add": [{"UserId": account_id} for account_id in account_ids]},
            )

    def end_builder(self, name: str) -> None:
        live = [str(one["InstanceId"]) for one in self._builders(name) if one["State"]["Name"] in LIVE_STATES]
        if live:
            self._calls.call("ec2", "terminate_instances", subject=name, InstanceIds=live)

    def _builders(self, name: str) -> list[Mapping[str, Any]]:
        """All instances of that builder's name, the oldest first, ended ones as long as AWS shows them."""
        filters = [{"Name": f"tag:{BUILDER}", "Values": [name]}]
        reservations = self._calls.pages("ec2", "describe_instances", "Reservations", subject=name, Filters=filters)
        found = [instance for reservation in reservations for instance in reservation["Instances"]]
        return sorted(found, key=lambda one: (one["LaunchTime"], one["InstanceId"]))

    def _find(self, filters: list[dict[str, Any]], owners: list[str]) -> list[Image]:
        found = self._calls.pages("ec2", "describe_images", "Images", Filters=filters, Owners=owners)
        images = [_read_image(one) for one in found]
        return sorted(images, key=lambda one: (one.created_at, one.image_id), reverse=True)

    def _named(self, name: str) -> Image | None:
        return next(iter(self._find([{"Name": "name", "Values": [name]}], ["self"])), None)

    def _made(self, image_id: str, name: str, tags: Mapping[str, str]) -> Image:
        """The image just made, as AWS shows it; it may not show it yet."""
        return self._named(name) or Image(image_id, name, "pending", datetime.now(UTC), dict(tags))

    def _own(self, image: Image, tags: Mapping[str, str]) -> Image:
        foreign = sorted(key for key, value in tags.items() if image.tags.get(key) != value)
        if foreign:
            raise RefusedError(
                f"create_image in {self.region}: {image.name} ({image.image_id}) is another image "
                f"({', '.join(foreign)} differ)"
            )
        return image


def _read_image(found: Mapping[str, Any]) -> Image:
    return Image(
        image_id=found["ImageId"],
        name=found.get("Name", ""),
        state=found.get("State", ""),
        created_at=datetime.fromisoformat(found["CreationDate"].replace("Z", "+00:00")),
        tags=tag_map(found.get("Tags")),
    )
