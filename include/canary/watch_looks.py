"""When a watch looks at what was measured: a few times, as every look is a chance to be wrong."""

from __future__ import annotations

from datetime import datetime, timedelta

LOOKS = 6


def is_look_due(since: datetime, until: datetime, taken: datetime | None, now: datetime) -> bool:
    """Whether a watch from `since` to `until` looks (again) at `now`, having looked last at `taken`.

    `LOOKS` times at even intervals, the last at its end; where that one learnt too little, as often again afterwards.
    """
    every = max((until - since) / LOOKS, timedelta(seconds=1))
    return taken is None or (now - since) // every > (taken - since) // every
