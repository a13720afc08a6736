"""An image workshop in memory: builders that end by themselves, images that become available a look later."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from include.bake import BuildResult
from include.errors import RefusedError
from include.fleet import Builder, BuilderSpec, Image
from include.fleet.tags import APP, IDENTITY

STATES = ("pending", "running", "stopping", "stopped")
EPOCH = datetime(2026, 1, 5, tzinfo=UTC)


class FakeBox:
    """Where builders report; `outcome` is what the next one says."""

    def __init__(self, outcome: BuildResult | None = None) -> None:
        self.outcome = outcome
        self.stored: BuildResult | None = None

    def read(self) -> BuildResult | None:
        return self.stored

    def clear(self) -> None:
        self.stored = None


@dataclass
class Machine:
    """A builder; `age` counts the looks at it."""

    spec: BuilderSpec
    instance_id: str
    since: datetime
    age: int = 0


@dataclass
class Levers:
    """What goes wrong: builders that never stop, regions that refuse a call, images that fail on their way."""

    never_stops: bool = False
    refuses: dict[str, str] = field(default_factory=dict)
    fails: bool = False
    console: str = ""


class FakeWorkshop:
    """`hook(call, moment)` is called before and after every call that changes something and may raise."""

    def __init__(self, region: str, box: FakeBox, clock_now: Callable[[], datetime] = lambda: EPOCH) -> None:
        self.region = region
        self.box = box
        self.now = clock_now
        self.images: dict[str, Image] = {}
        self.builders: dict[str, Machine] = {}
        self.launched = 0
        self.shared: dict[str, set[str]] = {}
        self.levers = Levers()
        self.deleted: list[str] = []
        self.hook: Callable[[str, str], None] = lambda call, moment: None

    def find_images(self, tags: Mapping[str, str]) -> list[Image]:
        found = [one for one in self.images.values() if tags.items() <= one.tags.items()]
        for image in found:
            if image.state == "pending":
                self.images[image.name] = replace(image, state="failed" if self.levers.fails else "available")
        return sorted(found, key=lambda one: one.created_at, reverse=True)

    def find_base_image(self, name_pattern: str) -> Image:
        raise NotImplementedError

    def launch_builder(self, spec: BuilderSpec) -> str:
        made: list[str] = []
        if spec.name not in self.builders:
            self._call("run_instances", lambda: made.append(self._launch(spec)))
        return made[0] if made else self.builders[spec.name].instance_id

    def view_builder(self, name: str) -> Builder:
        machine = self.builders.get(name)
        if machine is None:
            return Builder(name, "missing")
        state = STATES[machine.age]
        if not (self.levers.never_stops and state == "running"):
            machine.age = min(machine.age + 1, len(STATES) - 1)
            if state == "running":
                self.box.stored = self.box.outcome
        return Builder(name, state, machine.since, machine.instance_id, machine.spec.instance_type)

    def view_console(self, name: str) -> str:
        return self.levers.console

    def find_builders(self, app: str) -> list[Builder]:
        ours = [one for one in self.builders.values() if one.spec.tags.get(APP) == app]
        return [
            Builder(one.spec.name, STATES[one.age], one.since, one.instance_id, one.spec.instance_type) for one in ours
        ]

    def create_image(self, builder: str, name: str, tags: Mapping[str, str]) -> Image:
        if name not in self.images:
            assert STATES[self.builders[builder].age] == "stopped"
            self._call("create_image", lambda: self._store(name, tags))
        assert all(self.images[name].tags[key] == tags[key] for key in IDENTITY)
        return self.images[name]

    def copy_image(self, source_region: str, image: Image) -> Image:
        if image.name not in self.images:
            self._call("copy_image", lambda: self._store(image.name, {}))
        if not image.tags.keys() <= self.images[image.name].tags.keys():
            self._call("create_tags", lambda: self._tag(image.name, image.tags))
        return self.images[image.name]

    def share_image(self, image_id: str, account_ids: Sequence[str]) -> None:
        if image_id not in {one.image_id for one in self.images.values()}:
            raise RefusedError(f"no image {image_id}")
        self._call("modify_image_attribute", lambda: self.shared.setdefault(image_id, set()).update(account_ids))

    def end_builder(self, name: str) -> None:
        self._call("terminate_instances", lambda: self.builders.pop(name, None))

    def delete_image(self, image_id: str) -> None:
        names = [name for name, image in self.images.items() if image.image_id == image_id]
        if names:
            self._call("deregister_image", lambda: self.images.pop(names[0], None))
            self.deleted.append(image_id)

    def _launch(self, spec: BuilderSpec) -> str:
        self.launched += 1
        machine = Machine(spec, f"i-{self.launched}", self.now())
        return self.builders.setdefault(spec.name, machine).instance_id

    def _store(self, name: str, tags: Mapping[str, str]) -> None:
        """A name is an image's once, as AWS has it."""
        self.images.setdefault(name, Image(f"ami-{self.region}-{name[-4:]}", name, "pending", self.now(), dict(tags)))

    def _tag(self, name: str, tags: Mapping[str, str]) -> None:
        found = self.images[name]
        self.images[name] = replace(found, tags={**found.tags, **tags})

    def _call(self, name: str, effect: Callable[[], object]) -> None:
        self.hook(name, "before")
        if name in self.levers.refuses:
            raise RefusedError(f"{name} in {self.region}: {self.levers.refuses[name]}")
        effect()
        self.hook(name, "after")
