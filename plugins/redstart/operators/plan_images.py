"""Which image a plan is about, in every region: the one that is named, and those with the same code elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.apps import App
from include.errors import RefusedError
from include.fleet.tags import APP, COMMIT, VERSION
from redstart.hooks.fleet import FleetHook

if TYPE_CHECKING:
    from include.fleet import Image
    from include.redblack import Build

AVAILABLE = "available"
LEAST_OF_A_COMMIT = 7


@dataclass(frozen=True)
class Code:
    """What is to be pushed: region -> image with it; a region without one is not there."""

    version: str
    commit: str
    builds: Mapping[str, Build]


class CodeFinder:
    """Images of an application, as its bakes leave them: in production's account, tagged with commit and version."""

    def __init__(self, app: App, regions: Sequence[str]) -> None:
        self._app, self._regions = app, tuple(regions)
        self._found: dict[str, list[Image]] = {}

    def by_image(self, image_id: str) -> Code:
        """The code of an image that some region has, and where else it is. RefusedError where none has it."""
        image = self._first(lambda one: one.image_id == image_id)
        if image is None:
            raise RefusedError(f"{self._nothing()} has the id {image_id}.")
        return self._code(image)

    def by_version(self, wanted: str) -> Code:
        """The newest code of that version, or whose commit begins so."""
        image = self._first(lambda one: _is_of(one, wanted))
        if image is None:
            raise RefusedError(f"{self._nothing()} is of version or commit {wanted}: has it been baked?")
        return self._code(image)

    def _first(self, fits: Callable[[Image], bool]) -> Image | None:
        """In the regions asked for, then in all others that have images; the newest of the first that has one."""
        elsewhere = [region for region in self._app.image_regions if region not in self._regions]
        found = (image for region in (*self._regions, *elsewhere) for image in self._images(region) if fits(image))
        return next(found, None)

    def _code(self, image: Image) -> Code:
        from include.redblack import Build

        version, commit = image.tags.get(VERSION, ""), image.tags.get(COMMIT, "")
        builds = {}
        for region in self._regions:
            same = [one for one in self._images(region) if _identity(one) == (version, commit)]
            chosen = next((one for one in same if one.image_id == image.image_id), next(iter(same), None))
            if chosen is not None:
                builds[region] = Build.of_image(chosen)
        return Code(version, commit, builds)

    def _images(self, region: str) -> list[Image]:
        """Those that can be launched, the newest first."""
        if region not in self._found:
            workshop = FleetHook(self._app.prod.connection_id).workshop(region)
            images = workshop.find_images({APP: self._app.name})
            self._found[region] = [one for one in images if one.state == AVAILABLE]
        return self._found[region]

    def _nothing(self) -> str:
        regions = ", ".join(dict.fromkeys((*self._regions, *self._app.image_regions)))
        return f"No available image of {self._app.name} in {regions}"


def _identity(image: Image) -> tuple[str, str]:
    return image.tags.get(VERSION, ""), image.tags.get(COMMIT, "")


def _is_of(image: Image, wanted: str) -> bool:
    version, commit = _identity(image)
    return wanted == version or (len(wanted) >= LEAST_OF_A_COMMIT and commit.startswith(wanted))
