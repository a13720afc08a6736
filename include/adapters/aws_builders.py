"""The machines on which images are made: the builders' half of the image workshop, over EC2."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from include.adapters.aws_errors import AwsCalls, tag_list, tag_map
from include.adapters.aws_groups import AwsGroups, GroupSettings
from include.fleet.tags import APP, BUILDER
from include.fleet.values import Builder, BuilderSpec

LIVE_STATES = ("pending", "running", "stopping", "stopped")
WORDS = {"shutting-down": "terminated"}


class AwsBuilders:
    """Builders of one region; see ImageWorkshop in include/fleet/port.py."""

    def __init__(self, calls: AwsCalls, settings: GroupSettings) -> None:
        self._calls, self._settings = calls, settings
        self._network = AwsGroups(calls, settings)

    def launch_builder(self, spec: BuilderSpec) -> str:
        builders = self._builders(spec.name)
        live = [one for one in builders if one["State"]["Name"] in LIVE_STATES]
        if live:
            return str(live[0]["InstanceId"])
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
            ClientToken=client_token(spec, [str(one["InstanceId"]) for one in builders]),
            TagSpecifications=[
                {"ResourceType": "instance", "Tags": tag_list({**spec.tags, BUILDER: spec.name, "Name": spec.name})}
            ],
            **arguments,
        )
        return str(made["Instances"][0]["InstanceId"])

    def view_builder(self, name: str) -> Builder:
        builders = self._builders(name)
        live = [one for one in builders if one["State"]["Name"] in LIVE_STATES]
        shown = live[:1] or builders[-1:]
        return _read_builder(shown[0]) if shown else Builder(name, "missing")

    def view_console(self, name: str) -> str:
        live = [one for one in self._builders(name) if one["State"]["Name"] in LIVE_STATES]
        if not live:
            return ""
        answer = self._calls.call("ec2", "get_console_output", subject=name, InstanceId=live[0]["InstanceId"])
        return str(answer.get("Output") or "")

    def find_builders(self, app: str) -> list[Builder]:
        filters = [
            {"Name": f"tag:{APP}", "Values": [app]},
            {"Name": "tag-key", "Values": [BUILDER]},
            {"Name": "instance-state-name", "Values": list(LIVE_STATES)},
        ]
        youngest = {one.name: one for one in map(_read_builder, self._instances(app, filters))}
        return list(youngest.values())

    def end_builder(self, name: str) -> None:
        live = [str(one["InstanceId"]) for one in self._builders(name) if one["State"]["Name"] in LIVE_STATES]
        if live:
            self._calls.call("ec2", "terminate_instances", subject=name, InstanceIds=live)

    def _builders(self, name: str) -> list[Mapping[str, Any]]:
        """All instances of that builder's name, ended ones as long as AWS shows them."""
        return self._instances(name, [{"Name": f"tag:{BUILDER}", "Values": [name]}])

    def _instances(self, subject: str, filters: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The oldest first."""
        found = self._calls.pages("ec2", "describe_instances", "Reservations", subject=subject, Filters=filters)
        instances = [instance for reservation in found for instance in reservation["Instances"]]
        return sorted(instances, key=lambda one: (one["LaunchTime"], one["InstanceId"]))


def client_token(spec: BuilderSpec, ended: Sequence[str]) -> str:
    """Makes a lost reply harmless. It is of this very wish: AWS remembers a token for a day, refuses it with another
    wish, and answers it with the instance of then. Builders of the name that are over count, as one may follow."""
    wish = [spec.name, spec.base_image_id, spec.instance_type, spec.user_data, *sorted(ended)]
    return hashlib.sha256("\n".join(wish).encode()).hexdigest()


def _read_builder(found: Mapping[str, Any]) -> Builder:
    state = str(found["State"]["Name"])
    return Builder(
        name=tag_map(found.get("Tags")).get(BUILDER, ""),
        state=WORDS.get(state, state),
        since=found["LaunchTime"],
        instance_id=str(found["InstanceId"]),
        instance_type=str(found.get("InstanceType", "")),
        reason=str(found.get("StateReason", {}).get("Message", "")),
    )
