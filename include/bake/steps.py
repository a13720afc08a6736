"""The steps of a bake, and its two ends. A sentence of each is for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from include.fleet import BuilderSpec, Image


@dataclass(frozen=True)
class ClearResult:
    """The result of an earlier builder must not be taken for that of the next."""

    sentence: str = "forget the result of an earlier builder"


@dataclass(frozen=True)
class LaunchBuilder:
    region: str
    spec: BuilderSpec

    @property
    def sentence(self) -> str:
        return f"launch builder {self.spec.name} from {self.spec.base_image_id} in {self.region}"


@dataclass(frozen=True)
class CreateImage:
    region: str
    builder: str
    name: str
    tags: Mapping[str, str]

    @property
    def sentence(self) -> str:
        return f"make image {self.name} in {self.region}"


@dataclass(frozen=True)
class CopyImage:
    source_region: str
    region: str
    image: Image

    @property
    def sentence(self) -> str:
        return f"copy image {self.image.name} from {self.source_region} to {self.region}"


@dataclass(frozen=True)
class ShareImage:
    region: str
    image_id: str
    account_ids: tuple[str, ...]

    @property
    def sentence(self) -> str:
        return f"share {self.image_id} in {self.region} with {', '.join(self.account_ids)}"


@dataclass(frozen=True)
class EndBuilder:
    """`failure`: why the bake ends here without an image; empty where it does not."""

    region: str
    builder: str
    failure: str = ""

    @property
    def sentence(self) -> str:
        return f"end builder {self.builder} in {self.region}"


@dataclass(frozen=True)
class WaitBake:
    sentence: str


@dataclass(frozen=True)
class BakeDone:
    """The image id per region."""

    name: str
    images: Mapping[str, str]

    @property
    def sentence(self) -> str:
        return f"image {self.name}: " + ", ".join(f"{image} in {region}" for region, image in self.images.items())


@dataclass(frozen=True)
class BakeFailed:
    reason: str

    @property
    def sentence(self) -> str:
        return self.reason


BakeEnd = BakeDone | BakeFailed
BakeStep = ClearResult | LaunchBuilder | CreateImage | CopyImage | ShareImage | EndBuilder | WaitBake | BakeEnd
