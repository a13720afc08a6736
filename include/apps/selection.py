"""Which commit a run takes, and which it names as superseded: so that each commit is told of in exactly one run.

A flow's selections are numbered, and each is decided knowing all before it: who selects reads them *first*, and asks
for the branch's head *then*. So a head that is not the last selection's commit is where the branch went after it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

MOST_SUPERSEDED = 500


@dataclass(frozen=True)
class Selection:
    """A commit that a run has taken. `number` counts the flow's selections from 1.

    `is_named`: a person named it in the form, and the branch was elsewhere: where, such a selection does not tell.
    """

    number: int
    commit: str
    run: str
    is_named: bool = False


class Verdict(StrEnum):
    """What becomes of a run: it takes a commit, goes on with the one it has, or has nothing to do."""

    TAKE = "take"
    KEEP = "keep"
    END = "end"


@dataclass(frozen=True)
class Choice:
    """What a run does about `commit`; `why` is for whoever meets a run that ended."""

    verdict: Verdict
    commit: str
    why: str = ""


@dataclass(frozen=True)
class Wish:
    """A run that wants a commit of `branch`: `head`, where the branch is, or what a person `named`."""

    run: str
    branch: str
    head: str
    named: str = ""
    is_by_hand: bool = False

    @property
    def names_another(self) -> bool:
        """Whether what a person named is another commit than the head."""
        return self.named not in ("", self.head)


def choose_commit(selections: Sequence[Selection], wish: Wish) -> Choice:
    """The rules, over the flow's selections so far in their order.

    A run that was cleared or tried again keeps its commit, until the branch has a newer head: it takes that, unless
    another run has. A commit is taken once; again only by hand, or when the branch has been elsewhere in between.
    """
    own = next((one for one in reversed(selections) if one.run == wish.run), None)
    if wish.named:
        is_kept = own is not None and own.commit == wish.named
        return Choice(Verdict.KEEP if is_kept else Verdict.TAKE, wish.named)
    last = next((one for one in reversed(selections) if not one.is_named), None)
    if own is None and wish.is_by_hand:
        return Choice(Verdict.TAKE, wish.head)
    if last is None or last.commit != wish.head:
        return Choice(Verdict.TAKE, wish.head)
    if last.run == wish.run:
        return Choice(Verdict.KEEP, wish.head)
    return Choice(Verdict.END, wish.head, _why_ended(own, last, wish))


def _why_ended(own: Selection | None, last: Selection, wish: Wish) -> str:
    newest = f"{last.commit[:10]}, the newest commit on {wish.branch}"
    if own is None or own.commit == last.commit:
        return f"Nothing new: {newest}, is already the subject of run {last.run}."
    return f"Superseded: {newest}, is the subject of run {last.run}; this one's was {own.commit[:10]}."


def next_number(selections: Sequence[Selection]) -> int:
    """The number of the selection that follows."""
    return max((one.number for one in selections), default=0) + 1


def range_start(selections: Sequence[Selection]) -> str:
    """The commit after which the next selection's superseded ones begin; "" where nothing was selected yet.

    Not one that a person named, which may be of long ago, unless there is no other.
    """
    followed = [one for one in selections if not one.is_named] or selections
    return followed[-1].commit if followed else ""


def superseded(between: Iterable[str], told: Iterable[str], subject: str, selections: Iterable[Selection]) -> list[str]:
    """Commits that give way to `subject`: those `between` the last selection and it, and those of which the run was
    `told` by events; never one that was itself a run's subject."""
    subjects: Collection[str] = {subject, *(one.commit for one in selections)}
    return [commit for commit in dict.fromkeys([*told, *between]) if commit not in subjects]
