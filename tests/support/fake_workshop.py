"""An image workshop in memory: builders that end by themselves, images that become available a look later."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from include.bake import BuildResult
from include.errors import RefusedError
from include.fleet import BuilderSpec, Image

STATES = ("pending", "running", "stopping", "stopped")


class FakeBox:
    """Where builders report; `outcome` is what the next one says."""

    def __init__(self, outcome: BuildResult | None = None) -> None:
        self.outcome = outcome
        self.stored: BuildResult | None = None

    def read(self) -> BuildResult | None:
        return self.stored

    def clear(self) -> None:
        self.stored = None


class FakeWorkshop:
    """`hook(call, moment)` is called before and after every call that changes something and may raise."""

    def __init__(self, region: str, box: FakeBox) -> None:
        self.region = region
        self.box = box
        self.images: dict[str, Image] = {}
        self.builders: dict[str, int] = {}
        self.launched = 0
        self.shared: dict[str, set[str]] = {}
        self.hook: Callable[[str, str], None] = lambda call, moment: None

    def find_images(self, tags: Mapping[str, str]) -> list[Image]:
        found = [one for one in self.images.values() if tags.items() <= one.tags.items()]
        for image in found:
            self.images[image.name] = replace(image, state="available")
        return found

    def find_base_image(self, name_pattern: str) -> Image:
        raise NotImplementedError

    def launch_builder(self, spec: BuilderSpec) -> str:
        if spec.name not in self.builders:
            self._call("run_instances", lambda: self.builders.update({spec.name: 0}))
            self.launched += 1
        return f"i-{spec.name}"

    def builder_state(self, name: str) -> str:
        if name not in self.builders:
            return "missing"
        age = self.builders[name]
        self.builders[name] = min(age + 1, len(STATES) - 1)
        if STATES[age] == "running":
            self.box.stored = self.box.outcome
        return STATES[age]

    def create_image(self, builder: str, name: str, tags: Mapping[str, str]) -> Image:
        if name not in self.images:
            assert STATES[self.builders[builder]] == "stopped"
            self._call("create_image", lambda: self._store(name, tags))
        return self.images[name]

    def copy_image(self, source_region: str, image: Image) -> Image:
        if image.name not in self.images:
            self._call("copy_image", lambda: self._store(image.name, {}))
        self._call("create_tags", lambda: self._store(image.name, image.tags))
        return self.images[image.name]

    def share_image(self, image_id: str, account_ids: Sequence[str]) -> None:
        if image_id not in {one.image_id for one in self.images.values()}:
            raise RefusedError(f"no image {image_id}")
        self._call("modify_image_attribute", lambda: self.shared.setdefault(image_id, set()).update(account_ids))

    def end_builder(self, name: str) -> None:
        self._call("terminate_instances", lambda: self.builders.pop(name, None))

    def _store(self, name: str, tags: Mapping[str, str]) -> None:
        made_at = datetime(2026, 1, 5, tzinfo=UTC)
        self.images[name] = Image(f"ami-{self.region}", name, "pending", made_at, dict(tags))

    def _call(self, name: str, effect: Callable[[], object]) -> None:
        self.hook(name, "before")
        effect()
        self.hook(name, "after")
