"""Release candidates as the ledger tells them: which there are, which one is meant, and what became of each."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.errors import RefusedError
from include.ledger import EVERY_REGION, Event, Kind, Place, Recorded
from include.ledger.candidates import (
    StationTests,
    candidate_data,
    candidates,
    choose_candidate,
    made_key,
    newest_candidate,
)
from tests.conftest import ROOT

BEGAN = datetime(2026, 11, 5, 14, 30, tzinfo=UTC)
GOLDEN = json.loads((ROOT / "tests/golden/ledger/candidate.v1.json").read_text())
A, B, C = ("a" * 40, "b" * 40, "b" * 8 + "c" * 32)


class Story:
    """Events in the order in which they are told."""

    def __init__(self) -> None:
        self.told: list[Recorded] = []

    def tell(self, kind: Kind, data: dict[str, Any], region: str = EVERY_REGION, stack: str = "main") -> Story:
        number = len(self.told) + 1
        at = BEGAN + timedelta(minutes=number)
        event = Event(f"e{number}", kind, at, Place("api", stack, region), f"run-{number}", "ada", data=data)
        self.told.append(Recorded(number, event))
        return self

    def made(self, commit: str, flow: str = "release") -> Story:
        made = {**GOLDEN, "commit": commit, "version": f"20261105.142233-{commit[:7]}", "flow": flow}
        return self.tell(Kind.CANDIDATE_MADE, made)

    def pushed(self, commit: str, *regions: str, stack: str = "main") -> Story:
        for region in regions:
            group = {"group": "api-main-v001", "image": f"ami-{commit[:3]}", "version": "1", "commit": commit}
            self.tell(Kind.PUSH_FINISHED, group, region, stack)
        return self


def test_what_was_recorded_long_ago_is_still_read() -> None:
    (found,) = candidates(Story().tell(Kind.CANDIDATE_MADE, GOLDEN).told)
    assert (found.version, found.branch, found.images["eu-west-1"]) == ("20261105.142233-1a2b3c4", "release", "ami-3")
    assert [one.words for one in found.stations] == ["integration 22 passed", "staging 21 passed"]
    assert (found.run, found.made_at, found.app) == ("run-1", BEGAN + timedelta(minutes=1), "api")
    assert candidate_data(found) == GOLDEN, "what is written is what is read"


def test_the_newest_made_comes_first_and_each_commit_once() -> None:
    story = Story().made(A).made(B).made(A)
    assert [one.commit for one in candidates(story.told)] == [B, A]
    assert made_key("api", "release", A) == made_key("api", "release", A) != made_key("api", "trunk", A)


def test_each_flow_has_its_own() -> None:
    story = Story().made(A).made(B, flow="hotfix")
    assert [one.commit for one in candidates(story.told, "release")] == [A]
    assert len(candidates(story.told)) == 2
    assert candidates([]) == []


def test_where_it_was_pushed_and_where_it_serves() -> None:
    story = Story().made(A).made(B).pushed(A, "us-east-1", "us-west-2").pushed(B, "us-east-1")
    newer, older = candidates(story.told)
    assert (newer.pushed, newer.live) == (("us-east-1",), ("us-east-1",))
    assert (older.pushed, older.live) == (("us-east-1", "us-west-2"), ("us-west-2",))


def test_taken_back_it_serves_no_more() -> None:
    story = Story().made(A).pushed(B, "us-east-1").pushed(A, "us-east-1")
    back = {"group": "api-main-v000", "image": "ami-b", "version": "0", "commit": B}
    (found,) = candidates(story.tell(Kind.ROLLBACK_SAFE, back, "us-east-1").told)
    assert (found.pushed, found.live) == (("us-east-1",), ())


def test_other_environments_are_not_production() -> None:
    (found,) = candidates(Story().pushed(A, "us-east-1", stack="staging").made(A).told)
    assert (found.pushed, found.live) == ((), ())


def test_runs_that_chose_it_are_known() -> None:
    story = Story().made(A).tell(Kind.CANDIDATE_CHOSEN, {"commit": A}).tell(Kind.CANDIDATE_CHOSEN, {"commit": B})
    assert candidates(story.told)[0].chosen == ("run-2",)


@pytest.mark.parametrize(
    ("wanted", "commit"),
    [(A[:7], A), (A, A), ("20261105.142233-aaaaaaa", A), ("bbbbbbbbc", C)],
)
def test_one_is_meant_by_version_or_by_commit(wanted: str, commit: str) -> None:
    assert choose_candidate(candidates(Story().made(A).made(B).made(C).told), wanted).commit == commit


def test_what_is_none_or_several_is_refused_with_what_there_is() -> None:
    known = candidates(Story().made(A).made(B).made(C).told)
    with pytest.raises(
        RefusedError, match="'1234567' is no release candidate. The newest are: 20261105.142233-bbbbbbb"
    ):
        choose_candidate(known, "1234567")
    with pytest.raises(RefusedError, match="more than one candidate: bbbbbbbbcccc .* bbbbbbbbbbbb .* Say more"):
        choose_candidate(known, "bbbbbbb")
    with pytest.raises(RefusedError, match="no release candidate"):
        choose_candidate(known, "aaaaaa")  # too short to be a commit
    with pytest.raises(RefusedError, match="There is no release candidate yet"):
        choose_candidate([], "1234567")
    with pytest.raises(RefusedError, match="There is no release candidate yet"):
        newest_candidate([], lambda commit, descendant: False)


@pytest.mark.parametrize(
    ("made", "contained", "newest"),
    [
        ([A, B, C], {(A, B), (A, C), (B, C)}, C),
        ([C, B, A], {(A, B), (A, C), (B, C)}, C),  # run again from the back
        ([B, C, A], {(A, B), (A, C), (B, C)}, C),
        ([C, A, B], {(A, C)}, B),  # B has nothing to do with the others, and was made last
        ([B, C, A], {(A, C)}, C),
        ([A], set(), A),
    ],
)
def test_the_newest_is_the_one_that_no_other_contains(
    made: list[str], contained: set[tuple[str, str]], newest: str
) -> None:
    story = Story()
    for commit in made:
        story.made(commit)
    known = candidates(story.told)
    assert newest_candidate(known, lambda commit, descendant: (commit, descendant) in contained).commit == newest


def test_of_very_many_only_those_made_last_are_compared() -> None:
    story, asked = Story(), []
    for number in range(200):
        story.made(f"{number:040}")
    newest_candidate(candidates(story.told), lambda *commits: bool(asked.append(commits)))
    assert len(asked) < 100


def test_a_subject_is_one_printable_line() -> None:
    (found,) = candidates(
        Story().tell(Kind.CANDIDATE_MADE, {**GOLDEN, "subject": "x\x1b[31m\u202ered\n" + "y" * 300}).told
    )
    assert found.title.startswith("x [31m red y") and found.title.isprintable() and len(found.title) <= 100
    assert found.title in found.words


def test_only_five_are_told_where_none_fits() -> None:
    story = Story()
    for number in range(8):
        story.made(f"{number}" * 40)
    with pytest.raises(RefusedError) as caught:
        choose_candidate(candidates(story.told), "fffffff")
    assert str(caught.value).count("20261105") == 5
    assert "20261105.142233-7777777" in str(caught.value)


def test_a_station_without_tests_says_so() -> None:
    assert StationTests("integration", 0).words == "integration no tests"
