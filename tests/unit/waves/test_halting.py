"""Fifty regions in waves, driven step by step in any order, with a failure anywhere: order and halt are right."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from include.waves import (
    RegionState,
    Standings,
    Step,
    Told,
    Verdict,
    Waves,
    plan_waves,
    regions_to_take_back,
    standings_of,
    turn_of,
)


@dataclass(frozen=True)
class Trouble:
    """`region` fails after `after` of its steps (None: nobody does); `stuck` cannot be taken back."""

    region: int | None
    after: int
    stuck: int | None


@dataclass
class World:
    """A run as the ledger tells it; every actor looks at it anew before each step."""

    waves: Waves
    steps: dict[str, int]
    fails: str
    fails_after: int
    stuck: str
    told: list[Told] = field(default_factory=list)
    standings: Standings = field(default_factory=Standings)
    done: dict[str, int] = field(default_factory=dict)
    going_back: str = ""

    def tell(self, region: str, step: Step) -> None:
        self.told.append(Told(region, step))
        self.standings = standings_of(self.told)

    def actions(self) -> list[tuple[str, str]]:
        """What somebody could do next."""
        standings = self.standings
        states = standings.states
        if self.going_back:
            back = [("end way back", self.going_back)]
        else:
            back = [("go back", one) for one in regions_to_take_back(self.waves, states, standings.finished)[:1]]
        pushed = [("push", one) for one in standings.regions(RegionState.UNDER_WAY)]
        fresh = (one for one in self.waves.regions if standings.of(one).state is RegionState.NOT_BEGUN)
        begun = [("begin", one) for one in fresh if turn_of(one, self.waves, states).verdict is Verdict.BEGIN]
        return [*begun, *pushed, *back]

    def do(self, what: str, region: str) -> None:
        if what == "begin":
            self.tell(region, Step.BEGUN)
            self.done[region] = 0
        elif what == "go back":
            self.going_back = region
        elif what == "end way back":
            self.going_back = ""
            self.tell(region, Step.LEFT if region == self.stuck else Step.TAKEN_BACK)
        elif region == self.fails and self.done[region] == self.fails_after:
            self.tell(region, Step.FAILED)
        elif self.done[region] == self.steps[region]:
            self.tell(region, Step.FINISHED)
        else:
            self.done[region] += 1

    def check(self, what: str, region: str, before: Standings) -> None:
        """Right before somebody does it."""
        under_way = before.regions(RegionState.UNDER_WAY)
        if what == "begin":
            assert not before.failed, "after a failure nothing new begins"
            for wave in self.waves.before(region):
                assert all(before.of(one).state is RegionState.FINISHED for one in wave)
            wave = next(one for one in self.waves.waves if region in one)
            assert set(under_way) < set(wave), "never more than the wave is under way"
        if what in ("go back", "end way back"):
            assert self.waves.takes_back
            assert before.failed
            assert not under_way, "who is under way gets to its end first"
            assert before.finished[-1] == region, "the last to finish goes back first"


def run(world: World, chance: Random) -> None:
    most = sum(world.steps.values()) + 6 * len(world.steps) + 6
    for _ in range(most):
        actions = world.actions()
        if not actions:
            return
        what, region = chance.choice(actions)
        world.check(what, region, world.standings)
        world.do(what, region)
    raise AssertionError("it comes to no end")


def check_end(world: World) -> None:
    """What must be true when nobody has anything to do any more."""
    end = world.standings
    assert not end.regions(RegionState.UNDER_WAY)
    has_failed = any(one.step is Step.FAILED for one in world.told)
    if not has_failed:
        assert sorted(end.finished) == sorted(world.waves.regions)
        return
    finished = [one.region for one in world.told if one.step is Step.FINISHED]
    back = [one.region for one in world.told if one.step in (Step.TAKEN_BACK, Step.LEFT)]
    assert back == (finished[::-1] if world.waves.takes_back else []), "in reverse, those that finished after it too"
    begun = {one.region for one in world.told if one.step is Step.BEGUN}
    for region in set(world.waves.regions) - begun:
        assert end.of(region).state is RegionState.NOT_BEGUN
        assert turn_of(region, world.waves, end.states).verdict is Verdict.HALT, "it does not wait for ever"


TROUBLES = st.builds(
    Trouble,
    region=st.one_of(st.none(), st.integers(0, 49)),
    after=st.integers(0, 3),
    stuck=st.one_of(st.none(), st.integers(0, 49)),
)


def make(trouble: Trouble, *, count: int, first: int, at_once: int, takes_back: bool, chance: Random) -> World:
    names = [f"region-{number}" for number in range(count)]
    levels = {name: chance.random() for name in names}
    waves = plan_waves(names, levels=levels, by_traffic=True, first=first, at_once=at_once, takes_back=takes_back)
    steps = {name: chance.randrange(4) for name in names}
    fails = names[trouble.region % count] if trouble.region is not None else ""
    after = min(trouble.after, steps[fails]) if fails else 0
    stuck = names[trouble.stuck % count] if trouble.stuck is not None else ""
    return World(waves, steps, fails, after, stuck)


@settings(max_examples=6, deadline=None)
@given(trouble=TROUBLES, takes_back=st.booleans(), seed=st.integers(0, 2**32))
def test_fifty_regions_in_waves_of_five(trouble: Trouble, takes_back: bool, seed: int) -> None:
    chance = Random(seed)
    world = make(trouble, count=50, first=5, at_once=5, takes_back=takes_back, chance=chance)
    run(world, chance)
    check_end(world)


@settings(max_examples=60, deadline=None)
@given(
    trouble=TROUBLES,
    count=st.integers(1, 12),
    first=st.integers(1, 5),
    at_once=st.integers(0, 5),
    takes_back=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_waves_of_any_size(trouble: Trouble, count: int, first: int, at_once: int, takes_back: bool, seed: int) -> None:
    chance = Random(seed)
    world = make(trouble, count=count, first=first, at_once=at_once, takes_back=takes_back, chance=chance)
    run(world, chance)
    check_end(world)
