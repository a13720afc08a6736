"""The typed model of `<app>.toml`. Unknown keys are errors; durations are seconds, shares are percent."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from include.apps.flows import Flow, FlowName, check_flows
from include.apps.section import Name, Seconds, Section, Words
from include.apps.windows import Freeze, Holiday, RegionName, TimeZone, Waves, Windows
from include.errors import ConfigError


class Source(Section):
    """The repository (its name below the git connection's host), asked for new commits every `poll_seconds`."""

    repository: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")
    poll_seconds: float = Field(15, ge=1)


class Build(Section):
    """The application's own commands, run in a clean copy of the commit; `{artifact}` is the file to write.

    Where the test command has `{junit}`, it is the file to which the tests write their results as JUnit XML.
    """

    command: Words
    test_command: Words
    build_timeout_seconds: Seconds = 900
    test_timeout_seconds: Seconds = 1800

    @model_validator(mode="after")
    def names_the_artifact(self) -> Self:
        if not any("{artifact}" in word for word in self.command):
            raise ValueError("the build command must name its output as {artifact}")
        return self


class Bake(Section):
    """From which image, on which machine, and with which accounts the result is shared.

    A builder that has not switched itself off `timeout_seconds` after its launch is ended; the copies may take twice
    as long again. An image that nothing uses or may need is deleted when it is older than `image_days` and not among
    the newest `keep_images` commits.
    """

    base_image: str
    builder_type: str
    share_accounts: tuple[Annotated[str, Field(pattern=r"^\d{12}$")], ...] = ()
    timeout_seconds: Seconds = 1200
    keep_images: int = Field(10, ge=1)
    image_days: float = Field(14, gt=0)


class Region(Section):
    """A region that serves; `market` is the audience in words, `time_zone` that in which it lives."""

    name: RegionName
    market: str
    time_zone: TimeZone = "UTC"


class Canary(Section):
    """A canary and a baseline of the same size beside production, each with `share_pct` of the traffic.

    They are judged at the end of the soak and, unless `look_every_seconds` is 0, at intervals before it: each time
    over all that was measured so far, or over the last `lookback_seconds` where that is not 0.
    """

    region: str | None = None
    size: int = Field(2, ge=1)
    share_pct: float = Field(15, gt=0, le=40)
    soak_seconds: int = Field(8 * 3600, ge=30)
    settle_seconds: int = Field(10, ge=0)
    series_period_seconds: int = Field(5, ge=1)
    look_every_seconds: int = Field(0, ge=0)
    lookback_seconds: int = Field(0, ge=0)
    namespace: str = Field(min_length=1)
    judge_file: str = Field(pattern=r"^[a-z0-9_.-]+\.toml$")
    launch_timeout_seconds: Seconds = 900

    @model_validator(mode="after")
    def looks_at_all_of_the_soak(self) -> Self:
        if 0 < self.lookback_seconds < self.look_every_seconds:
            raise ValueError("lookback_seconds must be 0 or at least look_every_seconds: what lies between is not seen")
        return self


class Capacity(Section):
    """What one instance carries, until the squeeze measures it: `rps_per_instance` at most, by which the traffic guard
    and rollbacks count; `target_rps` on average, which the scaling policy aims at; `start_seconds` from launch to
    serving, where the ledger has not measured it yet."""

    rps_per_instance: float = Field(gt=0)
    target_rps: float = Field(gt=0)
    start_seconds: float = Field(default=120, gt=0)

    @model_validator(mode="after")
    def aims_below_the_most(self) -> Self:
        if self.target_rps > self.rps_per_instance:
            raise ValueError("target_rps is above rps_per_instance")
        return self


class Limits(Section):
    """What a watch allows where no canary has told the levels: `error_pct` of requests (5xx and refused
    connections), and the mean latency."""

    error_pct: float = Field(default=1.0, gt=0, le=100)
    latency_mean_ms: float = Field(default=1000, gt=0)


class Push(Section):
    """How a region's running version is replaced.

    The new group gets the live count and `head_room_pct` percent more, and is rolled back when it is not healthy
    and serving `launch_timeout_seconds` after its creation; where `needs_traffic`, requests must be seen on each of its
    instances before the previous group goes. Red is watched beside the previous group for
    `side_by_side_seconds`, then alone for `watch_seconds`. `keep_black` groups out of traffic are kept, each for
    `black_hours` at most. A try that has not ended after `timeout_seconds`, rolling back included, is given up and
    left to a person. The lock of a cluster runs out `lease_seconds` after its owner's last sign of life.
    """

    head_room_pct: int = Field(default=10, ge=0, le=100)
    needs_traffic: bool = True
    launch_timeout_seconds: Seconds = 900
    side_by_side_seconds: int = Field(default=60, ge=0)
    watch_seconds: int = Field(default=600, ge=0)
    timeout_seconds: Seconds = 3600
    keep_black: int = Field(default=1, ge=0, le=3)
    black_hours: float = Field(default=4, gt=0)
    lease_seconds: int = Field(default=180, ge=30)
    limits: Limits = Field(default_factory=Limits)

    @model_validator(mode="after")
    def leaves_time_to_roll_back(self) -> Self:
        if self.timeout_seconds <= self.launch_timeout_seconds:
            raise ValueError("timeout_seconds must be above launch_timeout_seconds: a rollback comes after the launch")
        return self


class Tests(Section):
    """The application's own tests against an environment, run in a clean copy of the commit.

    `{address}` is the environment's base URL in the region that is tested, `{junit}` the file for JUnit XML.
    """

    command: Words
    timeout_seconds: Seconds = 1800

    @model_validator(mode="after")
    def names_the_address(self) -> Self:
        if not any("{address}" in word for word in self.command):
            raise ValueError("the test command must name the environment's address as {address}")
        return self


class Environment(Section):
    """Where the application runs and how it gets there. Its clusters are `<app>-<stack>`, one in every region."""

    stack: Name
    connection_id: str
    account: str = Field(pattern=r"^\d{12}$")
    load_balancer: str
    instance_type: str
    port: int = Field(ge=1, le=65535)
    health_path: str = Field(pattern=r"^/")
    min_size: int = Field(ge=1)
    max_size: int = Field(ge=1)
    regions: Annotated[tuple[Region, ...], Field(min_length=1)]
    capacity: Capacity
    push: Push = Field(default_factory=Push)
    waves: Waves = Field(default_factory=Waves)
    windows: Windows | None = None
    tests: Tests | None = None

    @model_validator(mode="after")
    def is_consistent(self) -> Self:
        names = self.region_names
        if len(set(names)) != len(names):
            raise ValueError("a region is listed twice")
        if self.min_size > self.max_size:
            raise ValueError("min_size is above max_size")
        for name in self._regions_of_windows():
            if name not in names:
                raise ValueError(f"windows: the environment does not run in {name}")
        return self

    def _regions_of_windows(self) -> list[str]:
        if self.windows is None:
            return []
        days: list[Freeze | Holiday] = [*self.windows.freezes, *self.windows.holidays]
        return [name for one in days for name in one.regions]

    @property
    def region_names(self) -> tuple[str, ...]:
        """As they are listed."""
        return tuple(region.name for region in self.regions)

    def region(self, name: str) -> Region:
        """ConfigError for a region in which the environment does not run."""
        found = next((one for one in self.regions if one.name == name), None)
        if found is None:
            known = ", ".join(self.region_names)
            raise ConfigError(f"{self.stack} runs in {known}", source="region", key="name", value=name)
        return found


class Production(Environment):
    """The environment that users are served by: nothing reaches it without a canary."""

    canary: Canary
    gate_threshold: float = Field(95, ge=0, le=100)

    @model_validator(mode="after")
    def has_the_canary_in_a_region(self) -> Self:
        if self.canary.region is not None and self.canary.region not in self.region_names:
            raise ValueError(f"canary.region must be one of {', '.join(self.region_names)}")
        return self

    @property
    def canary_region(self) -> str:
        """Where the canary runs: as set, else the region that is listed first."""
        return self.canary.region or self.region_names[0]


class Environments(BaseModel):
    """`prod`, and any others by name."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[Name, Environment] = Field(init=False)

    prod: Production

    @property
    def by_name(self) -> dict[str, Environment]:
        """All of them, in the order of the file, `prod` first."""
        return {"prod": self.prod, **self.__pydantic_extra__}


class App(Section):
    """One delivered application. A paused one's flows wait in Airflow until a person lets them run."""

    name: Name
    source: Source
    build: Build
    bake: Bake
    environments: Environments
    flows: Annotated[dict[FlowName, Flow], Field(min_length=1)]
    paused: bool = False

    @property
    def prod(self) -> Production:
        return self.environments.prod

    @property
    def environment_names(self) -> tuple[str, ...]:
        return tuple(self.environments.by_name)

    def environment(self, name: str) -> Environment:
        """ConfigError for a name that the file does not have."""
        found = self.environments.by_name.get(name)
        if found is None:
            known = ", ".join(self.environment_names)
            raise ConfigError(f"{self.name} has {known}", source="environment", key="name", value=name)
        return found

    def in_stack(self, stack: str) -> Environment:
        """The environment whose clusters are `<app>-<stack>`."""
        found = next((one for one in self.environments.by_name.values() if one.stack == stack), None)
        if found is None:
            known = ", ".join(one.stack for one in self.environments.by_name.values())
            raise ConfigError(f"{self.name} has {known}", source="environment", key="stack", value=stack)
        return found

    @property
    def image_regions(self) -> tuple[str, ...]:
        """Every region in which an environment launches images; the region where they are baked first."""
        names = [name for one in self.environments.by_name.values() for name in one.region_names]
        return tuple(dict.fromkeys(names))

    def dag_id(self, flow: str) -> str:
        return f"{self.name}_{flow}"

    @model_validator(mode="after")
    def is_consistent(self) -> Self:
        stacks = [one.stack for one in self.environments.by_name.values()]
        if len(set(stacks)) != len(stacks):
            raise ValueError(f"two environments share a stack ({', '.join(stacks)}): their clusters would be one")
        used: dict[tuple[str, str, str], str] = {}
        for name, one in self.environments.by_name.items():
            for region in one.region_names:
                other = used.setdefault((one.account, region, one.load_balancer), name)
                if other != name:
                    raise ValueError(f"{other} and {name} share {one.load_balancer} in {region}: each needs its own")
        check_flows(self.flows, self.environments.by_name)
        return self
