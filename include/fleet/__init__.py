"""What runs: images, groups and clusters as values, and the port through which they are seen and changed."""

from include.fleet.fate import Fate
from include.fleet.port import Fleet, ImageWorkshop
from include.fleet.values import (
    Builder,
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
    "Builder",
    "BuilderSpec",
    "Capacity",
    "ClusterRef",
    "ClusterView",
    "Fate",
    "Fleet",
    "Group",
    "GroupSpec",
    "Image",
    "ImageWorkshop",
    "Instance",
    "ScalingPolicy",
    "TrafficHistory",
]
