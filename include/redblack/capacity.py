"""How big the new group has to be."""

from __future__ import annotations

from dataclasses import dataclass

from include.errors import ConfigError
from include.fleet import Capacity


@dataclass(frozen=True)
class SizeBounds:
    """Fewest and most instances that a main group of the cluster may have."""

    minimum: int
    maximum: int

    def __post_init__(self) -> None:
        if not 1 <= self.minimum <= self.maximum:
            raise ConfigError("needs 1 <= minimum <= maximum", source="size bounds", value=self)


def red_size(live_count: int, bounds: SizeBounds, headroom_pct: int) -> int | None:
    """`live_count` + `headroom_pct` %, rounded up, within `bounds`; None where the maximum is below `live_count`.

    In whole numbers: 10 instances and 10 % are 11, which 10 * 1.1 rounded up is not.
    """
    if live_count > bounds.maximum:
        return None
    wanted = -(-live_count * (100 + headroom_pct) // 100)
    return min(max(wanted, bounds.minimum), bounds.maximum)


def pinned(size: int, bounds: SizeBounds) -> Capacity:
    """A group that cannot shrink below `size` while it is being pushed, but may grow."""
    return Capacity(minimum=size, desired=size, maximum=max(size, bounds.maximum))
