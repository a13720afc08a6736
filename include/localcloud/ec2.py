"""EC2 of the local cloud: moto's, with our images, instances and launch templates in front."""

from __future__ import annotations

from typing import Any

from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.responses import EC2Response
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix

from include.localcloud.ec2_images import ImagesBackend, ImagesResponse
from include.localcloud.ec2_instances import InstancesBackend, InstancesResponse
from include.localcloud.ec2_templates import TemplatesBackend, TemplatesResponse
from include.localcloud.moto_library import made_backends, replace_backend


class LocalEC2Backend(ImagesBackend, InstancesBackend, TemplatesBackend, EC2Backend):
    """One account and region."""

    def describe_tags(self, filters: Any = None) -> list[dict[str, Any]]:
        """moto goes through all tags of the region for each resource that it shows."""
        if filters and set(filters) == {"resource-id"} and "*" not in "".join(filters["resource-id"]):
            return [
                {
                    "resource_id": one,
                    "resource_type": EC2_PREFIX_TO_RESOURCE.get(get_prefix(one), ""),
                    "key": key,
                    "value": value,
                }
                for one in filters["resource-id"]
                for key, value in self.tags.get(one, {}).items()
            ]
        return super().describe_tags(filters)


class LocalEC2Response(ImagesResponse, InstancesResponse, TemplatesResponse, EC2Response):
    """The API; moto's own responses for all that is not ours."""


def install() -> None:
    replace_backend(ec2_backends, LocalEC2Backend)


def settle(now: float) -> None:
    """One step of all images and instances, everywhere."""
    for _, _, backend in made_backends(ec2_backends):
        backend.settle_instances(now)
        backend.settle_images(now)
