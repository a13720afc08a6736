"""EC2's instances: their states follow machines, and only images that may boot do.

Mended gaps of moto 5.2.5 (instances.py): instances run at once and never stop by themselves; ClientToken is
ignored; any image id boots; MaxCount is ignored; every console shows one sample; terminating tells Auto Scaling and ELB
at once.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from typing import Any

from moto.autoscaling.models import autoscaling_backends  # noqa: F401 - moto's responses import it late
from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError, OperationNotPermitted4
from moto.ec2.models.instances import Instance, InstanceBackend, InstanceState, StateReason
from moto.ec2.responses.instances import InstanceResponse

from include.localcloud.clock import utc
from include.localcloud.seams import MachineSpec
from include.localcloud.stage import current

CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
KEPT_SECONDS = 3600.0  # AWS shows terminated instances for about an hour
CONSOLE_CHARACTERS = 32 * 1024  # AWS keeps 64 KB
ADDRESS_REST_SECONDS = 60.0  # before another instance gets the address
SELF = StateReason("Client.InstanceInitiatedShutdown: Instance initiated shutdown", "Client.InstanceInitiatedShutdown")
USER = StateReason("Client.UserInitiatedShutdown: User initiated shutdown", "Client.UserInitiatedShutdown")


def set_state(instance: Instance, state: str, reason: StateReason | None = None) -> None:
    """The state object is renewed: earlier answers keep theirs."""
    instance._state = InstanceState(state, CODES[state])
    if reason is not None:
        instance.state_reason = reason
        instance._reason = reason.message


def decode_user_data(value: Any) -> bytes:
    """User data arrives as moto's Base64EncodedString from run_instances and as text from template versions."""
    return base64.b64decode(str(value)) if value else b""


class InstancesBackend(InstanceBackend):
    """Mixed into the EC2 backend of one account and region."""

    account_id: str
    region_name: str

    def run_instances(
        self, image_id: str, count: int, user_data: Any, security_group_names: list[str], **kwargs: Any
    ) -> Any:
        world = current()
        template = kwargs.get("launch_template")
        if template:
            data = self._get_template_from_args(template).data
            image_id = image_id or data.get("ImageId", "")
            user_data = user_data or data.get("UserData")
            if not kwargs.get("metadata_options"):
                kwargs["metadata_options"] = data.get("MetadataOptions", {})
        image = self.bootable_image(image_id)
        reservation = super().run_instances(image_id, count, user_data, security_group_names, **kwargs)
        for instance in reservation.instances:
            set_state(instance, "pending")
            instance.launch_time = utc(world.clock.now())
            instance.content_id = image.content_id
            instance.user_data_bytes = decode_user_data(user_data)
            instance.is_launched = False
            instance.snapshots = []
            self._index()[instance.id] = instance
        return reservation

    def get_instance_by_id(self, instance_id: str) -> Instance | None:
        """moto copies and searches all reservations."""
        return self._index().get(instance_id)

    def _index(self) -> dict[str, Instance]:
        return self.__dict__.setdefault("instances_by_id", {})

    def run_once(self, token: str, wish: Any, run: Any) -> Any:
        """The reservation of `token`, made by `run` the first time; another `wish` under it is refused."""
        digest = hashlib.sha256(json.dumps(wish, sort_keys=True, default=str).encode()).hexdigest()
        known = self.__dict__.setdefault("runs_by_token", {})
        if token not in known:
            known[token] = (digest, run())
        elif known[token][0] != digest:
            raise EC2ClientError(
                "IdempotentParameterMismatch", f"Arguments on this idempotent request are inconsistent: {token}"
            )
        return known[token][1]

    def stop_instances(self, instance_ids: list[str]) -> list[tuple[Instance, InstanceState]]:
        return [
            (one, self._leave(one, "stopping", {"running"})) for one in self.get_multi_instances_by_id(instance_ids)
        ]

    def start_instances(self, instance_ids: list[str]) -> list[tuple[Instance, InstanceState]]:
        raise EC2ClientError("UnsupportedOperation", "The local cloud does not start a stopped instance again.")

    def terminate_instances(self, instance_ids: list[str]) -> list[tuple[Instance, InstanceState]]:
        found = self.get_multi_instances_by_id(instance_ids)
        for instance in found:
            if str(instance.disable_api_termination).lower() == "true":
                raise OperationNotPermitted4(instance.id)
        return [
            (one, self._leave(one, "shutting-down", {"pending", "running", "stopping", "stopped"})) for one in found
        ]

    def _leave(self, instance: Instance, state: str, from_states: set[str]) -> InstanceState:
        before = instance._state
        if before.name in from_states:
            set_state(instance, state, USER)
        return before

    def kept_instances(self) -> Iterable[Any]:
        for reservation in list(self.reservations.values()):
            yield from reservation.instances

    def settle_instances(self, now: float) -> None:
        """Move every instance on to what its machine has become, and ask for what its state demands."""
        for instance in list(self.kept_instances()):
            if instance.state == "terminated":
                self._forget_later(instance, now)
            else:
                self._settle(instance, now)
        self._drop_forgotten(now)

    def _settle(self, instance: Any, now: float) -> None:
        world = current()
        if not instance.is_launched:
            if instance.state == "pending":
                world.ask_machine(instance, lambda: world.machines.launch(self._machine_spec(instance)))
            elif instance.state == "shutting-down":
                self._end(instance, now)
            return
        machine = world.machines.state(instance.id)
        if instance.state == "shutting-down":
            if machine == "terminated":
                self._end(instance, now)
            elif all(snapshot.done() for snapshot in instance.snapshots):
                world.do_later(lambda: world.machines.terminate(instance.id))
        elif instance.state == "stopping":
            if machine in {"stopped", "terminated"}:
                set_state(instance, "stopped")
            else:
                world.do_later(lambda: world.machines.stop(instance.id))
        elif instance.state == "pending" and machine == "running":
            set_state(instance, "running")
        elif instance.state in {"pending", "running"} and machine in {"stopped", "terminated"}:
            ends = machine == "terminated" or instance.instance_initiated_shutdown_behavior == "terminate"
            set_state(instance, "shutting-down" if ends else "stopped", SELF)

    def _end(self, instance: Any, now: float) -> None:
        reason, text = instance.state_reason, instance._reason
        instance.terminate()
        set_state(instance, "terminated", reason)
        instance._reason = text
        instance.terminated_at = now

    def _forget_later(self, instance: Any, now: float) -> None:
        if instance._private_ips and now - instance.terminated_at >= ADDRESS_REST_SECONDS:
            subnet = self.get_subnet(instance.subnet_id)
            for address in instance._private_ips:
                subnet.del_subnet_ip(address)
            instance._private_ips = set()

    def _drop_forgotten(self, now: float) -> None:
        for key, reservation in list(self.reservations.items()):
            reservation.instances = [
                one
                for one in reservation.instances
                if one.state != "terminated" or now - one.terminated_at < KEPT_SECONDS
            ]
            if not reservation.instances:
                del self.reservations[key]
        if len(self._index()) > sum(len(one.instances) for one in self.reservations.values()):
            self.instances_by_id = {one.id: one for one in self.kept_instances()}

    def _machine_spec(self, instance: Any) -> MachineSpec:
        return MachineSpec(
            instance_id=instance.id,
            account_id=self.account_id,
            region=self.region_name,
            zone=instance.availability_zone,
            address=instance.private_ip,
            content_id=instance.content_id,
            user_data=instance.user_data_bytes,
            tags={tag["key"]: tag["value"] for tag in instance.get_tags()},
        )


class InstancesResponse(InstanceResponse):
    """The parameters that moto does not pass on."""

    def run_instances(self) -> ActionResult:
        self.error_on_dryrun()
        self.params["MinCount"] = self._get_param("MaxCount", 1)  # moto launches MinCount; AWS as many as it can
        token = self._get_param("ClientToken")
        if not token:
            return super().run_instances()
        wish = {key: value for key, value in self.params.items() if key != "ClientToken"}

        def run() -> Any:
            answer = InstanceResponse.run_instances(self)
            return answer.result

        return ActionResult(self.ec2_backend.run_once(token, wish, run))

    def get_console_output(self) -> ActionResult:
        """What its machine printed; moto has the same sample for all."""
        instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
        text = current().machines.console(instance.id)
        output = base64.b64encode(text[-CONSOLE_CHARACTERS:].encode()).decode()
        return ActionResult({"InstanceId": instance.id, "Timestamp": utc(current().clock.now()), "Output": output})

    def terminate_instances(self) -> ActionResult:
        """Auto Scaling and ELB see it by themselves; moto would replace a member before its machine is gone."""
        ended = self.ec2_backend.terminate_instances(self._get_param("InstanceIds", []))
        return ActionResult(
            {
                "TerminatingInstances": [
                    {"InstanceId": one.id, "CurrentState": one._state, "PreviousState": before} for one, before in ended
                ]
            }
        )
