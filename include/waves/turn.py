"""Whose turn it is, from how each region's push stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from include.waves.plan import Waves


class RegionState(StrEnum):
    """How the run's push of a region stands. LEFT: it was finished and should have been taken back, and could not."""

    NOT_BEGUN = "not begun"
    UNDER_WAY = "under way"
    FINISHED = "finished"
    FAILED = "failed"
    TAKEN_BACK = "taken back"
    LEFT = "not taken back"


class Verdict(StrEnum):
    BEGIN = "begin"
    WAIT = "wait"
    HALT = "halt"


@dataclass(frozen=True)
class Turn:
    """Whether a region may begin; `why` says what is waited for, or what stopped it; `region` is that of which."""

    verdict: Verdict
    why: str = ""
    region: str = ""


DONE = frozenset({RegionState.FINISHED, RegionState.LEFT})


def turn_of(region: str, waves: Waves, states: Mapping[str, RegionState]) -> Turn:
    """Whether the push of `region` (one of the waves') may begin: every earlier wave is finished and nothing of the run
    has failed. Who is under way goes on. Its own failure is no hindrance: who begins it again means that.

    A region that is not in `states` is not begun.
    """
    if states.get(region) is RegionState.UNDER_WAY:
        return Turn(Verdict.BEGIN)
    failed = [one for one in waves.regions if one != region and states.get(one) is RegionState.FAILED]
    if failed:
        return Turn(Verdict.HALT, f"the push of {failed[0]} has failed", failed[0])
    earlier = [one for wave in waves.before(region) for one in wave if states.get(one) not in DONE]
    back = next((one for one in earlier if states.get(one) is RegionState.TAKEN_BACK), "")
    if back:
        return Turn(Verdict.HALT, f"{back} comes before {region} and was taken back", back)
    if earlier:
        return Turn(Verdict.WAIT, _words(earlier, region), earlier[0])
    return Turn(Verdict.BEGIN)


def regions_to_take_back(
    waves: Waves, states: Mapping[str, RegionState], finished_in_order: Sequence[str]
) -> tuple[str, ...]:
    """The finished regions, the last first, once something has failed and nothing is under way; else none. None
    either where the run does not take back."""
    found = [states.get(region) for region in waves.regions]
    if not waves.takes_back or RegionState.FAILED not in found or RegionState.UNDER_WAY in found:
        return ()
    return tuple(one for one in reversed(finished_in_order) if states.get(one) is RegionState.FINISHED)


def _words(earlier: Sequence[str], region: str) -> str:
    if len(earlier) == 1:
        return f"{earlier[0]} comes before {region} and is not at the end of its push"
    more = f" and {len(earlier) - 3} more" if len(earlier) > 3 else ""
    return f"{', '.join(earlier[:3])}{more} come before {region} and are not at the end of their pushes"
