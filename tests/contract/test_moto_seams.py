"""What the local cloud leans on inside moto. A new version of moto that fails here needs a look at the module named."""

from __future__ import annotations

import inspect
from typing import Any

import moto
import pytest
from moto.autoscaling import models as autoscaling_models
from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup, autoscaling_backends
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.base_backend import AccountSpecificBackend, BackendDict
from moto.core.responses import ActionResult
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.amis import AmiBackend
from moto.ec2.models.instances import Instance, InstanceBackend
from moto.ec2.models.subnets import Subnet
from moto.ec2.responses import EC2Response
from moto.elbv2.models import ELBv2Backend, FakeTargetGroup, elbv2_backends
from moto.elbv2.responses import ELBV2Response

from include.localcloud.balancing import BalancingBackend, BalancingResponse
from include.localcloud.ec2 import LocalEC2Backend, LocalEC2Response
from include.localcloud.moto_library import find_backend
from include.localcloud.scaling import ScalingResponse
from include.localcloud.scaling_group import LocalGroup
from include.localcloud.scaling_policies import PoliciesBackend
from tests.support.cloud_things import Things
from tests.support.local_cloud import LocalCloud

PAIRS = [
    (LocalEC2Backend, EC2Backend),
    (LocalEC2Response, EC2Response),
    (PoliciesBackend, AutoScalingBackend),
    (ScalingResponse, AutoScalingResponse),
    (LocalGroup, FakeAutoScalingGroup),
    (BalancingBackend, ELBv2Backend),
    (BalancingResponse, ELBV2Response),
]
OWN = {
    "activities", "act_on_schedule", "begin_termination", "bootable_image", "changeable_group", "forget", "group",
    "is_draining", "is_suspended", "kept_instances", "launch", "member", "members", "retry_at", "router_spec",
    "run_once", "scale_by_policy", "settle", "settle_images", "settle_instances", "status", "target_state",
    "targets_of",
}  # fmt: skip


def test_the_version_that_was_read_is_the_one_installed() -> None:
    assert moto.__version__ == "5.2.5"


@pytest.mark.parametrize(("ours", "motos"), PAIRS)
def test_each_method_of_ours_still_takes_the_place_of_one_of_motos(ours: type, motos: type) -> None:
    """A method that moto renamed would silently be nobody's: ours would not be called any more."""
    written = {
        name
        for parent in ours.__mro__
        if parent.__module__.startswith("include.localcloud")
        for name in vars(parent)
        if not name.startswith("_")
    }
    assert written - set(dir(motos)) - set(motos.__init__.__code__.co_names) <= OWN


def test_registries_make_our_backends(things: Things, local_cloud: LocalCloud) -> None:
    assert isinstance(ec2_backends["123456789012"]["us-east-1"], LocalEC2Backend)
    assert isinstance(autoscaling_backends["123456789012"]["us-east-1"], PoliciesBackend)
    assert isinstance(elbv2_backends["123456789012"]["us-east-1"], BalancingBackend)
    assert autoscaling_models.FakeAutoScalingGroup is LocalGroup
    assert find_backend(ec2_backends, "999999999999", "us-east-1") is None, "looking must not make one"
    assert isinstance(BackendDict._instances, list)
    assert "backend" in inspect.signature(AccountSpecificBackend.__init__).parameters


@pytest.mark.parametrize(
    ("owner", "names"),
    [
        (InstanceBackend, {"_get_template_from_args", "get_multi_instances_by_id", "all_reservations"}),
        (Instance, {"terminate", "state", "get_tags", "private_ip", "availability_zone"}),
        (Subnet, {"del_subnet_ip", "get_available_subnet_ip"}),
        (AmiBackend, {"create_image", "copy_image", "register_image", "describe_images", "deregister_image"}),
        (FakeAutoScalingGroup, {"_set_launch_configuration", "get_propagated_tags", "instance_tags", "image_id"}),
        (AutoScalingBackend, {"update_attached_target_groups", "update_attached_elbs", "notify_terminate_instances"}),
        (ELBv2Backend, {"_get_resource_by_arn", "describe_target_health", "modify_listener", "create_rule"}),
        (FakeTargetGroup, {"register"}),
        (ActionResult, {"result"}),
    ],
)
def test_what_we_call_is_there(owner: Any, names: set[str]) -> None:
    assert not [name for name in names if not hasattr(owner, name)]


def test_the_records_have_the_fields_we_set(things: Things, local_cloud: LocalCloud) -> None:
    arn = things.serving_group(size=1)
    backend = autoscaling_backends["123456789012"]["us-east-1"]
    group = backend.autoscaling_groups["g-v000"]
    assert {"instance_states", "_suspended_processes", "desired_capacity", "min_size", "max_size"} <= set(vars(group))
    assert {"_state", "state_reason", "_reason", "_private_ips", "launch_time"} <= set(vars(group.members[0].instance))
    target_group = backend.elbv2_backend.target_groups[arn]
    assert {"targets", "load_balancer_arns", "attributes", "health_check_path"} <= set(vars(target_group))
