"""A run's regions as they are told of: their names, the order of their push, and what they wait for (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

WAIT_WIDTH = 22
HALF_DAY_SECONDS = 12 * 3600


@dataclass(frozen=True)
class Wait:
    """Why a region's push does not begin yet, and when it may (None: not known)."""

    why: str
    opens: datetime | None = None

    def note(self, now: datetime) -> str:
        """Short: `at its peak until 18:57:10 UTC (0:57 left)`."""
        reason = _shortened(re.split(r" \(|[,;]", self.why)[0].removeprefix("the market is "), WAIT_WIDTH)
        if self.opens is None:
            return reason
        left = (self.opens - now).total_seconds()
        when = f"{self.opens.astimezone(UTC):{'%H:%M:%S' if left < HALF_DAY_SECONDS else '%a %H:%M'}} UTC"
        return f"{reason} until {when} ({clock(left)} left)" if left > 0 else f"{reason}: looks again"


@dataclass(frozen=True)
class Regions:
    """Of a run's push: `names` by map index, the `order` in which they are pushed, and what they wait for, by map
    index."""

    names: Sequence[str] = ()
    order: Sequence[str] = ()
    waits: Mapping[int, Wait] = field(default_factory=dict)

    def name(self, index: int) -> str:
        return self.names[index] if 0 <= index < len(self.names) else ""

    def place(self, index: int) -> int:
        """Where a region stands among the lines."""
        name = self.name(index)
        return self.order.index(name) if name in self.order else len(self.order) + index


def wait_of(value: Any) -> Wait | None:
    """What a region waits for, from the XCom `wait` of its task; None where it says nothing that is known."""
    if not isinstance(value, Mapping) or not value.get("why"):
        return None
    opens = value.get("opens")
    return Wait(str(value["why"]), datetime.fromisoformat(str(opens)) if opens else None)


def order_of(result: Any) -> list[str]:
    """Regions in the order of their push, from the result of order_regions: waves, or a list as it once was."""
    waves = result.get("waves", []) if isinstance(result, Mapping) else result if isinstance(result, list) else []
    return [region for wave in waves for region in ([wave] if isinstance(wave, str) else wave)]


def clock(seconds: float) -> str:
    minutes, rest = divmod(int(max(0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1].rstrip()}…"
