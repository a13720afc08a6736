"""Which commit a run takes: by hand-made cases, and by runs, pushes, kills and retries in any order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.apps.selection import (
    Selection,
    Verdict,
    Wish,
    choose_commit,
    next_number,
    range_start,
    superseded,
)

A, B, C = "a" * 40, "b" * 40, "c" * 40
TOOK_A = Selection(1, A, "run-1")
TOOK_B = Selection(2, B, "run-2")


def wish(head: str, run: str = "run-3", *, named: str = "", by_hand: bool = False) -> Wish:
    return Wish(run, "prod", head, named, by_hand)


@pytest.mark.parametrize(
    ("selections", "wanted", "verdict", "commit"),
    [
        ([], wish(A), Verdict.TAKE, A),
        ([TOOK_A], wish(B), Verdict.TAKE, B),
        ([TOOK_A], wish(A), Verdict.END, A),
        ([TOOK_A, TOOK_B], wish(B), Verdict.END, B),
        # Moved back by force: the branch is there now, and it was elsewhere in between.
        ([TOOK_A, TOOK_B], wish(A), Verdict.TAKE, A),
        ([TOOK_A, TOOK_B, Selection(3, A, "run-3")], wish(A, "run-4"), Verdict.END, A),
        ([TOOK_A, TOOK_B, Selection(3, A, "run-3")], wish(B, "run-4"), Verdict.TAKE, B),
        # A person's run takes it again.
        ([TOOK_A], wish(A, by_hand=True), Verdict.TAKE, A),
        ([TOOK_A, TOOK_B], wish(B, named=A, by_hand=True), Verdict.TAKE, A),
        ([TOOK_A, Selection(2, A, "run-3", is_named=True)], wish(B, named=A, by_hand=True), Verdict.KEEP, A),
        # What a person named does not tell where the branch was: B is not there anew.
        ([TOOK_A, TOOK_B, Selection(3, A, "by-hand", is_named=True)], wish(B), Verdict.END, B),
        # Cleared or tried again.
        ([TOOK_A], wish(A, "run-1"), Verdict.KEEP, A),
        ([TOOK_A], wish(B, "run-1"), Verdict.TAKE, B),
        ([TOOK_A, TOOK_B], wish(B, "run-1"), Verdict.END, B),
        ([TOOK_A, TOOK_B], wish(C, "run-1"), Verdict.TAKE, C),
        ([TOOK_A, TOOK_B], wish(B, "run-1", by_hand=True), Verdict.END, B),
        ([TOOK_A], wish(A, "run-1", by_hand=True), Verdict.KEEP, A),
        ([TOOK_A, TOOK_B, Selection(3, A, "run-3")], wish(A, "run-1"), Verdict.END, A),
    ],
)
def test_rules(selections: list[Selection], wanted: Wish, verdict: Verdict, commit: str) -> None:
    choice = choose_commit(selections, wanted)
    assert (choice.verdict, choice.commit) == (verdict, commit)
    assert bool(choice.why) == (verdict is Verdict.END)


def test_who_ends_says_which_run_has_the_commit() -> None:
    assert choose_commit([TOOK_A], wish(A)).why == (
        "Nothing new: aaaaaaaaaa, the newest commit on prod, is already the subject of run run-1."
    )
    assert choose_commit([TOOK_A, TOOK_B], wish(B, "run-1")).why == (
        "Superseded: bbbbbbbbbb, the newest commit on prod, is the subject of run run-2; this one's was aaaaaaaaaa."
    )


def test_superseded_are_told_once_and_never_subjects() -> None:
    assert superseded([C, B, A], [B, C, B], C, [TOOK_A]) == [B]
    assert superseded([], [], A, []) == []


def test_selections_are_numbered_without_gaps() -> None:
    assert [next_number([]), next_number([TOOK_A]), next_number([TOOK_A, TOOK_B])] == [1, 2, 3]
    assert (range_start([]), range_start([TOOK_A, TOOK_B])) == ("", B)


def test_an_old_commit_that_a_person_named_begins_no_range() -> None:
    named = Selection(3, C, "by-hand", is_named=True)
    assert range_start([TOOK_A, TOOK_B, named]) == B
    assert range_start([named]) == C, "there is no other"


def test_head_that_a_person_named_is_taken_as_the_head() -> None:
    assert [wish(A).names_another, wish(A, named=A).names_another, wish(B, named=A).names_another] == [
        False,
        False,
        True,
    ]


# --- any order -------------------------------------------------------------------------------------------------------


@dataclass
class World:
    """A repository's branch, its events, and a ledger that keeps each key once."""

    parents: dict[str, str] = field(default_factory=dict)
    head: str = ""
    events: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    selections: list[Selection] = field(default_factory=list)
    superseded: list[tuple[str, str]] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)

    def push(self, count: int) -> None:
        """`count` commits in one push: one event, of the last."""
        for _ in range(count):
            commit = f"{len(self.parents):010}"
            self.parents[commit] = self.head
            self.head = commit
        self._tell()

    def force(self, step: int) -> None:
        known = sorted(self.parents)
        if known and known[step % len(known)] != self.head:
            self.head = known[step % len(known)]
            self._tell()

    def _tell(self) -> None:
        self.events.append(self.head)
        self.told.append(self.head)

    def start(self, count: int) -> None:
        """A run of the oldest events not yet taken, at most `count` of them."""
        told, self.events = self.events[:count], self.events[count:]
        if told:
            self.runs.append(Run(self, f"run-{len(self.runs)}", told))

    def ancestors(self, commit: str) -> list[str]:
        found = []
        while commit:
            found.append(commit)
            commit = self.parents[commit]
        return found

    def between(self, old: str, new: str) -> list[str]:
        known = set(self.ancestors(old)) if old else set(self.parents) - {new}
        return [commit for commit in self.ancestors(new) if commit not in known]

    def keep_superseded(self, commits: list[str], run: str) -> None:
        kept = {commit for commit, _ in self.superseded}
        self.superseded += [(commit, run) for commit in commits if commit not in kept]


@dataclass
class Run:
    """One run's select_commit, as the operator does it: a step at a time, so that others get in between."""

    world: World
    run: str
    told: list[str]
    steps: Iterator[None] | None = None
    is_ended: bool = False

    def step(self) -> None:
        if self.steps is None:
            self.steps = self.select()
        if next(self.steps, "end") == "end":
            self.steps, self.is_ended = None, True

    def kill(self) -> None:
        """Or clear: it begins anew."""
        self.steps = None
        self.is_ended = False

    def select(self) -> Iterator[None]:
        world = self.world
        while True:
            selections = list(world.selections)
            yield
            head = world.head
            yield
            choice = choose_commit(selections, Wish(self.run, "prod", head))
            between = world.between(range_start(selections), choice.commit) if choice.verdict is Verdict.TAKE else []
            passed_over = superseded(between, self.told, choice.commit, selections)
            yield
            if choice.verdict is not Verdict.TAKE:
                world.keep_superseded(passed_over, self.run)
                return
            number = next_number(selections)
            if number not in {one.number for one in world.selections}:  # what the unique key of the event says
                world.selections.append(Selection(number, choice.commit, self.run))
                world.keep_superseded(passed_over, self.run)
                return


def finish(world: World) -> None:
    """All events get their runs, and all runs come to their end."""
    while world.events:
        world.start(1)
    for run in world.runs:
        while not run.is_ended:
            run.step()


actions = st.one_of(
    st.tuples(st.just("push"), st.integers(1, 3)),
    st.tuples(st.just("start"), st.integers(1, 3)),
    st.tuples(st.just("step"), st.integers(0, 20)),
    st.tuples(st.just("step"), st.integers(0, 20)),
    st.tuples(st.just("kill"), st.integers(0, 20)),
)
forced = st.one_of(actions, st.tuples(st.just("force"), st.integers(0, 20)))


def play(steps: list[tuple[str, int]]) -> World:
    world = World()
    world.push(1)
    for action, number in steps:
        if action in ("push", "start", "force"):
            getattr(world, action)(number)
        elif world.runs:
            getattr(world.runs[number % len(world.runs)], action)()
    finish(world)
    return world


@settings(max_examples=400, deadline=None)
@given(st.lists(actions, max_size=60))
def test_each_commit_is_told_of_in_exactly_one_run(steps: list[tuple[str, int]]) -> None:
    world = play(steps)
    told = Counter([one.commit for one in world.selections] + [commit for commit, _ in world.superseded])
    # Those before the first selection were there before the flow was.
    first = world.selections[0].commit
    ours = {commit for commit in world.parents if first in world.ancestors(commit)}
    assert set(told) >= ours
    assert set(told.values()) == {1}
    assert world.selections[-1].commit == world.head, "the newest commit is on its way"


@settings(max_examples=400, deadline=None)
@given(st.lists(forced, max_size=60))
def test_a_branch_moved_by_force_loses_no_commit_and_ends_at_its_head(steps: list[tuple[str, int]]) -> None:
    world = play(steps)
    subjects = [one.commit for one in world.selections]
    passed_over = [commit for commit, _ in world.superseded]
    assert set(subjects) | set(passed_over) >= set(world.told), "whatever was seen is told of"
    assert len(passed_over) == len(set(passed_over)), "superseded is told once"
    assert all(one != other for one, other in zip(subjects, subjects[1:], strict=False)), "no head is taken twice"
    assert subjects[-1] == world.head
    assert [one.number for one in world.selections] == list(range(1, len(subjects) + 1))
