"""What runs: images, groups and clusters as values, and the port through which they are seen and changed."""

from include.fleet.port import Fleet, ImageWorkshop
from include.fleet.values import (
    BuilderSpec,
    Capacity,
    ClusterRef,
    ClusterView,
    Group,
    GroupSpec,
    Image,
    Instance,
    ScalingPolicy,
    TrafficHistory,
)

__all__ = [
    "BuilderSpec",
    "Capacity",
    "ClusterRef",
    "ClusterView",
    "Fleet",
    "Group",
    "GroupSpec",
    "Image",
    "ImageWorkshop",
    "Instance",
    "ScalingPolicy",
    "TrafficHistory",
]
