"""Nudges: somebody says that a branch has moved. Whoever watches the branch asks the remote itself, at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol


class Nudges(Protocol):
    """One number for each branch of each repository; it only grows, and one that was missed is in the next.

    Every verb is one transaction. RetryableError where the database does not answer.
    """

    def nudge(self, repository: str, branch: str, commit: str, now: datetime) -> int:
        """Count one more and return the count, from 1. `commit` ("" = unknown) is kept for people, not for machines:
        it is what somebody said."""

    def nudges(self) -> Mapping[tuple[str, str], int]:
        """(repository, branch) -> count, of every branch that was ever nudged."""
