"""How a run's push of each region stands, from what was told of it in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from include.waves.turn import RegionState


class Step(StrEnum):
    """What is told of a region's push. TAKEN_BACK and LEFT are of a halt: how its way back ended."""

    BEGUN = "begun"
    FINISHED = "finished"
    FAILED = "failed"
    TAKEN_BACK = "taken back"
    LEFT = "not taken back"


@dataclass(frozen=True)
class Told:
    """One thing that was told of a region; `why` is the reason of a failure."""

    region: str
    step: Step
    why: str = ""


@dataclass(frozen=True)
class Standing:
    """How a region stands. `attempt`: how often its push has failed, or was taken back: the number of the next one that
    begins, and of the one that is under way or finished."""

    state: RegionState = RegionState.NOT_BEGUN
    attempt: int = 0
    why: str = ""


@dataclass(frozen=True)
class Standings:
    """All regions of a run of which something was told; `finished` and `failed`: in the order in which they came to
    that end."""

    by_region: Mapping[str, Standing] = field(default_factory=dict)
    finished: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()

    def of(self, region: str) -> Standing:
        """NOT_BEGUN where nothing was told of it."""
        return self.by_region.get(region, Standing())

    @property
    def states(self) -> dict[str, RegionState]:
        return {region: one.state for region, one in self.by_region.items()}

    def regions(self, state: RegionState) -> tuple[str, ...]:
        return tuple(region for region, one in self.by_region.items() if one.state is state)

    def forgiving(self, attempts: Mapping[str, int]) -> Standings:
        """The same with regions that are begun again, given with their attempt: as long as they stand at it, what went
        before does not count."""
        forgiven = {
            region: Standing(RegionState.NOT_BEGUN, one.attempt)
            for region, one in self.by_region.items()
            if attempts.get(region) == one.attempt and one.state in (RegionState.FAILED, RegionState.TAKEN_BACK)
        }
        failed = tuple(region for region in self.failed if region not in forgiven)
        return Standings({**self.by_region, **forgiven}, self.finished, failed)


def standings_of(told: Iterable[Told]) -> Standings:
    """`told` in the order in which it was recorded."""
    found: dict[str, Standing] = {}
    order: dict[str, None] = {}
    for one in told:
        before = found.get(one.region, Standing())
        found[one.region] = after = _after(before, one)
        if after.state is not before.state:
            order.pop(one.region, None)
            order[one.region] = None
    finished = (region for region in order if found[region].state is RegionState.FINISHED)
    failed = (region for region in order if found[region].state is RegionState.FAILED)
    return Standings(found, tuple(finished), tuple(failed))


def _after(before: Standing, told: Told) -> Standing:
    if told.step is Step.BEGUN:
        return Standing(RegionState.UNDER_WAY, before.attempt)
    if told.step is Step.FINISHED:
        return Standing(RegionState.FINISHED, before.attempt)
    if told.step is Step.FAILED:
        return Standing(RegionState.FAILED, before.attempt + 1, told.why)
    if before.state not in (RegionState.FINISHED, RegionState.LEFT):
        return before
    if told.step is Step.TAKEN_BACK:
        return Standing(RegionState.TAKEN_BACK, before.attempt + 1, told.why)
    return Standing(RegionState.LEFT, before.attempt, told.why)
