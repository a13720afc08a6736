"""Where a group launches and whom it ends: pure choices over its members."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol, TypeVar


class Candidate(Protocol):
    """What the choice needs of a member; `launched_at` is in seconds."""

    zone: str
    launched_at: float
    is_serving: bool
    is_protected: bool


Member = TypeVar("Member", bound=Candidate)


def choose_zones(zones: Sequence[str], members: Sequence[Candidate], count: int) -> list[str]:
    """`count` zones, each time the one with the fewest members; equal ones in the order given."""
    held = Counter(member.zone for member in members)
    chosen = []
    for _ in range(count):
        zone = min(zones, key=lambda one: held[one])
        held[zone] += 1
        chosen.append(zone)
    return chosen


def choose_victims(members: Sequence[Member], count: int) -> list[Member]:
    """Not serving before serving, then from the zone with most, then the oldest; never a protected one."""
    rest = [member for member in members if not member.is_protected]
    held = Counter(member.zone for member in members)
    victims: list[Member] = []
    while rest and len(victims) < count:
        victim = min(rest, key=lambda one: (one.is_serving, -held[one.zone], one.launched_at))
        held[victim.zone] -= 1
        rest.remove(victim)
        victims.append(victim)
    return victims
