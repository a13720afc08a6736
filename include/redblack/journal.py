"""What the engine writes into the ledger, and what it asks there before each deed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from include.fleet import ClusterView
from include.ledger import Json, Kind
from include.redblack.steps import Verb


class Journal(Protocol):
    """The engine's side of the ledger for one push, rollback or canary. Every entry is kept once, however often."""

    def settle(self, view: ClusterView) -> None:
        """Before the first deed of an engine: what an earlier one intended and `view` shows as done, is done."""

    def intend(self, step: Verb) -> None:
        """The deed is about to be done: written before the first call."""

    def done(self, step: Verb) -> None:
        """The deed was done."""

    def note(self, kind: Kind, data: Mapping[str, Json] | None = None, *, why: str = "") -> None:
        """A fact of this attempt: its kind is its key, as a push is launched once."""

    def has(self, kind: Kind) -> bool:
        """Whether this attempt has noted a fact of that kind."""

    def failure(self) -> str:
        """Why this attempt's push has failed; "" where it has not."""

    def keep_lease(self) -> None:
        """Renew the lease where it is due; LockLostError where the cluster is another's by now."""

    def hold(self) -> str:
        """Who holds the cluster, and why; "" where nobody does."""


class NoJournal:
    """For what is kept nowhere: tests of decisions."""

    def settle(self, view: ClusterView) -> None:
        pass

    def intend(self, step: Verb) -> None:
        pass

    def done(self, step: Verb) -> None:
        pass

    def note(self, kind: Kind, data: Mapping[str, Json] | None = None, *, why: str = "") -> None:
        pass

    def has(self, kind: Kind) -> bool:
        return False

    def failure(self) -> str:
        return ""

    def keep_lease(self) -> None:
        pass

    def hold(self) -> str:
        return ""
