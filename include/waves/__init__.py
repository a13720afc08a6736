"""Waves: which regions are pushed when, what stops them, and in which order they go back. All pure."""

from include.waves.plan import Wave, Waves, plan_waves
from include.waves.standing import Standing, Standings, Step, Told, standings_of
from include.waves.turn import RegionState, Turn, Verdict, regions_to_take_back, turn_of

__all__ = [
    "RegionState",
    "Standing",
    "Standings",
    "Step",
    "Told",
    "Turn",
    "Verdict",
    "Wave",
    "Waves",
    "plan_waves",
    "regions_to_take_back",
    "standings_of",
    "turn_of",
]
