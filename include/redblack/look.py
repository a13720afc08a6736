"""All that a decision is made from: what AWS says now, what is asked of the cluster, and what a watch found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from include.fleet import ClusterView
from include.redblack.demand import Demand


class Finding(StrEnum):
    """What a watch says of red so far. UNKNOWN is not SOUND: no evidence is never a pass."""

    SOUND = "sound"
    UNSOUND = "unsound"
    UNKNOWN = "unknown"


class WatchKind(StrEnum):
    """SIDE_BY_SIDE: red against previous while both serve. ALONE: red against the canary's recorded levels, or
    against the settings' limits where there was no canary."""

    SIDE_BY_SIDE = "side_by_side"
    ALONE = "alone"


@dataclass(frozen=True)
class WatchRequest:
    """What is to be watched: `red` (and the groups beside it) from `since` until `until`, moments in UTC."""

    kind: WatchKind
    region: str
    red: str
    previous: tuple[str, ...]
    since: datetime
    until: datetime


@dataclass(frozen=True)
class Watched:
    """What a watch found at the moment `at`; `is_severe`: users are hurt, go back at once."""

    finding: Finding
    at: datetime
    reason: str = ""
    is_severe: bool = False


@dataclass(frozen=True)
class Look:
    """One look at a cluster.

    `served`: requests per instance id of late (absent: none seen), and `blind`: why they could not be counted, "" where
    they were; `watched`: the newest finding, None before the first; `hold`: who holds the cluster and why, "" where
    nobody does.
    """

    view: ClusterView
    now: datetime
    served: Mapping[str, float] = field(default_factory=dict)
    blind: str = ""
    demand: Demand = field(default_factory=Demand)
    watched: Watched | None = None
    hold: str = ""
