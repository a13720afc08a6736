"""Values of an application's source: commits, and what came of a merge."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal


@dataclass(frozen=True)
class CommitInfo:
    """One commit; `tree` identifies its content, so that two commits of the same files compare equal by it."""

    commit: str
    tree: str
    author: str
    committed_at: datetime
    subject: str

    @property
    def short(self) -> str:
        return self.commit[:10]

    @property
    def version(self) -> str:
        """Sortable, the same for every build of the commit: `20261105.142233-1a2b3c4`."""
        return f"{self.committed_at.astimezone(UTC):%Y%m%d.%H%M%S}-{self.commit[:7]}"

    @property
    def build_environment(self) -> dict[str, str]:
        """What a build is told; one that honours the epoch gives the same bytes for the same commit."""
        return {
            "SOURCE_DATE_EPOCH": str(int(self.committed_at.timestamp())),
            "BUILD_VERSION": self.version,
            "BUILD_COMMIT": self.commit,
        }


@dataclass(frozen=True)
class MergeResult:
    """`merged_to` is the target branch's commit afterwards, and `tag` the tag that the source's commit has then.

    A conflict wrote nothing and names its files.
    """

    outcome: Literal["nothing to do", "fast-forward", "merged", "conflict"]
    source_commit: str
    target_commit: str
    merged_to: str = ""
    conflicts: tuple[str, ...] = ()
    tag: str = ""
