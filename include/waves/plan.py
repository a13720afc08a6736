"""Regions in waves: the quietest first, then the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Wave = tuple[str, ...]


@dataclass(frozen=True)
class Waves:
    """Waves in their order; the regions of one are pushed at the same time. `takes_back`: a failure also takes the
    finished regions back. `why` says how the order was found."""

    waves: tuple[Wave, ...]
    takes_back: bool = False
    why: str = ""

    @property
    def regions(self) -> tuple[str, ...]:
        """All of them, wave by wave."""
        return tuple(region for wave in self.waves for region in wave)

    def before(self, region: str) -> tuple[Wave, ...]:
        """The waves before the region's own; the region is one of them."""
        number = next(number for number, wave in enumerate(self.waves) if region in wave)
        return self.waves[:number]

    @property
    def words(self) -> str:
        """`us-west-2, then us-east-1 and eu-west-1`."""
        return ", then ".join(" and ".join(wave) for wave in self.waves)


def plan_waves(
    regions: Sequence[str],
    *,
    levels: Mapping[str, float | None],
    by_traffic: bool,
    first: int,
    at_once: int,
    takes_back: bool = False,
) -> Waves:
    """`regions` (as they are listed) in waves: `first` of them, then `at_once` at a time (0: all that are left).

    `levels`: usual requests per second, None where not known; by traffic they come with the least first, and as listed
    where one of them is not known. Equal ones stay as they are listed.
    """
    ordered, why = _ordered(tuple(regions), levels) if by_traffic else (tuple(regions), "as the settings list them")
    waves = [ordered[:first]] if ordered else []
    rest = ordered[first:]
    size = at_once or max(len(rest), 1)
    waves += [rest[start : start + size] for start in range(0, len(rest), size)]
    return Waves(tuple(waves), takes_back, why)


def _ordered(regions: tuple[str, ...], levels: Mapping[str, float | None]) -> tuple[tuple[str, ...], str]:
    known = {region: level for region in regions if (level := levels.get(region)) is not None}
    if unknown := [region for region in regions if region not in known]:
        return regions, f"as the settings list them: the usual traffic of {', '.join(unknown)} is not known"
    ordered = tuple(sorted(regions, key=known.__getitem__))
    rates = ", ".join(f"{region} {known[region]:.0f}/s" for region in ordered)
    return ordered, f"the least usual traffic first: {rates}"
