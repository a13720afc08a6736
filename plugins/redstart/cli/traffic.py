"""What the generator counted, between two moments of a run (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Counters = Mapping[str, Any]


def sent_and_failed(before: Counters | None, after: Counters | None) -> tuple[int, int] | None:
    """Requests sent and failed in between; None where either is missing or the generator began anew meanwhile."""
    if not before or not after or before.get("since") != after.get("since"):
        return None
    return tuple(int(after["total"][key]) - int(before["total"][key]) for key in ("sent", "failed"))  # type: ignore[return-value]


def shares(before: Counters | None, after: Counters | None, region: str) -> dict[str, float]:
    """Percent of the region's answered requests by group in between; empty where it cannot be said."""
    if not before or not after or region not in before["regions"] or region not in after["regions"]:
        return {}
    earlier, later = before["regions"][region]["by_group"], after["regions"][region]["by_group"]
    counts = {group: int(count) - int(earlier.get(group, 0)) for group, count in later.items()}
    counts = {group: count for group, count in counts.items() if count > 0}
    whole = sum(counts.values())
    return {group: 100 * count / whole for group, count in sorted(counts.items())}


class Marks:
    """Counters kept at the first sight of each moment of a run."""

    def __init__(self) -> None:
        self._kept: dict[str, Counters] = {}

    def keep(self, moment: str, counters: Counters | None) -> None:
        if counters is not None:
            self._kept.setdefault(moment, counters)

    def at(self, moment: str) -> Counters | None:
        return self._kept.get(moment)
