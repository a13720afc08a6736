"""The time as the stations see it; tests put their own in its place."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> datetime:
    """Tz-aware UTC."""
    return datetime.now(UTC)


def sleep(seconds: float) -> None:
    time.sleep(seconds)
