"""When each region's push is expected to begin: after the wave before it, in a window of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from include.waves.plan import Waves


@dataclass(frozen=True)
class Opening:
    """From when on a push may begin, and until when; None: not known, or no end. `why` tells of a wait."""

    begins: datetime | None
    until: datetime | None = None
    why: str = ""


@dataclass(frozen=True)
class Slot:
    """The expected time of one region's push; `wave` counts from 1. Without a begin, `why` says what is missing."""

    region: str
    wave: int
    begins: datetime | None
    ends: datetime | None
    opening: Opening
    why: str = ""


def schedule(
    waves: Waves,
    seconds: Mapping[str, float | None],
    opening: Callable[[str, datetime], Opening],
    start: datetime,
) -> dict[str, Slot]:
    """Region -> its slot. `seconds` is what its push takes (None: it does not come to its end); `opening` says from
    when on a region that is free to begin at a moment may do so."""
    found: dict[str, Slot] = {}
    free: datetime | None = start
    missing = ""
    for number, wave in enumerate(waves.waves, start=1):
        slots = [_slot(region, number, seconds.get(region), opening, free, missing) for region in wave]
        found |= {slot.region: slot for slot in slots}
        if endless := next((slot for slot in slots if slot.ends is None), None):
            free, missing = None, missing or f"{endless.region} comes before and has no end in sight"
        else:
            free = max((slot.ends for slot in slots if slot.ends is not None), default=free)
    return found


def _slot(
    region: str,
    wave: int,
    seconds: float | None,
    opening: Callable[[str, datetime], Opening],
    free: datetime | None,
    missing: str,
) -> Slot:
    if free is None:
        return Slot(region, wave, None, None, Opening(None), missing)
    opens = opening(region, free)
    if opens.begins is None:
        return Slot(region, wave, None, None, opens, opens.why)
    begins = max(opens.begins, free)
    ends = begins + timedelta(seconds=seconds) if seconds is not None else None
    return Slot(region, wave, begins, ends, opens, opens.why)
