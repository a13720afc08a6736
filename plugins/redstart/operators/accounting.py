"""A flow's commits in the ledger: each is a run's subject, or named as superseded, once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.apps import App
from include.apps.selection import Selection
from include.ledger import EVERY_REGION, Event, Json, Kind, Ledger, Place
from redstart.operators import clock
from redstart.operators.cluster import place_of

if TYPE_CHECKING:
    from include.apps.source import CommitInfo

NEWEST = 500


@dataclass(frozen=True)
class Teller:
    """Whose word it is: the run's key, and who started it."""

    run: str
    who: str


class CommitAccounts:
    """The account of one flow of `app`, which follows `branch`."""

    def __init__(self, ledger: Ledger, app: App, flow: str, branch: str) -> None:
        self._ledger, self._app, self._flow, self._branch = ledger, app, flow, branch

    @property
    def place(self) -> Place:
        return place_of(self._app, EVERY_REGION)

    def selections(self) -> list[Selection]:
        """What the flow's runs have taken, in order: the newest of them, and at least the last one."""
        kinds = {Kind.COMMIT_SELECTED}
        recorded = self._ledger.events(place=self.place, kinds=kinds, newest=NEWEST)
        ours = [one.event for one in recorded if one.event.data.get("flow") == self._flow]
        if not ours and len(recorded) == NEWEST:  # others have taken a lot since
            recorded = self._ledger.events(place=self.place, kinds=kinds)
            ours = [one.event for one in recorded if one.event.data.get("flow") == self._flow]
        return [_read(event) for event in ours]

    def take(self, teller: Teller, number: int, info: CommitInfo, superseded: Sequence[str], *, is_named: bool) -> bool:
        """Keep the selection with what it supersedes; False, and nothing is kept, where another run has selected
        since `number` was the next."""
        data: dict[str, Json] = {
            "flow": self._flow,
            "branch": self._branch,
            "number": number,
            "commit": info.commit,
            "tree": info.tree,
            "version": info.version,
            "subject": one_line(info.subject),
            "author": one_line(info.author),
            "is_named": is_named,
        }
        key = f"{self._app.name}/{self._flow}/{number}/{Kind.COMMIT_SELECTED}"
        event = Event(key, Kind.COMMIT_SELECTED, clock.now(), self.place, teller.run, teller.who, data=data)
        return self._ledger.record_first(event, self._superseded(teller, superseded, info.commit))

    def name_superseded(self, teller: Teller, commits: Iterable[str], subject: str) -> None:
        """Keep that the run was told of these, which give way to another run's `subject`."""
        for event in self._superseded(teller, commits, subject):
            self._ledger.record(event)

    def _superseded(self, teller: Teller, commits: Iterable[str], subject: str) -> list[Event]:
        """One fact a commit, whichever run tells it first."""
        now, kind = clock.now(), Kind.COMMIT_SUPERSEDED
        why = f"superseded by {subject[:10]}"
        common: dict[str, Json] = {"flow": self._flow, "branch": self._branch, "by": subject}
        return [
            Event(
                f"{self._app.name}/{self._flow}/{commit}/{kind}",
                kind,
                now,
                self.place,
                teller.run,
                teller.who,
                why,
                {**common, "commit": commit},
            )
            for commit in commits
        ]


def _read(event: Event) -> Selection:
    data = event.data
    number = data.get("number")
    return Selection(
        number if isinstance(number, int) else 0,
        str(data.get("commit") or ""),
        event.run,
        is_named=bool(data.get("is_named")),
    )


def one_line(text: str, most: int = 200) -> str:
    """What somebody else wrote, fit for a line of a log: without control characters, and not longer than `most`."""
    clean = "".join(letter if letter.isprintable() else " " for letter in text)
    return clean if len(clean) <= most else f"{clean[: most - 1]}…"
