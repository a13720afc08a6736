"""What a sweep means to do with one thing, and why: the same words for those that go and those that stay."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Fate:
    """`kind` and `name` of the thing; whether it goes; `why`, in words, either way.

    `instance_hours`: what it has cost since it was of no use any more; `size_gib` that of an image's disks;
    `ident` its id, where it has one besides its name.
    """

    kind: str
    name: str
    goes: bool
    why: str
    instance_hours: float = 0.0
    size_gib: int = 0
    ident: str = field(default="", compare=False)

    @property
    def sentence(self) -> str:
        cost = f" ({self.instance_hours:.1f} instance-hours)" if self.instance_hours else ""
        return f"{self.kind} {self.name} {'goes' if self.goes else 'stays'}: {self.why}{cost}"


def hours_since(moment: datetime, now: datetime) -> float:
    return max((now - moment).total_seconds(), 0.0) / 3600


def span(duration: timedelta) -> str:
    """`40 min`, `3.5 h` or `16 days`: one figure that a person can weigh."""
    hours = max(duration.total_seconds(), 0.0) / 3600
    if hours < 1:
        return f"{hours * 60:.0f} min"
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.0f} days"
